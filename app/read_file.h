// A file that a setting or an argument names.
#pragma once

#include <string>

#include "streams/base/result.h"

namespace maily::app {

// All of it. kInvalid: it cannot be read, or is empty.
Result<std::string> ReadFile(const std::string& path);

}  // namespace maily::app
