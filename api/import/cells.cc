// See cells.h.
#include "api/import/cells.h"

namespace maily::import {

namespace {
constexpr std::string_view kGuarded = "=+-@\t\r'";
}

std::string GuardCell(std::string_view text) {
  return (!text.empty() && kGuarded.find(text[0]) != std::string_view::npos ? "'" : "") + std::string(text);
}

std::string_view UnguardCell(std::string_view text) {
  if (text.size() > 1 && text[0] == '\'' && kGuarded.find(text[1]) != std::string_view::npos) text.remove_prefix(1);
  return text;
}

}  // namespace maily::import
