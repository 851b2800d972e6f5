// See locales.h.
#include "processors/personalization/locales.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "processors/personalization/html_tags.h"

namespace maily::personalization {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

}  // namespace

std::string CanonicalLocale(std::string_view tag) {
  if (tag.empty() || tag.size() > kLocaleBytesMax) return {};
  std::string made;
  for (size_t from = 0, part = 0; from <= tag.size(); ++part) {
    const size_t end = std::min(tag.find_first_of("-_", from), tag.size());
    const std::string_view piece = tag.substr(from, end - from);
    const bool letters = std::ranges::all_of(piece, IsLetter);
    if (piece.empty() || piece.size() > 8 || !std::ranges::all_of(piece, [](char c) { return IsLetter(c) || IsDigit(c); })) return {};
    if (part == 0 && (!letters || piece.size() < 2)) return {};
    if (part > 0) made.push_back('-');
    for (size_t i = 0; i < piece.size(); ++i) {
      const bool region = part > 0 && piece.size() == 2 && letters;
      const bool script = part > 0 && piece.size() == 4 && letters;
      made.push_back(region || (script && i == 0) ? Upper(piece[i]) : Lower(piece[i]));
    }
    from = end + 1;
  }
  return made;
}

std::optional<size_t> ChooseLocale(std::span<const std::string_view> known, std::string_view wanted) {
  for (std::string tag = CanonicalLocale(wanted); !tag.empty();) {
    const auto found = std::ranges::find(known, tag);
    if (found != known.end()) return static_cast<size_t>(found - known.begin());
    const size_t last = tag.rfind('-');
    tag.erase(last == std::string::npos ? 0 : last);
  }
  return std::nullopt;
}

bool IsRightToLeft(std::string_view canonical) {
  static constexpr std::string_view kLanguages[] = {"ar", "ckb", "dv", "fa", "he", "iw", "ks", "ps", "sd", "ug", "ur", "yi"};
  if (canonical.find("-Latn") != std::string_view::npos || canonical.find("-Cyrl") != std::string_view::npos) return false;
  if (canonical.find("-Arab") != std::string_view::npos || canonical.find("-Hebr") != std::string_view::npos) return true;
  return std::ranges::find(kLanguages, canonical.substr(0, canonical.find('-'))) != std::end(kLanguages);
}

std::string WithLanguage(std::string_view html, std::string_view canonical) {
  if (canonical.empty()) return std::string(html);
  HtmlReader reader(html);
  for (HtmlToken token = reader.Next(); token.kind != HtmlToken::Kind::kEnd; token = reader.Next()) {
    if (token.kind != HtmlToken::Kind::kOpen || (token.name != "html" && token.name != "body")) continue;
    bool has_lang = false, has_dir = false;
    AttributeOf(token.text, "lang", &has_lang);
    AttributeOf(token.text, "dir", &has_dir);
    const size_t after_name = token.offset + 1 + token.name.size();
    std::string made(html.substr(0, after_name));
    if (!has_lang) made += fmt::format(" lang=\"{}\"", canonical);
    if (!has_dir && IsRightToLeft(canonical)) made += " dir=\"rtl\"";
    return made.append(html.substr(after_name));
  }
  return std::string(html);
}

}  // namespace maily::personalization
