// HTML as a row of tags and texts, read tolerantly: enough to make text of it and to look at it. Pure; thread: any.
//
// What stands between {{ }} and {% %} belongs to the text or to the attribute value in which it stands, whatever it holds. Comments,
// <!…> and <?…> are passed over.
#pragma once

#include <string>
#include <string_view>

namespace maily::personalization {

struct HtmlToken {
  enum class Kind : uint8_t { kText, kOpen, kClose, kEnd };
  Kind kind = Kind::kEnd;
  std::string name = {};       // of a tag, in lower case
  std::string_view text = {};  // of a text as spelled; of a tag its attributes as spelled
  size_t offset = 0;           // in the source
  bool closes_itself = false;  // <x/>
};

class HtmlReader {
 public:
  explicit HtmlReader(std::string_view html) : html_(html) {}
  // kEnd at the end, again and again. What is in script, style, title and textarea is one text, up to the closing tag.
  HtmlToken Next();

 private:
  HtmlToken Tag(size_t open);

  const std::string_view html_;
  size_t at_ = 0;
  std::string raw_;  // the element whose content is raw, or empty
};

// The value of an attribute, with its character references resolved; `has`: whether it is there. `attributes`: HtmlToken::text.
std::string AttributeOf(std::string_view attributes, std::string_view lower_name, bool* has = nullptr);

}  // namespace maily::personalization
