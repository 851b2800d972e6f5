// Settings that others must not see on a command line: env:NAME or file:PATH, which hold the value.
#pragma once

#include <string>
#include <string_view>

#include "streams/base/result.h"

namespace maily::app {

// Whether a setting refers to what holds its value.
bool IsHeldElsewhere(std::string_view setting);
// The value of the setting `name`: itself, or what it refers to, up to the end of the first line. kInvalid: that is missing or empty.
Result<std::string> Held(std::string_view name, const std::string& setting);

}  // namespace maily::app
