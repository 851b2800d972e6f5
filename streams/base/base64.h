// Base64 with padding, in one line (RFC 4648 §4).
#pragma once

#include <string>
#include <string_view>

namespace maily {

std::string ToBase64(std::string_view bytes);

}  // namespace maily
