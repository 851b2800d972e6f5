// Cuts sources and markup to pieces, by hand: text, {{ }} and {% %}; lines of a {% liquid %} tag; fragments and attributes of tags that
// are read loosely. Every piece is a view into the source. Pure; thread: any.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace maily::liquid {

// White space as templates have it: blank, tab, line ends, form feed, vertical tab.
constexpr bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool IsWord(char c) { return IsLetter(c) || IsDigit(c) || c == '_'; }
constexpr bool IsNamePart(char c) { return IsWord(c) || c == '-'; }
std::string_view Trim(std::string_view text);
bool IsAllSpace(std::string_view text);

// Gives a source piece by piece; together they are the whole source, but for the line ends between lines.
class Splitter {
 public:
  Splitter(std::string_view source, bool lines) : rest_(source), lines_(lines) {}
  // The next piece; nullopt at the end. In a document: a text, or what begins with {{ or {%, with its end if it has one.
  std::optional<std::string_view> Next();
  bool lines() const { return lines_; }

 private:
  std::string_view Take(size_t n);
  std::string_view rest_;
  bool lines_;
};

struct Tag {
  std::string_view name;    // letters, digits, _; or "#"
  std::string_view markup;  // what follows, without the white space in front
};
// Of a piece "{% … %}"; nullopt: it has no end, or no name.
std::optional<Tag> ReadTag(std::string_view piece);
// Of a line of {% liquid %}.
std::optional<Tag> ReadLineTag(std::string_view line);
// If `piece` ends with a tag {% name %}: where that begins and its name, whatever stands before it.
struct ClosingTag {
  size_t begin = 0;
  std::string_view name;
};
std::optional<ClosingTag> ReadClosingTag(std::string_view piece);

// A fragment: a quoted string, or a run of anything but white space, commas, bars and quotes, quoted strings among it. Its bytes at `at`;
// 0: there is none.
size_t FragmentAt(std::string_view text, size_t at);
// The first one from `at` on; empty: there is none.
std::string_view FindFragment(std::string_view text, size_t at = 0);
// Every "key: fragment".
std::vector<std::pair<std::string_view, std::string_view>> FindAttributes(std::string_view markup);

}  // namespace maily::liquid
