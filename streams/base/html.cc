// See html.h.
#include "streams/base/html.h"

#include <array>
#include <cstdint>
#include <cstring>

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

// Sixteen bytes that are compared at once.
using Block = uint8_t __attribute__((vector_size(16)));

// How many bytes at the beginning of `text` stand as they are.
size_t PlainRun(std::string_view text) {
  size_t run = 0;
  for (; run + sizeof(Block) <= text.size(); run += sizeof(Block)) {
    Block block;
    std::memcpy(&block, text.data() + run, sizeof block);
    const auto special = (block == '&') | (block == '<') | (block == '>') | (block == '"') | (block == '\'') | (block == '\0');
    uint64_t halves[2];
    std::memcpy(halves, &special, sizeof halves);
    if ((halves[0] | halves[1]) != 0) break;
  }
  while (run < text.size() && !kSpecial[static_cast<uint8_t>(text[run])]) ++run;
  return run;
}

}  // namespace

void PutHtml(std::string_view text, std::string& out) {
  while (true) {
    const size_t run = PlainRun(text);
    out.append(text, 0, run);
    if (run == text.size()) return;
    out += Replacement(text[run]);
    text.remove_prefix(run + 1);
  }
}

std::string Html(std::string_view text) {
  std::string out;
  PutHtml(text, out);
  return out;
}

}  // namespace maily
