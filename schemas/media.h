// What may be said of a file that is enclosed in a mail or served: values that cannot be made from bytes that would begin another header,
// end a quoted string, or show a name that is not the file's. Pure; thread: any.
#pragma once

#include <string>
#include <string_view>

#include "streams/base/result.h"

namespace maily::schema {

// "image/png": type and subtype, each a token of RFC 6838 §4.2, in lower case, without parameters. multipart/ and message/ are refused:
// they would have to be encoded otherwise (RFC 2045 §6.4).
class MediaType {
 public:
  static Result<MediaType> Parse(std::string_view text);
  const std::string& text() const { return text_; }
  bool operator==(const MediaType&) const = default;

 private:
  explicit MediaType(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// The name of a file, as the recipient is to see it: 1 to kBytesMax bytes of UTF-8 without control characters, / and \, without characters
// that turn the direction of writing (U+202A-202E, U+2066-2069: they hide what a name ends with), and without a dot or space at either end.
class FileName {
 public:
  static constexpr size_t kBytesMax = 150;
  static Result<FileName> Parse(std::string_view text);
  const std::string& text() const { return text_; }
  bool operator==(const FileName&) const = default;

 private:
  explicit FileName(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace maily::schema
