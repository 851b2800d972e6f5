// See warnings.h.
#include "processors/personalization/warnings.h"

#include <fmt/format.h>

#include <algorithm>

#include "processors/personalization/html_tags.h"

namespace maily::personalization {
namespace {

constexpr size_t kShownMax = 50;

// "html:LINE:COLUMN", counted on from the last one that was asked: places come in their order.
class Places {
 public:
  explicit Places(std::string_view html) : html_(html) {}
  std::string Of(size_t offset) {
    for (; at_ < offset; ++at_) {
      if (html_[at_] == '\n') {
        ++line_;
        column_ = 1;
      } else if ((static_cast<uint8_t>(html_[at_]) & 0xC0) != 0x80) {
        ++column_;
      }
    }
    return fmt::format("html:{}:{}", line_, column_);
  }

 private:
  std::string_view html_;
  size_t at_ = 0, line_ = 1, column_ = 1;
};

// An image of one pixel that counts is not for anybody to see.
bool IsPixel(std::string_view attributes) { return AttributeOf(attributes, "width") == "1" && AttributeOf(attributes, "height") == "1"; }

}  // namespace

std::vector<Warning> WarningsOf(std::string_view html) {
  std::vector<Warning> warnings;
  if (html.size() > kHtmlShownMax) {
    warnings.push_back({"clipped", "html",
                        fmt::format("The HTML has {} bytes; Gmail shows {} and hides the rest, with the footer and its opt-out.",
                                    html.size(), kHtmlShownMax),
                        "Take out what is repeated, comments and white space, or link to a page for the rest."});
  }
  Places places(html);
  HtmlReader reader(html);
  size_t images = 0, characters = 0;
  std::string silent;
  for (HtmlToken token = reader.Next(); token.kind != HtmlToken::Kind::kEnd; token = reader.Next()) {
    if (token.kind == HtmlToken::Kind::kOpen && (token.name == "style" || token.name == "script" || token.name == "title"))
      silent = token.name;
    if (token.kind == HtmlToken::Kind::kClose) silent.clear();
    if (token.kind == HtmlToken::Kind::kText && silent.empty()) {
      characters += static_cast<size_t>(std::ranges::count_if(
          token.text, [](char c) { return static_cast<uint8_t>(c) > 0x20 && (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
    }
    if (token.kind == HtmlToken::Kind::kOpen && token.name == "a" && warnings.size() < kShownMax) {
      std::string target = AttributeOf(token.text, "href").substr(0, 7);
      std::ranges::transform(target, target.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
      if (target == "http://") {
        warnings.push_back({"http_link", places.Of(token.offset),
                            "This link is not encrypted: browsers warn of it, and filters know such mails.",
                            "Write https:// if the site has it."});
      }
    }
    if (token.kind != HtmlToken::Kind::kOpen || token.name != "img" || IsPixel(token.text)) continue;
    ++images;
    bool has_alt = false;
    AttributeOf(token.text, "alt", &has_alt);
    if (!has_alt && warnings.size() < kShownMax) {
      warnings.push_back({"missing_alt", places.Of(token.offset), "This image has no alt: who cannot see it is told nothing.",
                          "Say what it shows, alt=\"…\"; a decoration says alt=\"\"."});
    }
  }
  if (images > 0 && characters < kTextLeast && warnings.size() < kShownMax) {
    warnings.push_back({"image_only", "html",
                        fmt::format("Beside {} image{} there are {} characters of text: who does not load images sees nothing.", images,
                                    images == 1 ? "" : "s", characters),
                        "Say in words what the images say."});
  }
  return warnings;
}

}  // namespace maily::personalization
