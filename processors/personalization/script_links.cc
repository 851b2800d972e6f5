// See script_links.h.
#include "processors/personalization/script_links.h"

#include <fmt/format.h>

#include <algorithm>

#include "processors/personalization/html_tags.h"

namespace maily::personalization {
namespace {

constexpr size_t kShownMax = 50;

// As browsers read it: without white space and control characters, in lower case; the first letters are enough.
std::string Scheme(std::string_view address) {
  std::string scheme;
  for (const char c : address) {
    if (static_cast<uint8_t>(c) <= 0x20 || c == 0x7F) continue;
    scheme.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
    if (scheme.size() == 16) break;
  }
  return scheme;
}

bool Runs(std::string_view address) {
  const std::string scheme = Scheme(address);
  return scheme.starts_with("javascript:") || scheme.starts_with("vbscript:") || scheme.starts_with("data:text/");
}

Violation At(std::string_view html, size_t offset, std::string message) {
  const std::string_view before = html.substr(0, offset);
  const std::string_view last = before.substr(before.rfind('\n') + 1);
  const auto line = static_cast<uint32_t>(std::ranges::count(before, '\n')) + 1;
  const auto column =
      static_cast<uint32_t>(std::ranges::count_if(last, [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; })) + 1;
  return {"script_link", Part::kHtml, line, column, std::move(message), {}};
}

}  // namespace

std::vector<Violation> ScriptLinks(std::string_view html) {
  std::vector<Violation> found;
  HtmlReader reader(html);
  for (HtmlToken token = reader.Next(); token.kind != HtmlToken::Kind::kEnd && found.size() < kShownMax; token = reader.Next()) {
    if (token.kind != HtmlToken::Kind::kOpen) continue;
    if (token.name == "script" && AttributeOf(token.text, "type") != "application/ld+json")
      found.push_back(At(html, token.offset, "No reader of mail runs a script, and filters refuse such mails."));
    for (const char* name : {"href", "src", "action", "formaction", "background"}) {
      if (!Runs(AttributeOf(token.text, name))) continue;
      found.push_back(At(html, token.offset, fmt::format("This {} would run a script; link to a page.", name)));
    }
  }
  return found;
}

}  // namespace maily::personalization
