// See html.h.
#include "streams/base/html.h"

#include <array>
#include <cstdint>

namespace maily {
namespace {

constexpr auto kSpecial = [] {
  std::array<bool, 256> special{};
  for (const char c : {'&', '<', '>', '"', '\'', '\0'}) special[static_cast<uint8_t>(c)] = true;
  return special;
}();

std::string_view Replacement(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

}  // namespace

void PutHtml(std::string_view text, std::string& out) {
  size_t run = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!kSpecial[static_cast<uint8_t>(text[i])]) continue;
    out.append(text, run, i - run);
    out += Replacement(text[i]);
    run = i + 1;
  }
  out.append(text, run);
}

std::string Html(std::string_view text) {
  std::string out;
  PutHtml(text, out);
  return out;
}

}  // namespace maily
