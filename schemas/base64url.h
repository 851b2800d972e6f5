// base64url without padding (RFC 4648 §5), in the one spelling that each byte string has.
#pragma once

#include <string>
#include <string_view>

#include "streams/base/result.h"

namespace maily::schema {

std::string ToBase64Url(std::string_view bytes);
// kInvalid: another character, padding, an impossible length, or bits that no byte string gives.
Result<std::string> FromBase64Url(std::string_view text);

}  // namespace maily::schema
