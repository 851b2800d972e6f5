// See preheader.h.
#include "processors/personalization/preheader.h"

#include "processors/personalization/html_tags.h"
#include "streams/base/html.h"

namespace maily::personalization {
namespace {

// Nothing that is seen, and no place to break a line: what readers of mail leave out of a list, one wide.
constexpr std::string_view kNothing = "&zwnj;&nbsp;";

bool IsSpace(char c) { return static_cast<uint8_t>(c) <= 0x20 || c == 0x7F; }

}  // namespace

size_t PreheaderPlace(std::string_view html) {
  const auto behind = [&](size_t from) {
    const size_t close = html.find('>', from);
    return close == std::string_view::npos ? html.size() : close + 1;
  };
  size_t place = 0;
  HtmlReader reader(html);
  for (HtmlToken token = reader.Next(); token.kind != HtmlToken::Kind::kEnd; token = reader.Next()) {
    if (token.kind == HtmlToken::Kind::kOpen && token.name == "body")
      return behind(static_cast<size_t>(token.text.data() - html.data()) + token.text.size());
    if (token.kind == HtmlToken::Kind::kClose && token.name == "head") place = behind(token.offset);
  }
  if (place > 0) return place;
  // No <body> and no <head>: behind <!doctype> and <html>, if they come first.
  size_t at = 0;
  for (;;) {
    while (at < html.size() && IsSpace(html[at])) ++at;
    const std::string_view rest = html.substr(at);
    const auto begins = [&](std::string_view word) {
      if (rest.size() < word.size()) return false;
      for (size_t i = 0; i < word.size(); ++i) {
        const char c = rest[i] >= 'A' && rest[i] <= 'Z' ? static_cast<char>(rest[i] + 32) : rest[i];
        if (c != word[i]) return false;
      }
      return true;
    };
    const size_t close = begins("<!doctype") || begins("<html") ? rest.find('>') : std::string_view::npos;
    if (close == std::string_view::npos) return place;
    at += close + 1;
    place = at;
  }
}

void PutPreheader(std::string_view text, std::string& out) {
  std::string shown;
  size_t characters = 0;
  for (const char c : text) {
    if (IsSpace(c)) {
      if (!shown.empty() && shown.back() != ' ') shown.push_back(' ');
    } else {
      shown.push_back(c);
    }
    characters += (static_cast<uint8_t>(c) & 0xC0) != 0x80;
  }
  if (shown.ends_with(' ')) shown.pop_back();
  if (shown.empty()) return;
  out += "<div style=\"display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden;mso-hide:all\">";
  PutHtml(shown, out);
  for (; characters < kPreheaderShownMax; ++characters) out += kNothing;
  out += "</div>";
}

}  // namespace maily::personalization
