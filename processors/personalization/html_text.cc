// One pass: tags change how the next words are set, words go to lines.
#include "processors/personalization/html_text.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "processors/personalization/html_entities.h"
#include "processors/personalization/html_tags.h"

namespace maily::personalization {
namespace {

constexpr size_t kLevelsMax = 16;     // of lists and quotes that are shown by an indent
constexpr size_t kUnderlineMax = 72;  // characters
constexpr size_t kTablesMax = 64;     // open at once; further ones are as those without a role

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v'; }

// Ones that have lines of their own, and those with an empty line around them.
const std::set<std::string_view>& Blocks() {
  static const std::set<std::string_view> names = {
      "address", "article", "aside", "center", "dd",  "details", "div",     "dl",      "dt", "fieldset", "figcaption", "figure", "footer",
      "form",    "header",  "li",    "main",   "nav", "option",  "section", "summary", "tr", "caption",  "body",       "html",   "legend"};
  return names;
}
const std::set<std::string_view>& Paragraphs() {
  static const std::set<std::string_view> names = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "blockquote", "pre", "table", "hr"};
  return names;
}
// Whose content is no text.
bool IsSilent(std::string_view name) {
  return name == "script" || name == "style" || name == "head" || name == "template" || name == "noscript" || name == "svg" ||
         name == "object" || name == "iframe" || name == "select" || name == "textarea";
}
// Those that have no content, so they hide nothing.
bool IsVoid(std::string_view name) {
  static const std::set<std::string_view> names = {"area", "base",  "br",   "col",  "embed",  "hr",
                                                   "img",  "input", "link", "meta", "source", "wbr"};
  return names.contains(name);
}

bool IsHidden(const HtmlToken& tag) {
  bool hidden = false;
  AttributeOf(tag.text, "hidden", &hidden);
  if (hidden) return true;
  std::string style;
  for (const char c : AttributeOf(tag.text, "style")) {
    if (!IsSpace(c)) style.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
  }
  return style.find("display:none") != std::string::npos;
}

// Words to lines.
class Lines {
 public:
  // Text whose runs of white space are one space each.
  void Flow(std::string_view text) {
    for (size_t i = 0; i < text.size();) {
      if (IsSpace(text[i])) {
        space_ = true;
        ++i;
        continue;
      }
      size_t end = i;
      while (end < text.size() && !IsSpace(text[end])) ++end;
      Word(text.substr(i, end - i));
      i = end;
    }
  }
  // Text as it stands.
  void Plain(std::string_view text) {
    for (const char c : text) {
      if (c == '\r') continue;
      if (c == '\n') {
        NewLine();
        continue;
      }
      Begin();
      out_.push_back(IsSpace(c) ? ' ' : c);
    }
  }
  // At least so many line ends before the next word: 2 = an empty line.
  void Break(size_t ends) {
    space_ = false;
    if (!out_.empty()) ends_ = std::max(ends_, ends);
  }
  // One more, for <br>.
  void NewLine() {
    space_ = false;
    if (!out_.empty()) ends_ = std::min<size_t>(2, ends_ + 1);
  }
  // In front of the next line, once: the mark of a list item.
  void Mark(std::string mark) { mark_ = std::move(mark); }
  void Indent(std::string_view with) { indent_ += with; }
  void Outdent(size_t bytes) { indent_.resize(indent_.size() - std::min(bytes, indent_.size())); }
  // Something was written since `size`, and no line ended after it.
  bool InLine() const { return ends_ == 0 && !out_.empty(); }
  void Space() { space_ = true; }
  size_t size() const { return out_.size(); }
  std::string_view Since(size_t size) const { return std::string_view(out_).substr(std::min(size, out_.size())); }

  std::string Take() {
    // No blank at the end of a line.
    std::string clean;
    size_t from = 0;
    while (from < out_.size()) {
      const size_t end = std::min(out_.find('\n', from), out_.size());
      size_t last = end;
      while (last > from && out_[last - 1] == ' ') --last;
      const bool again = last == from && (clean.empty() || clean.ends_with("\n\n"));  // an empty line behind another one, or in front
      if (!again) clean.append(out_, from, last - from).push_back('\n');
      from = end + 1;
    }
    while (clean.ends_with("\n\n")) clean.pop_back();
    return clean;
  }

 private:
  void Begin() {
    if (ends_ > 0) {
      for (size_t i = 0; i < ends_; ++i) {
        out_.push_back('\n');
        if (i + 1 < ends_) out_ += indent_.starts_with('>') ? Quotes() : std::string_view();
      }
      ends_ = 0;
      space_ = false;
      begins_ = true;
    }
    if (out_.empty()) begins_ = true;
    if (!std::exchange(begins_, false)) return;
    space_ = false;
    if (mark_.empty()) {
      out_ += indent_;
    } else {
      // The mark stands where its item's indent ends.
      out_.append(indent_, 0, indent_.size() - std::min(indent_.size(), mark_.size()));
      out_ += std::exchange(mark_, {});
    }
  }
  std::string_view Quotes() const { return std::string_view(indent_).substr(0, indent_.find_last_of('>') + 1); }
  void Word(std::string_view word) {
    Begin();
    if (std::exchange(space_, false)) out_.push_back(' ');
    out_ += word;
  }

  std::string out_;
  std::string indent_;
  std::string mark_;
  size_t ends_ = 0;
  bool space_ = false;
  bool begins_ = false;
};

// Without what has no width, and with plain spaces.
std::string Visible(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    if (rest.starts_with("\xC2\xA0")) {  // no-break space
      out.push_back(' ');
      i += 2;
    } else if (rest.starts_with("\xC2\xAD") || rest.starts_with("\xCD\x8F")) {  // soft hyphen, grapheme joiner
      i += 2;
    } else if (rest.starts_with("\xE2\x80\x8B") || rest.starts_with("\xE2\x80\x8C") || rest.starts_with("\xE2\x80\x8D") ||
               rest.starts_with("\xE2\x80\x8E") || rest.starts_with("\xE2\x80\x8F") || rest.starts_with("\xEF\xBB\xBF")) {
      i += 3;  // of zero width
    } else {
      if (text[i] != '\0' && text[i] != '\x7F' && (static_cast<uint8_t>(text[i]) >= 0x20 || IsSpace(text[i]))) out.push_back(text[i]);
      ++i;
    }
  }
  return out;
}

// References are resolved outside of {{ }} and {% %} alone: there they are the template's.
std::string TextOf(std::string_view source) {
  std::string out;
  for (size_t at = 0; at < source.size();) {
    const size_t open = std::min(source.find('{', at), source.size());
    out += DecodeEntities(source.substr(at, open - at));
    at = open;
    if (at == source.size()) break;
    const bool braces = at + 1 < source.size() && (source[at + 1] == '{' || source[at + 1] == '%');
    const size_t end = braces ? source.substr(at, 4096).find(source[at + 1] == '{' ? "}}" : "%}", 2) : std::string_view::npos;
    const size_t size = end == std::string_view::npos ? 1 : end + 2;
    out.append(source, at, size);
    at += size;
  }
  return Visible(out);
}

size_t Characters(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

class Writer {
 public:
  std::string Run(std::string_view html) {
    HtmlReader reader(html);
    for (HtmlToken token = reader.Next(); token.kind != HtmlToken::Kind::kEnd; token = reader.Next()) {
      if (token.kind == HtmlToken::Kind::kText) {
        if (in_title_) title_ += TextOf(token.text);
        if (!hidden_in_.empty()) continue;
        in_pre_ > 0 ? lines_.Plain(TextOf(token.text)) : lines_.Flow(TextOf(token.text));
      } else if (token.kind == HtmlToken::Kind::kOpen) {
        Open(token);
      } else {
        Close(token.name);
      }
    }
    CloseLink();
    std::string text = lines_.Take();
    if (!Trim(text).empty()) return text;
    Lines title;
    title.Flow(title_);
    return title.Take();
  }

 private:
  struct List {
    bool numbered = false;
    size_t next = 1;
    size_t indent = 0;
  };

  void Open(const HtmlToken& tag) {
    const std::string& name = tag.name;
    if (name == "title") in_title_ = true;
    if (!hidden_in_.empty()) {
      if (name == hidden_in_ && !tag.closes_itself) ++hidden_depth_;
      return;
    }
    if (!IsVoid(name) && !tag.closes_itself && (IsSilent(name) || name == "title" || IsHidden(tag))) {
      hidden_in_ = name;
      hidden_depth_ = 1;
      return;
    }
    if (name == "br") return lines_.NewLine();
    if (Paragraphs().contains(name)) lines_.Break(lists_.empty() || (name != "ul" && name != "ol") ? 2 : 1);
    if (Blocks().contains(name)) lines_.Break(1);
    if (name == "hr") {
      lines_.Flow("----------");
      return lines_.Break(2);
    }
    if (name == "img") return Image(tag);
    if (name == "a") return OpenLink(tag);
    if (name == "pre") ++in_pre_;
    if (name == "h1" || name == "h2") {
      heading_ = lines_.size();
      in_heading_ = true;
    }
    if (name == "blockquote" && quotes_ < kLevelsMax) {
      lines_.Indent("> ");
      ++quotes_;
    }
    if (name == "ul" || name == "ol") {
      const bool shown = lists_.size() < kLevelsMax;
      lists_.push_back({.numbered = name == "ol", .next = 1, .indent = shown ? (name == "ol" ? size_t{3} : size_t{2}) : 0});
      lines_.Indent(std::string(lists_.back().indent, ' '));
    }
    if (name == "li") Item();
    if (name == "table" && tables_.size() < kTablesMax) {
      const std::string role = AttributeOf(tag.text, "role");
      tables_.push_back(role == "presentation" || role == "none");
    }
    if (name == "tr") first_cell_ = true;
    if (name == "td" || name == "th") Cell();
  }

  void Close(const std::string& name) {
    if (name == "title") in_title_ = false;
    if (!hidden_in_.empty()) {
      if (name == hidden_in_ && --hidden_depth_ == 0) hidden_in_.clear();
      return;
    }
    if (name == "a") return CloseLink();
    if ((name == "h1" || name == "h2") && in_heading_) Underline(name == "h1" ? '=' : '-');
    if (name == "pre" && in_pre_ > 0) --in_pre_;
    if (Paragraphs().contains(name)) lines_.Break(lists_.size() > 1 && (name == "ul" || name == "ol") ? 1 : 2);
    if (Blocks().contains(name)) lines_.Break(1);
    if (name == "blockquote" && quotes_ > 0) {
      lines_.Outdent(2);
      --quotes_;
    }
    if ((name == "ul" || name == "ol") && !lists_.empty()) {
      lines_.Outdent(lists_.back().indent);
      lists_.pop_back();
    }
    if (name == "table" && !tables_.empty()) tables_.pop_back();
  }

  void Item() {
    if (lists_.empty()) return lines_.Mark("* ");
    List& list = lists_.back();
    if (list.indent == 0) return;
    lines_.Mark(list.numbered ? std::to_string(list.next++ % 1000) + ". " : "* ");
  }

  void Cell() {
    if (tables_.empty() || tables_.back()) return lines_.Break(1);
    if (!std::exchange(first_cell_, false) && lines_.InLine()) {
      lines_.Space();
      lines_.Flow("|");
    }
    lines_.Space();
  }

  void Image(const HtmlToken& tag) {
    const std::string alt = Visible(AttributeOf(tag.text, "alt"));
    if (!Trim(alt).empty()) lines_.Flow(alt);
  }

  void OpenLink(const HtmlToken& tag) {
    CloseLink();
    target_ = std::string(Trim(Visible(AttributeOf(tag.text, "href"))));
    const auto is = [&](std::string_view scheme) {
      return target_.size() >= scheme.size() && std::equal(scheme.begin(), scheme.end(), target_.begin(),
                                                           [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
    };
    if (target_.starts_with('#') || is("javascript:") || target_.find_first_of("<>\n") != std::string::npos) target_.clear();
    link_at_ = lines_.size();
  }
  void CloseLink() {
    const std::string target = std::exchange(target_, {});
    if (target.empty()) return;
    const std::string_view name = Trim(lines_.Since(link_at_));
    // "mailto:a@b.example" is named a@b.example.
    if (name == target || (target.starts_with("mailto:") && name == std::string_view(target).substr(7))) return;
    if (!name.empty()) {
      lines_.Space();
      return lines_.Flow("<" + target + ">");
    }
    lines_.Flow(target);
  }

  void Underline(char with) {
    in_heading_ = false;
    const std::string_view line = Trim(lines_.Since(heading_));
    if (line.empty() || line.find('\n') != std::string_view::npos) return;
    const size_t width = std::min(kUnderlineMax, Characters(line));
    lines_.Break(1);
    lines_.Flow(std::string(width, with));
  }

  Lines lines_;
  std::vector<List> lists_;
  std::vector<bool> tables_;  // of presentation
  std::string hidden_in_;     // the element that nothing is shown of, or empty
  size_t hidden_depth_ = 0;
  std::string title_;
  bool in_title_ = false;
  size_t in_pre_ = 0;
  size_t quotes_ = 0;
  bool first_cell_ = true;
  std::string target_;  // of the link that is open, or empty
  size_t link_at_ = 0;
  size_t heading_ = 0;
  bool in_heading_ = false;
};

}  // namespace

std::string TextFromHtml(std::string_view html) { return Writer().Run(html); }

}  // namespace maily::personalization
