// Tells text from other bytes.
#pragma once

#include <string_view>

namespace maily {

// How many bytes at the beginning of `text` are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
size_t Utf8Prefix(std::string_view text);
// True if no byte has its high bit set.
bool IsAscii(std::string_view text);
inline bool IsUtf8(std::string_view text) { return Utf8Prefix(text) == text.size(); }

}  // namespace maily
