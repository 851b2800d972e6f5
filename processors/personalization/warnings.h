// What an author of a mail may want to know and need not change. Pure; thread: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace maily::personalization {

// Gmail shows so many bytes of a mail's HTML, and a link to the rest: with it goes the footer with the opt-out.
inline constexpr size_t kHtmlShownMax = 102 * 1024;
// Fewer characters of text beside images: the mail says nothing to who does not load images, and filters know such mails.
inline constexpr size_t kTextLeast = 40;

struct Warning {
  std::string code;     // "missing_alt", "clipped", "image_only", "http_link"
  std::string place;    // "html:3:14", or "html" of the part as a whole
  std::string message;  // a sentence
  std::string fix;      // another one: what to do
};

// At most 50, in the order of their places. `html`: a template's, or as it goes out.
std::vector<Warning> WarningsOf(std::string_view html);

}  // namespace maily::personalization
