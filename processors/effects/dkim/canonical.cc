// See canonical.h.
#include "processors/effects/dkim/canonical.h"

#include <algorithm>

namespace maily::dkim {
namespace {

constexpr std::string_view kCrlf = "\r\n";

bool IsSpace(char c) { return c == ' ' || c == '\t'; }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// Where the line ends that begins at `at`: its CRLF, or the end of the text.
size_t LineEnd(std::string_view text, size_t at) {
  const size_t end = text.find(kCrlf, at);
  return end == std::string_view::npos ? text.size() : end;
}

}  // namespace

size_t BodyOffset(std::string_view message) {
  if (message.starts_with(kCrlf)) return kCrlf.size();
  const size_t end = message.find("\r\n\r\n");
  return end == std::string_view::npos ? message.size() : end + 4;
}

std::string_view TakeField(std::string_view& section) {
  size_t end = 0;
  do {
    end = std::min(section.size(), LineEnd(section, end) + kCrlf.size());
  } while (end < section.size() && IsSpace(section[end]));
  const std::string_view field = section.substr(0, end);
  section.remove_prefix(end);
  return field;
}

std::string_view FieldName(std::string_view field) {
  const size_t colon = field.find(':');
  if (colon == std::string_view::npos) return {};
  std::string_view name = field.substr(0, colon);
  while (!name.empty() && IsSpace(name.back())) name.remove_suffix(1);
  return name;
}

void RelaxField(std::string_view field, std::string& out) {
  for (const char c : FieldName(field)) out.push_back(Lower(c));
  out.push_back(':');
  const std::string_view value = field.substr(std::min(field.size(), field.find(':') + 1));
  bool space = false;  // white space is due before the next byte
  bool begun = false;  // the value has begun
  for (size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if (c == '\r' && i + 1 < value.size() && value[i + 1] == '\n') {
      ++i;
    } else if (IsSpace(c)) {
      space = true;
    } else {
      if (space && begun) out.push_back(' ');
      out.push_back(c);
      space = false;
      begun = true;
    }
  }
  out += kCrlf;
}

// What is canonical as it stands, over the ends of lines too, goes to the sink in one piece: [from, i) below.
void RelaxBody(std::string_view body, const std::function<void(std::string_view)>& sink) {
  size_t empty_lines = 0;  // not yet given: they may be the last ones
  size_t from = 0;
  const auto flush = [&](size_t until) {
    if (until > from) sink(body.substr(from, until - from));
  };
  for (size_t line = 0; line < body.size();) {
    const size_t end = LineEnd(body, line);
    const size_t next = std::min(body.size(), end + kCrlf.size());
    size_t i = line;
    while (i < end && IsSpace(body[i])) ++i;
    if (i == end) {
      if (empty_lines++ == 0) flush(line);
      from = line = next;
      continue;
    }
    for (; empty_lines > 0; --empty_lines) sink(kCrlf);
    for (i = line; i < end;) {
      if (!IsSpace(body[i])) {
        ++i;
        continue;
      }
      size_t run = i + 1;
      while (run < end && IsSpace(body[run])) ++run;
      if (run == end) break;
      if (run - i > 1 || body[i] != ' ') {
        flush(i);
        sink(" ");
        from = run;
      }
      i = run;
    }
    if (i < end || end == body.size()) {
      flush(i);
      sink(kCrlf);
      from = next;
    }
    line = next;
  }
  if (empty_lines == 0) flush(body.size());
}

}  // namespace maily::dkim
