// What a template names, read off its compiled parts.
#include "processors/personalization/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_set>

#include "processors/personalization/liquid/template.h"
#include "processors/personalization/script_links.h"

namespace maily::personalization {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

constexpr std::string_view kNames[] = {"contact",        "unsubscribe_url", "preferences_url", "confirm_url",
                                       "postal_address", "company",         "variables"};

// What a text answers of itself: {{ contact.name.size }}.
bool IsOfText(std::string_view step) { return step == "size" || step == "first" || step == "last"; }

class PartReader {
 public:
  // What the parts of one template share.
  struct Shared {
    size_t placeholders = 0;
    std::unordered_set<std::string> attributes;
  };
  PartReader(Part part, std::string_view source, std::span<const PartialSource> partials, Parsed& parsed, Shared& shared)
      : part_(part), source_(source), parsed_(parsed), placeholders_(shared.placeholders), attributes_(shared.attributes) {
    for (const PartialSource& partial : partials) partials_.push_back({partial.name, part == Part::kHtml ? partial.html : partial.text});
  }

  // What is written for everybody.
  struct Always {
    bool unsubscribe_url = false;
    bool postal_address = false;
    bool confirm_url = false;
  };
  Always Run() {
    std::vector<liquid::Problem> problems;
    compiled_ = liquid::Template::Compile(source_, {.strict = true, .partials = partials_}, problems);
    const auto& compiled = compiled_;  // names and references view it
    for (liquid::Problem& problem : problems) Add("syntax", problem.line, problem.column, std::move(problem.message), problem.partial);
    if (!compiled) return {};
    placeholders_ += compiled->tags();
    if (placeholders_ > kPlaceholdersMax) {
      Add("too_large", 0, 0, fmt::format("The template has more than {} placeholders and tags.", kPlaceholdersMax));
      return {};
    }
    const auto names = compiled->names();
    for (size_t i = 0; i < names.size(); ++i) {
      if (!compiled->sets(i)) continue;
      set_.insert(names[i]);
      if (std::ranges::find(kNames, names[i]) != std::end(kNames)) {
        Add("syntax", 0, 0, fmt::format("The template cannot set {} itself; take another name.", names[i]));
      }
    }
    Always always;
    for (const liquid::Reference& reference : compiled->References()) {
      Resolve(reference);
      if (!reference.always || !reference.path.empty()) continue;
      always.unsubscribe_url = always.unsubscribe_url || reference.root == "unsubscribe_url";
      always.postal_address = always.postal_address || reference.root == "postal_address";
      always.confirm_url = always.confirm_url || reference.root == "confirm_url";
    }
    return always;
  }

 private:
  void Add(std::string code, uint32_t line, uint32_t column, std::string message, const std::string& partial = {}) {
    parsed_.violations.push_back({std::move(code), part_, line, column, std::move(message), partial});
  }
  void Unknown(const liquid::Reference& reference, std::string message) {
    Add("unknown_name", reference.line, reference.column, std::move(message), reference.partial);
  }

  void Resolve(const liquid::Reference& reference) {
    if (reference.root.empty()) return Unknown(reference, "A name cannot be computed; write it out, like contact.first_name.");
    if (set_.contains(reference.root)) return;
    if (reference.root == "contact") return ResolveContact(reference);
    if (reference.root == "variables") return;  // a message has what it has
    if (std::ranges::find(kNames, reference.root) == std::end(kNames)) {
      return Unknown(
          reference,
          fmt::format("There is no {}; known are contact.<attribute>, variables.<name> of a message, unsubscribe_url, preferences_url, "
                      "confirm_url, postal_address and company.",
                      reference.root.substr(0, 100)));
    }
    if (reference.dynamic || reference.path.size() > 1 || (reference.path.size() == 1 && !IsOfText(reference.path[0]))) {
      return Unknown(reference, fmt::format("{} is a text and has nothing inside.", reference.root));
    }
    if (part_ != Part::kHtml && part_ != Part::kText && reference.root.ends_with("_url")) {
      Add("syntax", reference.line, reference.column,
          fmt::format("{} belongs into the HTML and text, not into the {}.", reference.root, PartName(part_)), reference.partial);
    }
  }

  void ResolveContact(const liquid::Reference& reference) {
    if (reference.dynamic && reference.path.empty()) {
      return Unknown(reference, "Which attribute is meant cannot be computed; write it out, like contact.first_name.");
    }
    if (reference.path.empty())
      return Unknown(reference, "Name an attribute, like contact.first_name; contact alone cannot be written or looped over.");
    const std::string_view name = reference.path[0];
    if (reference.dynamic || reference.path.size() > 2 || (reference.path.size() == 2 && !IsOfText(reference.path[1]))) {
      return Unknown(reference, fmt::format("contact.{} has nothing inside.", name.substr(0, 100)));
    }
    if (name == "email") return;
    const bool plain = !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::ranges::all_of(name, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
    if (!plain || name.size() > kAttributeNameBytesMax)
      return Unknown(reference, fmt::format("There is no attribute \"{}\".", name.substr(0, 100)));
    if (!attributes_.insert(std::string(name)).second) return;
    parsed_.attributes.emplace_back(name);
    parsed_.named.push_back({part_, reference.line, reference.column, reference.partial});
  }

  const Part part_;
  const std::string_view source_;
  Parsed& parsed_;
  size_t& placeholders_;
  std::unordered_set<std::string>& attributes_;
  std::vector<liquid::Partial> partials_;
  std::optional<liquid::Template> compiled_;
  std::unordered_set<std::string_view> set_;  // names that the template sets itself
};

bool IsBlank(std::string_view text) {
  for (const char c : text) {
    if (!IsSpace(c)) return false;
  }
  return true;
}

void Require(bool there, Part part, std::string_view name, std::string_view why, std::vector<Violation>& violations) {
  if (there) return;
  violations.push_back(
      {fmt::format("missing_{}", name), part, 0, 0,
       fmt::format("The {} part has no {{{{ {} }}}} outside of all conditions and loops: {}.", PartName(part), name, why)});
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
    case Part::kPreheader:
      return "preheader";
    case Part::kFromName:
      return "from_name";
  }
  return "html";
}

std::string Violation::Place() const {
  const std::string of = partial.empty() ? std::string(PartName(part)) : fmt::format("{}/{}", PartName(part), partial);
  return line == 0 ? of : fmt::format("{}:{}:{}", of, line, column);
}

std::string Violation::ToString() const { return Place() + ": " + message; }

Parsed Parse(const Source& source) {
  Parsed parsed;
  PartReader::Shared shared;
  const std::pair<Part, std::string_view> parts[] = {
      {Part::kSubject, source.subject},     {Part::kHtml, source.html},          {Part::kText, source.text},
      {Part::kPreheader, source.preheader}, {Part::kFromName, source.from_name},
  };
  for (const auto& [part, text] : parts) {
    if (text.size() > kPartBytesMax) {
      parsed.violations.push_back(
          {"too_large", part, 0, 0, fmt::format("The {} part has more than {} bytes.", PartName(part), kPartBytesMax)});
      return parsed;
    }
  }
  const auto read = [&](Part part, std::string_view text) {
    return text.empty() ? PartReader::Always() : PartReader(part, text, source.partials, parsed, shared).Run();
  };
  read(Part::kSubject, source.subject);
  const PartReader::Always html = read(Part::kHtml, source.html);
  const PartReader::Always text = read(Part::kText, source.text);
  parsed.html_has_unsubscribe_url = html.unsubscribe_url;
  parsed.html_has_postal_address = html.postal_address;
  parsed.html_has_confirm_url = html.confirm_url;
  parsed.text_has_unsubscribe_url = text.unsubscribe_url;
  parsed.text_has_postal_address = text.postal_address;
  parsed.text_has_confirm_url = text.confirm_url;
  read(Part::kPreheader, source.preheader);
  read(Part::kFromName, source.from_name);
  return parsed;
}

namespace {

std::vector<Violation> NamesOf(Parsed& parsed, const std::function<bool(std::string_view attribute)>& is_registered) {
  std::vector<Violation> violations = std::move(parsed.violations);
  for (size_t i = 0; i < parsed.attributes.size(); ++i) {
    if (is_registered(parsed.attributes[i])) continue;
    const Parsed::Named& named = parsed.named[i];
    violations.push_back({"unknown_attribute", named.part, named.line, named.column,
                          fmt::format("No attribute \"{}\" is registered; register it first, or correct the name.", parsed.attributes[i]),
                          named.partial});
  }
  return violations;
}

}  // namespace

std::vector<Violation> LintNames(const Source& source, const std::function<bool(std::string_view attribute)>& is_registered) {
  Parsed parsed = Parse(source);
  return NamesOf(parsed, is_registered);
}

std::vector<Violation> Lint(const Source& source, const std::function<bool(std::string_view attribute)>& is_registered) {
  Parsed parsed = Parse(source);
  std::vector<Violation> violations = NamesOf(parsed, is_registered);
  for (Violation& violation : ScriptLinks(source.html)) violations.push_back(std::move(violation));
  if (IsBlank(source.subject)) violations.push_back({"empty", Part::kSubject, 0, 0, "The subject is empty."});
  if (IsBlank(source.html) && IsBlank(source.text))
    violations.push_back({"empty", Part::kHtml, 0, 0, "The mail has neither HTML nor text."});
  constexpr std::string_view kOptOut = "everyone who reads it must be able to opt out";
  constexpr std::string_view kAddress = "the law asks for the sender's address";
  if (!IsBlank(source.html)) {
    Require(parsed.html_has_unsubscribe_url, Part::kHtml, "unsubscribe_url", kOptOut, violations);
    Require(parsed.html_has_postal_address, Part::kHtml, "postal_address", kAddress, violations);
  }
  constexpr std::string_view kAskedOnly =
      "confirm_url is empty in every mail but that of a double opt-in, which no campaign sends; save the template as transactional for it.";
  if (parsed.html_has_confirm_url) violations.push_back({"misplaced_confirm_url", Part::kHtml, 0, 0, std::string(kAskedOnly)});
  if (parsed.text_has_confirm_url) violations.push_back({"misplaced_confirm_url", Part::kText, 0, 0, std::string(kAskedOnly)});
  if (!IsBlank(source.text)) {
    Require(parsed.text_has_unsubscribe_url, Part::kText, "unsubscribe_url", kOptOut, violations);
    Require(parsed.text_has_postal_address, Part::kText, "postal_address", kAddress, violations);
  }
  return violations;
}

}  // namespace maily::personalization
