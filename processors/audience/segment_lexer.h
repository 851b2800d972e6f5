// The words of the text form of segments, one after the other, with where they stand.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace maily::audience {

struct SegmentToken {
  enum class Kind : uint8_t {
    kWord,      // [A-Za-z_][A-Za-z0-9_]*
    kQuoted,    // `a word that would be taken for something else`
    kText,      // "…" with \" \\ \n \t
    kInteger,   // 12
    kNumber,    // 1.5, 2e3
    kDuration,  // 7d: `integer` in seconds
    kDay,       // 2026-11-22: `integer` in days since 1970-01-01
    kSign,      // ( ) , : = != < <= > >= + -
    kEnd,
    kBad,  // `text` says what is wrong
  };
  Kind kind = Kind::kEnd;
  std::string text;  // of a word or text its value, else as it stands there
  int64_t integer = 0;
  double number = 0;
  std::string where;  // "line:column", in bytes from 1
};

// `text` outlives it. After kEnd or kBad it gives the same again.
class SegmentLexer {
 public:
  explicit SegmentLexer(std::string_view text) : text_(text) {}
  SegmentToken Next();

 private:
  void Skip();
  void Step(size_t bytes);
  SegmentToken Bad(SegmentToken token, std::string sentence);
  SegmentToken Text(SegmentToken token);
  SegmentToken Digits(SegmentToken token);
  SegmentToken Sign(SegmentToken token);
  char At(size_t offset) const { return offset < text_.size() ? text_[offset] : '\0'; }

  std::string_view text_;
  size_t at_ = 0;
  size_t line_ = 1;
  size_t line_start_ = 0;
};

}  // namespace maily::audience
