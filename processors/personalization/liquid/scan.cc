// See scan.h.
#include "processors/personalization/liquid/scan.h"

#include <algorithm>

namespace maily::liquid {
namespace {

size_t SkipSpace(std::string_view text, size_t at) {
  while (at < text.size() && IsSpace(text[at])) ++at;
  return at;
}

// The bytes of a string in quotes at `at`; 0: there is none, or it has no end.
size_t QuotedAt(std::string_view text, size_t at) {
  if (at >= text.size() || (text[at] != '"' && text[at] != '\'')) return 0;
  const size_t end = text.find(text[at], at + 1);
  return end == std::string_view::npos ? 0 : end + 1 - at;
}

}  // namespace

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

bool IsAllSpace(std::string_view text) { return std::all_of(text.begin(), text.end(), IsSpace); }

std::string_view Splitter::Take(size_t n) {
  const std::string_view taken = rest_.substr(0, n);
  rest_.remove_prefix(taken.size());
  return taken;
}

std::optional<std::string_view> Splitter::Next() {
  if (rest_.empty()) return std::nullopt;
  if (lines_) {
    const size_t end = rest_.find('\n');
    const std::string_view line = Take(end);
    if (end != std::string_view::npos) Take(1);
    return line;
  }
  if (rest_.starts_with("{%")) {
    const size_t end = rest_.find("%}", 2);
    return Take(end == std::string_view::npos ? end : end + 2);
  }
  if (rest_.starts_with("{{")) {
    // A tag may begin before the output has ended: then they are one piece, up to the end of the tag.
    for (size_t at = 2; at + 1 < rest_.size(); ++at) {
      if (rest_[at] == '}' && rest_[at + 1] == '}') return Take(at + 2);
      if (rest_[at] == '{' && rest_[at + 1] == '%') {
        const size_t end = rest_.find("%}", at + 2);
        return Take(end == std::string_view::npos ? end : end + 2);
      }
    }
    return Take(rest_.size());
  }
  size_t at = 0;
  while ((at = rest_.find('{', at)) != std::string_view::npos) {
    if (at + 1 < rest_.size() && (rest_[at + 1] == '{' || rest_[at + 1] == '%')) break;
    ++at;
  }
  return Take(at);
}

std::optional<Tag> ReadTag(std::string_view piece) {
  if (piece.size() < 5 || !piece.starts_with("{%") || !piece.ends_with("%}")) return std::nullopt;
  std::string_view inside = piece.substr(2, piece.size() - 4);
  if (inside.starts_with('-')) inside.remove_prefix(1);
  const auto tag = ReadLineTag(inside);
  if (!tag) return std::nullopt;
  std::string_view markup = tag->markup;
  if (markup.ends_with('-')) markup.remove_suffix(1);
  return Tag{tag->name, markup};
}

std::optional<Tag> ReadLineTag(std::string_view line) {
  const size_t begin = SkipSpace(line, 0);
  size_t end = begin;
  if (end < line.size() && line[end] == '#') {
    ++end;
  } else {
    while (end < line.size() && IsWord(line[end])) ++end;
  }
  if (end == begin) return std::nullopt;
  const size_t markup = SkipSpace(line, end);
  return Tag{line.substr(begin, end - begin), line.substr(markup)};
}

std::optional<ClosingTag> ReadClosingTag(std::string_view piece) {
  if (!piece.ends_with("%}")) return std::nullopt;
  for (size_t open = piece.size(); (open = piece.rfind("{%", open)) != std::string_view::npos; --open) {
    const auto tag = ReadTag(piece.substr(open));
    if (tag && tag->name != "#") return ClosingTag{open, tag->name};
    if (open == 0) break;
  }
  return std::nullopt;
}

size_t FragmentAt(std::string_view text, size_t at) {
  if (const size_t quoted = QuotedAt(text, at); quoted > 0) return quoted;
  size_t end = at;
  while (end < text.size()) {
    const char c = text[end];
    if (c == '"' || c == '\'') {
      const size_t quoted = QuotedAt(text, end);
      if (quoted == 0) break;
      end += quoted;
    } else if (IsSpace(c) || c == ',' || c == '|') {
      break;
    } else {
      ++end;
    }
  }
  return end - at;
}

std::string_view FindFragment(std::string_view text, size_t at) {
  for (; at < text.size(); ++at) {
    if (const size_t size = FragmentAt(text, at); size > 0) return text.substr(at, size);
  }
  return {};
}

std::vector<std::pair<std::string_view, std::string_view>> FindAttributes(std::string_view markup) {
  std::vector<std::pair<std::string_view, std::string_view>> found;
  size_t at = 0;
  while (at < markup.size()) {
    if (!IsWord(markup[at])) {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < markup.size() && IsNamePart(markup[end])) ++end;
    const size_t colon = SkipSpace(markup, end);
    if (colon < markup.size() && markup[colon] == ':') {
      const size_t value = SkipSpace(markup, colon + 1);
      if (const size_t size = FragmentAt(markup, value); size > 0) {
        found.emplace_back(markup.substr(at, end - at), markup.substr(value, size));
        at = value + size;
        continue;
      }
    }
    at = end;
  }
  return found;
}

}  // namespace maily::liquid
