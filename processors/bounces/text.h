// Small pieces of reading text that strangers wrote: lines, addresses, header fields. All linear in their input.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace maily::bounces {

char Lower(char c);  // ASCII alone, whatever the locale
std::string ToLower(std::string_view text);
bool SameText(std::string_view a, std::string_view b);  // but for the case of ASCII letters
bool StartsWith(std::string_view text, std::string_view lower_prefix);
// Position of `lower` in `text`, whose case is of no matter; npos if it is not there.
size_t Find(std::string_view text, std::string_view lower, size_t from = 0);
inline bool Contains(std::string_view text, std::string_view lower) { return Find(text, lower) != std::string_view::npos; }
std::string_view Trim(std::string_view text);
// Takes the first line off, without its end (LF or CRLF).
std::string_view TakeLine(std::string_view& text);

// "a@b.example" of "<a@b.example>", "Ann <a@b.example>", "rfc822; a@b.example": the first address in the text, as it is written; empty if
// there is none. Without '@' nothing is an address, nor is what is longer than RFC 5321 allows.
inline constexpr size_t kAddressBytesMax = 320;
std::string_view FindAddress(std::string_view text);

using Fields = std::vector<std::pair<std::string, std::string>>;  // names in lower case, values unfolded and trimmed
inline constexpr size_t kFieldsMax = 1'000;
// Header fields up to the first empty line, or up to `kFieldsMax`; what is no field is passed over. Takes them off.
Fields TakeFields(std::string_view& text);
std::string_view FieldOf(const Fields& fields, std::string_view name);  // the first one; empty if there is none

}  // namespace maily::bounces
