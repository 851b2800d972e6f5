// Base64 with padding, in one line (RFC 4648 §4).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace maily {

std::string ToBase64(std::string_view bytes);
// The bytes; none unless it is exactly what ToBase64 writes: other letters, missing padding, line ends, and bits behind the last byte are
// refused (RFC 4648 §3.3, §3.5), so that no two texts mean the same.
std::optional<std::string> FromBase64(std::string_view text);

}  // namespace maily
