// See text.h.
#include "processors/bounces/text.h"

#include <algorithm>

namespace maily::bounces {
namespace {

bool IsLocalPart(char c) {
  static constexpr std::string_view kOthers = "!#$%&'*+/=?^_`{|}~.-";
  return (c >= '0' && c <= '9') || (Lower(c) >= 'a' && Lower(c) <= 'z') || static_cast<uint8_t>(c) >= 0x80 ||
         kOthers.find(c) != kOthers.npos;
}
bool IsDomain(char c) {
  return (c >= '0' && c <= '9') || (Lower(c) >= 'a' && Lower(c) <= 'z') || static_cast<uint8_t>(c) >= 0x80 || c == '.' || c == '-';
}

}  // namespace

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string ToLower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), Lower);
  return lower;
}

bool SameText(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::ranges::equal(a, b, [](char x, char y) { return Lower(x) == Lower(y); });
}

bool StartsWith(std::string_view text, std::string_view lower_prefix) {
  return SameText(text.substr(0, lower_prefix.size()), lower_prefix);
}

size_t Find(std::string_view text, std::string_view lower, size_t from) {
  if (from > text.size()) return text.npos;
  const auto found = std::search(text.begin() + static_cast<std::ptrdiff_t>(from), text.end(), lower.begin(), lower.end(),
                                 [](char a, char b) { return Lower(a) == b; });
  return found == text.end() && !lower.empty() ? text.npos : static_cast<size_t>(found - text.begin());
}

std::string_view Trim(std::string_view text) {
  static constexpr std::string_view kSpace = " \t\r\n\v\f";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string_view TakeLine(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

std::string_view FindAddress(std::string_view text) {
  for (size_t at = text.find('@'); at != text.npos; at = text.find('@', at + 1)) {
    size_t begin = at;
    while (begin > 0 && IsLocalPart(text[begin - 1])) --begin;
    size_t end = at + 1;
    while (end < text.size() && IsDomain(text[end])) ++end;
    while (end > at + 1 && (text[end - 1] == '.' || text[end - 1] == '-')) --end;  // the end of a sentence
    while (begin < at && (text[begin] == '.' || text[begin] == '\'')) ++begin;
    if (begin < at && end > at + 1 && end - begin <= kAddressBytesMax) return text.substr(begin, end - begin);
  }
  return {};
}

Fields TakeFields(std::string_view& text) {
  Fields fields;
  bool in_field = false;
  while (!text.empty()) {
    const std::string_view line = TakeLine(text);
    if (Trim(line).empty()) break;
    if (line.front() == ' ' || line.front() == '\t') {
      if (in_field) fields.back().second.append(" ").append(Trim(line));
      continue;
    }
    const size_t colon = line.find(':');
    in_field = colon != line.npos && colon > 0 && line.substr(0, colon).find_first_of(" \t") == line.npos && fields.size() < kFieldsMax;
    if (in_field) fields.emplace_back(ToLower(line.substr(0, colon)), Trim(line.substr(colon + 1)));
  }
  return fields;
}

std::string_view FieldOf(const Fields& fields, std::string_view name) {
  for (const auto& [field, value] : fields) {
    if (field == name) return value;
  }
  return {};
}

}  // namespace maily::bounces
