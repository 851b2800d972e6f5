// A tolerant scan of tags: enough of HTML to find hrefs, never a reason to refuse a mail.
#include "processors/personalization/links.h"

#include <optional>
#include <unordered_set>

namespace maily::personalization {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f'; }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool IsAlnum(char c) { return (c >= '0' && c <= '9') || (Lower(c) >= 'a' && Lower(c) <= 'z'); }

// `lower` is lower-case.
bool StartsWithNoCase(std::string_view text, std::string_view lower) {
  if (text.size() < lower.size()) return false;
  for (size_t i = 0; i < lower.size(); ++i) {
    if (Lower(text[i]) != lower[i]) return false;
  }
  return true;
}

size_t FindNoCase(std::string_view text, std::string_view lower, size_t from) {
  for (size_t at = from; at + lower.size() <= text.size(); ++at) {
    if (StartsWithNoCase(text.substr(at), lower)) return at;
  }
  return std::string_view::npos;
}

// The length of "http://" or "https://" at the front; 0 = neither.
size_t SchemeSize(std::string_view url) {
  if (StartsWithNoCase(url, "https://")) return 8;
  if (StartsWithNoCase(url, "http://")) return 7;
  return 0;
}

bool CanBeTracked(std::string_view target) {
  const size_t scheme = SchemeSize(target);
  if (scheme == 0 || target.size() == scheme || target.size() > kTargetBytesMax) return false;
  if (target.find("{{") != std::string_view::npos || target.find("{%") != std::string_view::npos) return false;
  for (const char c : target) {
    if (static_cast<uint8_t>(c) <= 0x20 || c == 0x7F) return false;
  }
  return true;
}

// An ampersand by any of its names in HTML; what comes of it is not looked at again.
std::string DecodeAmp(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    out.push_back(text[i]);
    if (text[i] != '&') continue;
    for (const std::string_view name : {"&amp;", "&#38;", "&#x26;"}) {
      if (!StartsWithNoCase(text.substr(i), name)) continue;
      i += name.size() - 1;
      break;
    }
  }
  return out;
}

class HtmlScan {
 public:
  explicit HtmlScan(std::string_view html) : html_(html) {}

  std::vector<LinkPlace> Run() {
    size_t at = 0;
    while ((at = html_.find('<', at)) != std::string_view::npos) at = Markup(at);
    if (untracked_) places_.clear();
    return std::move(places_);
  }
  // After Run.
  bool untracked() const { return untracked_; }

 private:
  // What a tag is to a link.
  enum class Tag : uint8_t { kOther, kAnchor, kRoot };

  // Handles what begins with the '<' at `at`; gives where to go on.
  size_t Markup(size_t at) {
    const std::string_view rest = html_.substr(at);
    if (rest.starts_with("<!--")) {
      const size_t end = html_.find("-->", at + 4);
      return end == std::string_view::npos ? html_.size() : end + 3;
    }
    size_t name_end = at + 1;
    while (name_end < html_.size() && IsAlnum(html_[name_end])) ++name_end;
    const std::string_view name = html_.substr(at + 1, name_end - at - 1);
    if (name.empty()) return at + 1;  // </x>, <!doctype>, or a lone <
    const bool ends = name_end < html_.size() && (IsSpace(html_[name_end]) || html_[name_end] == '/');
    Tag tag = Tag::kOther;
    if (name.size() == 1 && Lower(name[0]) == 'a' && ends) tag = Tag::kAnchor;
    if (name.size() == 4 && (StartsWithNoCase(name, "html") || StartsWithNoCase(name, "body")) && ends) tag = Tag::kRoot;
    const size_t end = Attributes(name_end, tag);
    for (const std::string_view raw : {"script", "style"}) {
      if (name.size() == raw.size() && StartsWithNoCase(name, raw)) {
        const size_t close = FindNoCase(html_, raw == "script" ? "</script" : "</style", end);
        return close == std::string_view::npos ? html_.size() : close;
      }
    }
    return end;
  }

  // Walks the attributes of a tag; gives the offset after its '>'.
  size_t Attributes(size_t at, Tag tag) {
    bool seen_href = false;  // only the first of an element counts
    const size_t before = places_.size();
    while (at < html_.size()) {
      while (at < html_.size() && (IsSpace(html_[at]) || html_[at] == '/')) ++at;
      if (at >= html_.size()) return at;
      if (html_[at] == '>') return at + 1;
      const size_t name_begin = at;
      while (at < html_.size() && !IsSpace(html_[at]) && html_[at] != '=' && html_[at] != '>' && html_[at] != '/') ++at;
      if (at == name_begin) ++at;
      const std::string_view name = html_.substr(name_begin, at - name_begin);
      while (at < html_.size() && IsSpace(html_[at])) ++at;
      if (at >= html_.size() || html_[at] != '=') continue;
      ++at;
      while (at < html_.size() && IsSpace(html_[at])) ++at;
      if (at >= html_.size()) return at;
      size_t begin = at;
      size_t end = at;
      if (html_[at] == '"' || html_[at] == '\'') {
        begin = at + 1;
        end = html_.find(html_[at], begin);
        if (end == std::string_view::npos) return html_.size();
        at = end + 1;
      } else {
        while (at < html_.size() && !IsSpace(html_[at]) && html_[at] != '>') ++at;
        end = at;
      }
      if (tag == Tag::kOther) continue;
      const std::string_view value = html_.substr(begin, end - begin);
      constexpr std::string_view kTrack = "data-track";
      if (name.size() == kTrack.size() && StartsWithNoCase(name, kTrack) && value.size() == 5 && StartsWithNoCase(value, "false")) {
        // Wherever it stands in the tag.
        if (tag == Tag::kRoot) untracked_ = true;
        places_.resize(before);
        seen_href = true;
      }
      if (tag == Tag::kAnchor && !seen_href && name.size() == 4 && StartsWithNoCase(name, "href")) {
        seen_href = true;
        AddHref(begin, end);
      }
    }
    return at;
  }

  void AddHref(size_t begin, size_t end) {
    while (begin < end && IsSpace(html_[begin])) ++begin;
    while (end > begin && IsSpace(html_[end - 1])) --end;
    std::string target = DecodeAmp(html_.substr(begin, end - begin));
    if (CanBeTracked(target)) places_.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end - begin), std::move(target)});
  }

  const std::string_view html_;
  std::vector<LinkPlace> places_;
  bool untracked_ = false;
};

bool EndsUrl(char c) { return static_cast<uint8_t>(c) <= 0x20 || c == '<' || c == '>' || c == '"' || c == 0x7F; }

// Takes closing punctuation off: "(see https://a.example/x_(y))." has the target https://a.example/x_(y)
size_t TrimPunctuation(std::string_view url) {
  while (!url.empty()) {
    const char last = url.back();
    if (last == ')' || last == ']') {
      const char opening = last == ')' ? '(' : '[';
      int depth = 0;
      for (const char c : url) depth += c == opening ? 1 : c == last ? -1 : 0;
      if (depth >= 0) break;
    } else if (std::string_view(".,;:!?'*").find(last) == std::string_view::npos) {
      break;
    }
    url.remove_suffix(1);
  }
  return url.size();
}

}  // namespace

std::vector<LinkPlace> FindLinksInHtml(std::string_view html) { return HtmlScan(html).Run(); }

bool IsUntracked(std::string_view html) {
  HtmlScan scan(html);
  scan.Run();
  return scan.untracked();
}

std::vector<LinkPlace> FindLinksInText(std::string_view text) {
  std::vector<LinkPlace> places;
  size_t at = 0;
  while ((at = FindNoCase(text, "http", at)) != std::string_view::npos) {
    const bool starts_word = at == 0 || !IsAlnum(text[at - 1]);
    if (!starts_word || SchemeSize(text.substr(at)) == 0) {
      at += 4;
      continue;
    }
    size_t end = at;
    while (end < text.size() && !EndsUrl(text[end])) ++end;
    const std::string_view run = text.substr(at, end - at);
    const size_t size = TrimPunctuation(run);
    // A run that holds a placeholder is personal: as a whole not tracked, whatever stands before the placeholder.
    if (run.find("{{") == std::string_view::npos && CanBeTracked(run.substr(0, size))) {
      places.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(size), std::string(run.substr(0, size))});
    }
    at = end;
  }
  return places;
}

std::vector<std::string> LinkTable(std::string_view html, std::string_view text, std::span<const std::string_view> more_html,
                                   std::span<const std::string_view> more_text) {
  std::vector<std::string> table;
  if (IsUntracked(html)) return table;
  std::unordered_set<std::string> seen;
  const auto add = [&](const std::vector<LinkPlace>& places) {
    for (const LinkPlace& place : places) {
      if (table.size() < kLinksMax && seen.insert(place.target).second) table.push_back(place.target);
    }
  };
  add(FindLinksInHtml(html));
  for (const std::string_view more : more_html) add(FindLinksInHtml(more));
  add(FindLinksInText(text));
  for (const std::string_view more : more_text) add(FindLinksInText(more));
  return table;
}

}  // namespace maily::personalization
