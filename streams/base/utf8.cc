// Implements the check of UTF-8.
#include "streams/base/utf8.h"

#include <cstdint>
#include <cstring>

namespace maily {

size_t Utf8Prefix(std::string_view text) {
  const auto* const begin = reinterpret_cast<const uint8_t*>(text.data());
  const auto* at = begin;
  const auto* const end = at + text.size();
  while (at < end) {
    while (end - at >= 8) {  // eight ASCII bytes at once
      uint64_t word;
      std::memcpy(&word, at, 8);
      if ((word & 0x8080808080808080ULL) != 0) break;
      at += 8;
    }
    if (at == end) break;
    const uint8_t first = *at;
    if (first < 0x80) {
      ++at;
      continue;
    }
    const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    bool fits = first >= 0xC2 && first <= 0xF4 && end - at > more;
    for (int i = 1; fits && i <= more; ++i) fits = (at[i] & 0xC0) == 0x80;
    if (!fits || (first == 0xE0 && at[1] < 0xA0) || (first == 0xED && at[1] > 0x9F) || (first == 0xF0 && at[1] < 0x90) ||
        (first == 0xF4 && at[1] > 0x8F)) {
      break;
    }
    at += more + 1;
  }
  return static_cast<size_t>(at - begin);
}

bool IsAscii(std::string_view text) {
  size_t i = 0;
  uint64_t high = 0;  // eight bytes at a time: mails are looked through whole
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t eight;
    std::memcpy(&eight, text.data() + i, 8);
    high |= eight;
  }
  for (; i < text.size(); ++i) high |= static_cast<uint8_t>(text[i]);
  return (high & 0x8080808080808080) == 0;
}

}  // namespace maily
