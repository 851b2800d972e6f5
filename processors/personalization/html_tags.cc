// See html_tags.h.
#include "processors/personalization/html_tags.h"

#include <algorithm>
#include <utility>

#include "processors/personalization/html_entities.h"

namespace maily::personalization {
namespace {

constexpr size_t kBracesMax = 4096;  // bytes of what stands between {{ }}: bounds the search for the end of those that have none

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f'; }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool IsLetter(char c) { return Lower(c) >= 'a' && Lower(c) <= 'z'; }
bool IsName(char c) { return IsLetter(c) || (c >= '0' && c <= '9') || c == '-' || c == ':'; }

bool StartsWithNoCase(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() && std::equal(lower.begin(), lower.end(), text.begin(), [](char a, char b) { return a == Lower(b); });
}

// Where {{ or {% at `at` ends; `at` itself: none begins there, or it does not end.
size_t AfterBraces(std::string_view html, size_t at) {
  const std::string_view rest = html.substr(at);
  if (!rest.starts_with("{{") && !rest.starts_with("{%")) return at;
  const size_t end = rest.substr(0, kBracesMax).find(rest[1] == '{' ? "}}" : "%}", 2);
  return end == std::string_view::npos ? at : at + end + 2;
}

bool IsRaw(std::string_view name) { return name == "script" || name == "style" || name == "title" || name == "textarea"; }

}  // namespace

HtmlToken HtmlReader::Next() {
  if (!raw_.empty()) {
    const std::string closing = "</" + std::exchange(raw_, {});
    size_t end = at_;
    while ((end = html_.find('<', end)) != std::string_view::npos && !StartsWithNoCase(html_.substr(end), closing)) ++end;
    end = std::min(end, html_.size());
    const HtmlToken text{.kind = HtmlToken::Kind::kText, .text = html_.substr(at_, end - at_), .offset = at_};
    at_ = end;
    if (!text.text.empty()) return text;
  }
  size_t begin = at_;
  while (at_ < html_.size()) {
    if (html_[at_] == '{') {
      const size_t after = AfterBraces(html_, at_);
      at_ = std::max(after, at_ + 1);
      continue;
    }
    const std::string_view rest = html_.substr(at_);
    const bool tag = rest.size() > 1 && rest[0] == '<' &&
                     (IsLetter(rest[1]) || rest[1] == '!' || rest[1] == '?' || (rest[1] == '/' && rest.size() > 2 && IsLetter(rest[2])));
    if (!tag) {
      ++at_;
      continue;
    }
    if (at_ > begin) break;
    if (rest[1] == '!' || rest[1] == '?') {
      const bool comment = rest.starts_with("<!--");
      const size_t end = html_.find(comment ? "-->" : ">", at_ + (comment ? 4 : 2));
      begin = at_ = end == std::string_view::npos ? html_.size() : end + (comment ? 3 : 1);
      continue;
    }
    return Tag(at_);
  }
  if (at_ == begin) return {.offset = at_};
  return {.kind = HtmlToken::Kind::kText, .text = html_.substr(begin, at_ - begin), .offset = begin};
}

HtmlToken HtmlReader::Tag(size_t open) {
  HtmlToken token{.kind = html_[open + 1] == '/' ? HtmlToken::Kind::kClose : HtmlToken::Kind::kOpen, .offset = open};
  at_ = open + (token.kind == HtmlToken::Kind::kClose ? 2 : 1);
  while (at_ < html_.size() && IsName(html_[at_])) token.name.push_back(Lower(html_[at_++]));
  const size_t from = at_;
  char quote = 0;
  char last = 0;  // that is no white space
  for (; at_ < html_.size(); ++at_) {
    if (const size_t after = AfterBraces(html_, at_); after > at_) {
      at_ = after - 1;
    } else if (quote != 0) {
      if (html_[at_] == quote) quote = 0;
    } else if (html_[at_] == '>') {
      break;
    } else if ((html_[at_] == '"' || html_[at_] == '\'') && last == '=') {
      quote = html_[at_];
    }
    if (!IsSpace(html_[at_])) last = html_[at_];
  }
  token.text = html_.substr(from, at_ - from);
  token.closes_itself = token.text.ends_with('/');
  at_ = std::min(html_.size(), at_ + 1);
  if (token.kind == HtmlToken::Kind::kOpen && !token.closes_itself && IsRaw(token.name)) raw_ = token.name;
  return token;
}

std::string AttributeOf(std::string_view attributes, std::string_view lower_name, bool* has) {
  if (has != nullptr) *has = false;
  for (size_t at = 0; at < attributes.size();) {
    while (at < attributes.size() && (IsSpace(attributes[at]) || attributes[at] == '/')) ++at;
    const size_t begin = at;
    while (at < attributes.size() && !IsSpace(attributes[at]) && attributes[at] != '=') at = std::max(AfterBraces(attributes, at), at + 1);
    const std::string_view name = attributes.substr(begin, at - begin);
    while (at < attributes.size() && IsSpace(attributes[at])) ++at;
    std::string_view value;
    if (at < attributes.size() && attributes[at] == '=') {
      ++at;
      while (at < attributes.size() && IsSpace(attributes[at])) ++at;
      const char quote = at < attributes.size() && (attributes[at] == '"' || attributes[at] == '\'') ? attributes[at] : '\0';
      if (quote != 0) ++at;
      const size_t from = at;
      while (at < attributes.size() && (quote != 0 ? attributes[at] != quote : !IsSpace(attributes[at])))
        at = std::max(AfterBraces(attributes, at), at + 1);
      value = attributes.substr(from, at - from);
      if (quote != 0 && at < attributes.size()) ++at;
    }
    if (name.size() != lower_name.size() || !StartsWithNoCase(name, lower_name)) continue;
    if (has != nullptr) *has = true;
    return DecodeEntities(value);
  }
  return {};
}

}  // namespace maily::personalization
