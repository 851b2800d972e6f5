// The template language: plain placeholders in the subject, HTML and text of a mail; a subset that a full Liquid engine reads unchanged.
//
//   {{ contact.first_name }}   an attribute of the contact, empty if it has none; {{ contact.email }} is the address
//   {{ unsubscribe_url }}  {{ postal_address }}  {{ company }}
//
// White space inside the braces is free. Everything else between {{ }} or {% %} (filters, tags, white-space control, literals) is refused
// with its place. A lone "}}" or "%}" is text, as in Liquid. Pure; thread: any.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace maily::personalization {

inline constexpr size_t kPlaceholdersMax = 10'000;  // in all parts of a template
inline constexpr size_t kPartBytesMax = 1'000'000;  // of one part's source
inline constexpr size_t kAttributeNameBytesMax = 63;

// What a template is made from. An empty html or text = the mail has no such part.
struct Source {
  std::string_view subject;
  std::string_view html;
  std::string_view text;
};

enum class Part : uint8_t { kSubject, kHtml, kText };
// "subject", "html", "text".
std::string_view PartName(Part part);

// Something that is wrong with a template, for its author.
struct Violation {
  std::string
      code;  // "syntax", "unknown_name", "unknown_attribute", "missing_unsubscribe_url", "missing_postal_address", "empty", "too_large"
  Part part = Part::kHtml;
  uint32_t line = 0;    // from 1; 0 = the part as a whole
  uint32_t column = 0;  // from 1, in characters
  std::string message;  // a sentence

  std::string Place() const;     // "html:3:14", or "html" of the part as a whole
  std::string ToString() const;  // "html:3:14: …"
};

// A run of one part: literal bytes, or a placeholder. Runs cover the part without gaps.
struct Piece {
  enum class Kind : uint8_t { kLiteral, kAttribute, kEmail, kUnsubscribeUrl, kPostalAddress, kCompany };
  Kind kind = Kind::kLiteral;
  uint32_t offset = 0;  // in the part's source
  uint32_t size = 0;
  uint32_t attribute = 0;  // kAttribute: index into Parsed::attributes
};

struct Parsed {
  std::vector<Piece> subject;
  std::vector<Piece> html;
  std::vector<Piece> text;
  std::vector<std::string> attributes;  // of the contact that are named, each once, in order of first appearance
  std::vector<Violation> violations;    // every one; with any, the pieces are good for nothing
};
Parsed Parse(const Source& source);

// Everything that keeps a template from being saved: what Parse finds, attributes that are not registered, an unsubscribe link or a postal
// address missing in a part, an empty mail. Empty = good to save.
std::vector<Violation> Lint(const Source& source, const std::function<bool(std::string_view attribute)>& is_registered);

}  // namespace maily::personalization
