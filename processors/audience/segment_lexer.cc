// See segment_lexer.h.
#include "processors/audience/segment_lexer.h"

#include <fmt/format.h>

#include <charconv>

#include "processors/audience/segment_language.h"

namespace maily::audience {
namespace {

using Kind = SegmentToken::Kind;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

int64_t SecondsOf(char unit) {
  switch (unit) {
    case 'm':
      return 60;
    case 'h':
      return 3'600;
    case 'd':
      return 86'400;
    case 'w':
      return 7 * 86'400;
    default:
      return 0;
  }
}

}  // namespace

void SegmentLexer::Step(size_t bytes) {
  for (size_t i = 0; i < bytes && at_ < text_.size(); ++i) {
    if (text_[at_++] == '\n') {
      ++line_;
      line_start_ = at_;
    }
  }
}

void SegmentLexer::Skip() {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) Step(1);
}

SegmentToken SegmentLexer::Bad(SegmentToken token, std::string sentence) {
  token.kind = Kind::kBad;
  token.text = std::move(sentence);
  return token;
}

SegmentToken SegmentLexer::Text(SegmentToken token) {
  token.kind = Kind::kText;
  size_t end = at_ + 1;
  for (;; ++end) {
    if (end >= text_.size()) return Bad(std::move(token), "the text that begins here has no \" at its end");
    const char c = text_[end];
    if (c == '"') break;
    if (IsControl(c)) return Bad(std::move(token), "a text stands on one line; write \\n for a line break and \\t for a tab");
    if (c != '\\') {
      token.text += c;
      continue;
    }
    switch (At(++end)) {
      case '"':
        token.text += '"';
        break;
      case '\\':
        token.text += '\\';
        break;
      case 'n':
        token.text += '\n';
        break;
      case 't':
        token.text += '\t';
        break;
      default:
        return Bad(std::move(token), "a \\ in a text is followed by \", \\, n or t");
    }
  }
  if (token.text.size() > kSegmentTextBytesMax) {
    return Bad(std::move(token), fmt::format("a text has at most {} bytes", kSegmentTextBytesMax));
  }
  Step(end + 1 - at_);
  return token;
}

SegmentToken SegmentLexer::Digits(SegmentToken token) {
  size_t end = at_;
  while (IsDigit(At(end))) ++end;
  const auto integer = [&](std::string_view digits) {
    return std::from_chars(digits.data(), digits.data() + digits.size(), token.integer).ec == std::errc();
  };
  const std::string_view digits = text_.substr(at_, end - at_);
  if (digits.size() == 4 && At(end) == '-' && IsDigit(At(end + 1))) {
    token.text = text_.substr(at_, 10);
    const auto day = ParseDay(token.text);
    if (!day || IsDigit(At(end + 6)) || IsLetter(At(end + 6))) return Bad(std::move(token), "a day is written like 2026-11-22");
    token.kind = Kind::kDay;
    token.integer = *day;
    Step(10);
    return token;
  }
  const bool exponent =
      (At(end) == 'e' || At(end) == 'E') && (IsDigit(At(end + 1)) || ((At(end + 1) == '+' || At(end + 1) == '-') && IsDigit(At(end + 2))));
  if ((At(end) == '.' && IsDigit(At(end + 1))) || exponent) {
    if (At(end) == '.') {
      ++end;
      while (IsDigit(At(end))) ++end;
    }
    if (At(end) == 'e' || At(end) == 'E') {
      ++end;
      if (At(end) == '+' || At(end) == '-') ++end;
      while (IsDigit(At(end))) ++end;
    }
    token.kind = Kind::kNumber;
    token.text = text_.substr(at_, end - at_);
    const auto read = std::from_chars(token.text.data(), token.text.data() + token.text.size(), token.number);
    if (read.ec != std::errc() || read.ptr != token.text.data() + token.text.size() || IsLetter(At(end)) || At(end) == '.') {
      return Bad(std::move(token), "this is no number that can be compared with");
    }
    Step(end - at_);
    return token;
  }
  token.kind = Kind::kInteger;
  token.text = digits;
  if (!integer(digits)) return Bad(std::move(token), "a whole number is at most 9223372036854775807");
  if (IsLetter(At(end))) {
    const int64_t unit = SecondsOf(At(end));
    if (unit == 0 || IsLetter(At(end + 1)) || IsDigit(At(end + 1))) {
      return Bad(std::move(token), "a duration is a whole number with m, h, d or w: 30m, 12h, 7d, 2w");
    }
    if (token.integer > kWindowMaxS) return Bad(std::move(token), "this duration is too long");
    token.kind = Kind::kDuration;
    token.integer *= unit;
    ++end;
    token.text = text_.substr(at_, end - at_);
  }
  Step(end - at_);
  return token;
}

SegmentToken SegmentLexer::Sign(SegmentToken token) {
  token.kind = Kind::kSign;
  const std::string_view rest = text_.substr(at_);
  for (const std::string_view two : {"!=", "<=", ">="}) {
    if (rest.starts_with(two)) {
      token.text = two;
      Step(2);
      return token;
    }
  }
  for (const auto& [wrong, right] : {std::pair{"==", "="}, {"<>", "!="}, {"&&", "and"}, {"||", "or"}, {"=<", "<="}, {"=>", ">="}}) {
    if (rest.starts_with(wrong)) return Bad(std::move(token), fmt::format("write {} instead of {}", right, wrong));
  }
  if (std::string_view("(),:=<>+-").find(rest.front()) != std::string_view::npos) {
    token.text = rest.substr(0, 1);
    Step(1);
    return token;
  }
  if (rest.front() == '!') return Bad(std::move(token), "write not instead of !");
  if (rest.front() == '\'') return Bad(std::move(token), "texts stand in double quotes: \"pro\"");
  return Bad(std::move(token), "nothing of the language begins like this");
}

SegmentToken SegmentLexer::Next() {
  Skip();
  SegmentToken token;
  token.where = fmt::format("{}:{}", line_, at_ - line_start_ + 1);
  if (at_ >= text_.size()) return token;
  const char c = text_[at_];
  if (c == '"') return Text(std::move(token));
  if (IsDigit(c)) return Digits(std::move(token));
  if (IsLetter(c)) {
    size_t end = at_;
    while (IsLetter(At(end)) || IsDigit(At(end))) ++end;
    token.kind = Kind::kWord;
    token.text = text_.substr(at_, end - at_);
    Step(end - at_);
    return token;
  }
  if (c == '`') {
    const size_t end = text_.find('`', at_ + 1);
    token.text = end == std::string_view::npos ? "" : text_.substr(at_ + 1, end - at_ - 1);
    if (token.text.empty() || token.text.find_first_of("\n\r\t ") != std::string::npos) {
      return Bad(std::move(token), "the name that begins here has no ` at its end");
    }
    token.kind = Kind::kQuoted;
    Step(end + 1 - at_);
    return token;
  }
  return Sign(std::move(token));
}

}  // namespace maily::audience
