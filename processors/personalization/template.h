// Templates of mails: subject, HTML and text in Liquid (liquid/template.h; docs/liquid.md), and the names that they may use.
//
//   {{ contact.first_name }}   an attribute of the contact, nil if it has none; {{ contact.email }} is the address
//   {{ unsubscribe_url }}  {{ preferences_url }}  {{ postal_address }}  {{ company }}
//   {{ confirm_url }}          the link of a double opt-in; nil in any other mail
//   {{ variables.order.lines[0].name }}   what a message was posted with: any JSON; nil in the mail of a campaign
//
// Which attributes a template names is known before any mail is made, since the event that opens an attempt carries these and no others: so
// `contact` stands with a name behind it, and computed names are refused. Pure; thread: any.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace maily::personalization {

inline constexpr size_t kPlaceholdersMax = 10'000;  // {{ }} and {% %}, in all parts of a template
inline constexpr size_t kPartBytesMax = 1'000'000;  // of one part's source
inline constexpr size_t kAttributeNameBytesMax = 63;

// What {% render 'name' %} takes in: `html` in the HTML part, `text` in all others.
struct PartialSource {
  std::string_view name;
  std::string_view html;
  std::string_view text;
};

// What a template is made from. An empty html or text = the mail has no such part.
struct Source {
  std::string_view subject;
  std::string_view html;
  std::string_view text;
  std::string_view preheader = {};  // a text, shown by lists of mails behind the subject; hidden at the start of the HTML
  std::string_view from_name = {};  // the display name of From; empty, also when filled in or failed: the campaign's own
  std::span<const PartialSource> partials = {};
};

enum class Part : uint8_t { kSubject, kHtml, kText, kPreheader, kFromName };
// "subject", "html", "text", "preheader", "from_name".
std::string_view PartName(Part part);

// Something that is wrong with a template, for its author.
struct Violation {
  // "syntax", "unknown_name", "unknown_attribute", "missing_unsubscribe_url", "missing_postal_address", "misplaced_confirm_url", "empty",
  // "too_large"
  std::string code;
  Part part = Part::kHtml;
  uint32_t line = 0;         // from 1; 0 = the part as a whole
  uint32_t column = 0;       // from 1, in characters
  std::string message;       // a sentence
  std::string partial = {};  // where line and column count; empty = in the part itself

  std::string Place() const;     // "html:3:14"; "html/footer:3:14" in a partial; "html" of the part as a whole
  std::string ToString() const;  // "html:3:14: …"
};

struct Parsed {
  std::vector<std::string> attributes;  // of the contact that are named, each once, in order of first appearance
  struct Named {
    Part part = Part::kHtml;
    uint32_t line = 0;
    uint32_t column = 0;
    std::string partial = {};
  };
  std::vector<Named> named;  // by attribute: where that is
  // Written for everybody: outside of all blocks, without a filter.
  bool html_has_unsubscribe_url = false;
  bool text_has_unsubscribe_url = false;
  bool html_has_postal_address = false;
  bool text_has_postal_address = false;
  bool html_has_confirm_url = false;
  bool text_has_confirm_url = false;
  std::vector<Violation> violations;  // every one; with any, there is nothing to render
};
Parsed Parse(const Source& source);

// What Parse finds, and attributes that are not registered.
std::vector<Violation> LintNames(const Source& source, const std::function<bool(std::string_view attribute)>& is_registered);
// Everything that keeps a template from being saved: what Parse finds, attributes that are not registered, an unsubscribe link or a postal
// address missing in a part, the link of a confirmation in a mail that is none, an empty mail. Empty = good to save. What a transactional
// template may do all the same its saver knows.
std::vector<Violation> Lint(const Source& source, const std::function<bool(std::string_view attribute)>& is_registered);

}  // namespace maily::personalization
