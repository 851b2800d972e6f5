// Splits parts into pieces by hand: one pass, no backtracking.
#include "processors/personalization/template.h"

#include <fmt/format.h>

namespace maily::personalization {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsName(char c) { return IsNameStart(c) || (c >= '0' && c <= '9'); }

struct Place {
  uint32_t line = 1;
  uint32_t column = 1;
};

Place PlaceOf(std::string_view source, size_t offset) {
  Place place;
  for (const char c : source.substr(0, offset)) {
    if (c == '\n') {
      ++place.line;
      place.column = 1;
    } else if ((static_cast<uint8_t>(c) & 0xC0) != 0x80) {
      ++place.column;
    }
  }
  return place;
}

class PartParser {
 public:
  PartParser(Part part, std::string_view source, Parsed& parsed, size_t& placeholders)
      : part_(part), source_(source), parsed_(parsed), placeholders_(placeholders) {}

  std::vector<Piece> Run() {
    size_t literal = 0;
    size_t at = 0;
    while (at < source_.size()) {
      const size_t open = source_.find('{', at);
      if (open == std::string_view::npos || open + 1 >= source_.size()) break;
      const char second = source_[open + 1];
      if (second != '{' && second != '%') {
        at = open + 1;
        continue;
      }
      AddLiteral(literal, open);
      at = second == '%' ? Tag(open) : Placeholder(open);
      literal = at;
      if (placeholders_ > kPlaceholdersMax) {
        Add("too_large", open, fmt::format("The template has more than {} placeholders.", kPlaceholdersMax));
        return std::move(pieces_);
      }
    }
    AddLiteral(literal, source_.size());
    return std::move(pieces_);
  }

 private:
  void AddLiteral(size_t from, size_t to) {
    if (to > from) pieces_.push_back({Piece::Kind::kLiteral, static_cast<uint32_t>(from), static_cast<uint32_t>(to - from), 0});
  }
  void Add(std::string code, size_t offset, std::string message) {
    const Place place = PlaceOf(source_, offset);
    parsed_.violations.push_back({std::move(code), part_, place.line, place.column, std::move(message)});
  }

  // Where parsing goes on after something that was refused.
  size_t After(size_t open, std::string_view closing) const {
    const size_t end = source_.find(closing, open + 2);
    return end == std::string_view::npos ? source_.size() : end + 2;
  }

  size_t Tag(size_t open) {
    ++placeholders_;
    const size_t end = After(open, "%}");
    Add("syntax", open, "Tags like {% if %} are not supported yet; only plain placeholders like {{ contact.first_name }} are.");
    return end;
  }

  size_t Placeholder(size_t open) {
    ++placeholders_;
    const size_t close = source_.find("}}", open + 2);
    if (close == std::string_view::npos) {
      Add("syntax", open, "This {{ has no closing }}.");
      return source_.size();
    }
    size_t at = open + 2;
    if (source_[at] == '-' || source_[close - 1] == '-') {
      Add("syntax", open, "White-space control ({{- and -}}) is not supported yet; write {{ and }}.");
      return close + 2;
    }
    while (at < close && IsSpace(source_[at])) ++at;
    const size_t begin = at;
    bool plain = at < close && IsNameStart(source_[at]);
    while (at < close && (IsName(source_[at]) || (source_[at] == '.' && IsNameStart(source_[at + 1])))) ++at;
    const std::string_view name = source_.substr(begin, at - begin);
    size_t rest = at;
    while (rest < close && IsSpace(source_[rest])) ++rest;
    if (begin == close) {
      Add("syntax", open, "These braces are empty; name something, like {{ contact.first_name }}.");
      return close + 2;
    }
    if (rest < close && source_[rest] == '|' && plain) {
      Add("syntax", rest, "Filters (| …) are not supported yet.");
      return close + 2;
    }
    if (!plain || rest != close) {
      Add("syntax", plain ? rest : begin, "Only a plain name may stand between {{ and }}, like contact.first_name.");
      return close + 2;
    }
    Resolve(name, open, begin, close + 2);
    return close + 2;
  }

  void Resolve(std::string_view name, size_t open, size_t at, size_t end) {
    Piece piece{Piece::Kind::kAttribute, static_cast<uint32_t>(open), static_cast<uint32_t>(end - open), 0};
    if (name == "unsubscribe_url") {
      piece.kind = Piece::Kind::kUnsubscribeUrl;
    } else if (name == "postal_address") {
      piece.kind = Piece::Kind::kPostalAddress;
    } else if (name == "company") {
      piece.kind = Piece::Kind::kCompany;
    } else if (name == "contact.email") {
      piece.kind = Piece::Kind::kEmail;
    } else if (name.starts_with("contact.") && name.find('.', 8) == std::string_view::npos && name.size() - 8 <= kAttributeNameBytesMax) {
      piece.attribute = AttributeIndex(name.substr(8));
    } else {
      Add("unknown_name", at,
          fmt::format("There is no {}; known are contact.<attribute>, unsubscribe_url, postal_address and company.", name.substr(0, 100)));
    }
    if (part_ == Part::kSubject && piece.kind == Piece::Kind::kUnsubscribeUrl) {
      Add("syntax", at, "unsubscribe_url belongs into the HTML and text, not into the subject.");
    }
    pieces_.push_back(piece);
  }

  uint32_t AttributeIndex(std::string_view name) {
    for (size_t i = 0; i < parsed_.attributes.size(); ++i) {
      if (parsed_.attributes[i] == name) return static_cast<uint32_t>(i);
    }
    parsed_.attributes.emplace_back(name);
    return static_cast<uint32_t>(parsed_.attributes.size() - 1);
  }

  const Part part_;
  const std::string_view source_;
  Parsed& parsed_;
  size_t& placeholders_;
  std::vector<Piece> pieces_;
};

bool Has(const std::vector<Piece>& pieces, Piece::Kind kind) {
  for (const Piece& piece : pieces) {
    if (piece.kind == kind) return true;
  }
  return false;
}

bool IsBlank(std::string_view text) {
  for (const char c : text) {
    if (!IsSpace(c)) return false;
  }
  return true;
}

void RequireIn(const std::vector<Piece>& pieces, Part part, Piece::Kind kind, std::string_view name, std::string_view why,
               std::vector<Violation>& violations) {
  if (Has(pieces, kind)) return;
  violations.push_back(
      {fmt::format("missing_{}", name), part, 0, 0, fmt::format("The {} part has no {{{{ {} }}}}: {}.", PartName(part), name, why)});
}

// Where an attribute is named first, for the message about it.
void AddUnregistered(const Source& source, const Parsed& parsed, uint32_t attribute, std::vector<Violation>& violations) {
  const std::pair<Part, std::pair<const std::vector<Piece>*, std::string_view>> parts[] = {
      {Part::kSubject, {&parsed.subject, source.subject}},
      {Part::kHtml, {&parsed.html, source.html}},
      {Part::kText, {&parsed.text, source.text}}};
  for (const auto& [part, where] : parts) {
    for (const Piece& piece : *where.first) {
      if (piece.kind != Piece::Kind::kAttribute || piece.attribute != attribute) continue;
      const Place place = PlaceOf(where.second, piece.offset);
      violations.push_back(
          {"unknown_attribute", part, place.line, place.column,
           fmt::format("No attribute \"{}\" is registered; register it first, or correct the name.", parsed.attributes[attribute])});
      return;
    }
  }
}

}  // namespace

std::string_view PartName(Part part) {
  switch (part) {
    case Part::kSubject:
      return "subject";
    case Part::kHtml:
      return "html";
    case Part::kText:
      return "text";
  }
  return "html";
}

std::string Violation::Place() const {
  return line == 0 ? std::string(PartName(part)) : fmt::format("{}:{}:{}", PartName(part), line, column);
}

std::string Violation::ToString() const { return Place() + ": " + message; }

Parsed Parse(const Source& source) {
  Parsed parsed;
  size_t placeholders = 0;
  const std::pair<Part, std::string_view> parts[] = {
      {Part::kSubject, source.subject}, {Part::kHtml, source.html}, {Part::kText, source.text}};
  for (const auto& [part, text] : parts) {
    if (text.size() > kPartBytesMax) {
      parsed.violations.push_back(
          {"too_large", part, 0, 0, fmt::format("The {} part has more than {} bytes.", PartName(part), kPartBytesMax)});
      return parsed;
    }
  }
  parsed.subject = PartParser(Part::kSubject, source.subject, parsed, placeholders).Run();
  parsed.html = PartParser(Part::kHtml, source.html, parsed, placeholders).Run();
  parsed.text = PartParser(Part::kText, source.text, parsed, placeholders).Run();
  return parsed;
}

std::vector<Violation> Lint(const Source& source, const std::function<bool(std::string_view attribute)>& is_registered) {
  Parsed parsed = Parse(source);
  std::vector<Violation> violations = std::move(parsed.violations);
  for (uint32_t i = 0; i < parsed.attributes.size(); ++i) {
    if (!is_registered(parsed.attributes[i])) AddUnregistered(source, parsed, i, violations);
  }
  if (IsBlank(source.subject)) violations.push_back({"empty", Part::kSubject, 0, 0, "The subject is empty."});
  if (IsBlank(source.html) && IsBlank(source.text))
    violations.push_back({"empty", Part::kHtml, 0, 0, "The mail has neither HTML nor text."});
  const std::pair<Part, std::pair<const std::vector<Piece>*, std::string_view>> parts[] = {{Part::kHtml, {&parsed.html, source.html}},
                                                                                           {Part::kText, {&parsed.text, source.text}}};
  for (const auto& [part, what] : parts) {
    if (IsBlank(what.second)) continue;
    RequireIn(*what.first, part, Piece::Kind::kUnsubscribeUrl, "unsubscribe_url", "everyone who reads it must be able to opt out",
              violations);
    RequireIn(*what.first, part, Piece::Kind::kPostalAddress, "postal_address", "the law asks for the sender's address", violations);
  }
  return violations;
}

}  // namespace maily::personalization
