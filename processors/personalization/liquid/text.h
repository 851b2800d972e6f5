// Text as filters see it: by characters of UTF-8 (a byte that is none counts as one), and the encodings of HTML and URLs. Pure; thread:
// any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace maily::liquid {

size_t CountCharacters(std::string_view text);
// The byte where character `n` begins; the size if there are not as many.
size_t OffsetOf(std::string_view text, size_t n);
// The bytes of the first character; 0 of an empty text.
size_t FirstCharacter(std::string_view text);

enum class Case : uint8_t { kUpper, kLower, kCapital };  // kCapital: the first letter large, all others small
void AppendCased(std::string_view text, Case wanted, std::string& out);

std::string_view TrimFront(std::string_view text);  // white space and NUL
std::string_view TrimBack(std::string_view text);
// Words between white space; at most `most` pieces, the last of which is the rest.
std::vector<std::string_view> SplitWords(std::string_view text, size_t most);

void AppendEscaped(std::string_view text, std::string& out);      // & < > " '
void AppendEscapedOnce(std::string_view text, std::string& out);  // leaves entities alone
void AppendWithoutTags(std::string_view html, std::string& out);  // also without script, style and comments
void AppendUrlEncoded(std::string_view text, std::string& out);   // + for a blank
void AppendUrlDecoded(std::string_view text, std::string& out);
void AppendBase64(std::string_view bytes, bool url, std::string& out);
std::optional<std::string> ReadBase64(std::string_view text, bool url);

// True if an address that begins so runs a script in a browser: javascript:, vbscript:, data:text/ — whatever white space, control
// characters and case hide it.
bool IsScriptAddress(std::string_view text);

}  // namespace maily::liquid
