// Implements the replacement of what is no text.
#include "projections/sql/text.h"

#include <algorithm>
#include <cstring>

#include "streams/base/utf8.h"

namespace maily::sql {

std::string_view CleanText(std::string_view text, std::string& room) {
  if (text.empty() || (std::memchr(text.data(), 0, text.size()) == nullptr && IsUtf8(text))) [[likely]]
    return text;
  room.clear();
  while (!text.empty()) {
    const size_t good = std::min(Utf8Prefix(text), text.find('\0'));
    room += text.substr(0, good);
    text.remove_prefix(good);
    if (text.empty()) break;
    room += "\xEF\xBF\xBD";
    text.remove_prefix(1);
  }
  return room;
}

}  // namespace maily::sql
