// Every `code` that an error of the API can have. Stable: a code is never given another meaning. scripts/names.py compares the table
// with the sources.
#pragma once

#include <span>
#include <string_view>

namespace maily::api {

struct ErrorCode {
  std::string_view code;
  std::string_view meaning;
};

std::span<const ErrorCode> ErrorCodes();

}  // namespace maily::api
