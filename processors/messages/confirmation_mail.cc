// See confirmation_mail.h.
#include "processors/messages/confirmation_mail.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "processors/personalization/locales.h"

namespace maily::messages {
namespace {

struct Wording {
  std::string_view locale;
  std::string_view subject;
  std::string_view asked;  // with the sender's name behind it, if there is one
  std::string_view from;   // before that name
  std::string_view confirm;
  std::string_view ignore;
};
constexpr std::array<Wording, 2> kWordings = {{
    {.locale = "en",
     .subject = "Please confirm your subscription",
     .asked = "Somebody has entered this e-mail address to get mail",
     .from = " from ",
     .confirm = "Confirm my subscription",
     .ignore = "The link is valid for seven days. If this was not you, do nothing: you will not be subscribed."},
    {.locale = "de",
     .subject = "Bitte bestätigen Sie Ihre Anmeldung",
     .asked = "Jemand hat diese E-Mail-Adresse angegeben, um E-Mails zu bekommen",
     .from = " von ",
     .confirm = "Anmeldung bestätigen",
     .ignore = "Der Link gilt sieben Tage. Waren Sie das nicht, tun Sie nichts: Sie werden nicht angemeldet."},
}};

template <class Content>
void Write(const Wording& wording, Content& content) {
  const std::string asked = fmt::format("{}{{% if company != blank %}}{}{{{{ company }}}}{{% endif %}}.", wording.asked, wording.from);
  content.set_locale(std::string(wording.locale));
  content.set_subject(std::string(wording.subject));
  content.set_html(
      fmt::format("<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\"><title>{}</title></head>"
                  "<body style=\"font:16px/1.5 sans-serif;max-width:32em;margin:2em auto;padding:0 1em\"><p>{}</p>"
                  "<p><a href=\"{{{{ confirm_url }}}}\">{}</a></p><p>{}</p><p>{{{{ postal_address }}}}</p></body></html>",
                  wording.locale, wording.subject, asked, wording.confirm, wording.ignore));
  content.set_text(
      fmt::format("{}\n\n{}:\n{{{{ confirm_url }}}}\n\n{}\n\n{{{{ postal_address }}}}\n", asked, wording.confirm, wording.ignore));
}

// With that wording in front.
templates::v1::TemplateVersion Make(size_t first) {
  templates::v1::TemplateVersion version;
  version.set_number(static_cast<uint32_t>(first + 1));
  version.set_name("confirmation");
  version.set_transactional(true);
  Write(kWordings[first], version);
  for (const std::string_view name : personalization::kLocaleAttributes) version.add_attributes(std::string(name));
  for (size_t i = 0; i < kWordings.size(); ++i) {
    if (i != first) Write(kWordings[i], *version.add_variants());
  }
  return version;
}

}  // namespace

const templates::v1::TemplateVersion& ConfirmationMail(std::string_view language) {
  static const auto* const kAll = new std::array<templates::v1::TemplateVersion, kWordings.size()>{Make(0), Make(1)};
  for (size_t i = 0; i < kWordings.size(); ++i) {
    if (language.substr(0, language.find_first_of("-_")) == kWordings[i].locale) return (*kAll)[i];
  }
  return kAll->front();
}

}  // namespace maily::messages
