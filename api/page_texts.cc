// See page_texts.h.
#include "api/page_texts.h"

namespace maily::api {
namespace {

constexpr PageTexts kRows[] = {
    {.language = "en",
     .direction = "ltr",
     .preferences_title = "Your mail preferences",
     .preferences_intro = "Tick what you want to get.",
     .opted_out = "At present you get no marketing mail from this sender.",
     .no_lists = "There is nothing to choose from.",
     .save = "Save",
     .saved = "Your choice is saved.",
     .leave_all = "Unsubscribe from everything",
     .leave_all_hint = "You will get no more marketing mail from this sender.",
     .left = "You are unsubscribed. You will get no more marketing mail from this sender.",
     .confirm_title = "Confirm your subscription",
     .confirm_intro = "You will get mail of:",
     .confirm_button = "Confirm",
     .confirmed = "Thank you. Your subscription is confirmed.",
     .expired = "This link is not valid any more.",
     .expired_hint = "Please subscribe once more.",
     .ask_again = "Send me another mail",
     .asked_again = "A mail with a new link is on its way.",
     .asked_recently = "A mail was sent within the last hour. Please look for it, or come back later.",
     .form_email = "E-mail address",
     .form_trap = "Leave this empty",
     .form_button = "Subscribe",
     .form_invalid = "This is no e-mail address.",
     .form_done = "Thank you. If everything is in order, you will hear from us.",
     .unavailable = "This could not be stored. Please try again in a moment.",
     .too_often = "Too many requests. Please try again in a minute.",
     .too_many = "These are too many changes at once. Please unsubscribe from everything first."},
    {.language = "de",
     .direction = "ltr",
     .preferences_title = "Ihre E-Mail-Einstellungen",
     .preferences_intro = "Kreuzen Sie an, was Sie bekommen möchten.",
     .opted_out = "Zurzeit bekommen Sie von diesem Absender keine Werbung.",
     .no_lists = "Es gibt nichts auszuwählen.",
     .save = "Speichern",
     .saved = "Ihre Auswahl ist gespeichert.",
     .leave_all = "Alles abbestellen",
     .leave_all_hint = "Sie bekommen dann keine Werbung mehr von diesem Absender.",
     .left = "Sie sind abgemeldet und bekommen keine Werbung mehr von diesem Absender.",
     .confirm_title = "Anmeldung bestätigen",
     .confirm_intro = "Sie bekommen dann E-Mails von:",
     .confirm_button = "Bestätigen",
     .confirmed = "Danke. Ihre Anmeldung ist bestätigt.",
     .expired = "Dieser Link ist nicht mehr gültig.",
     .expired_hint = "Bitte melden Sie sich noch einmal an.",
     .ask_again = "Noch eine E-Mail schicken",
     .asked_again = "Eine E-Mail mit einem neuen Link ist unterwegs.",
     .asked_recently = "In der letzten Stunde wurde schon eine E-Mail geschickt. Bitte suchen Sie danach, oder kommen Sie später wieder.",
     .form_email = "E-Mail-Adresse",
     .form_trap = "Bitte leer lassen",
     .form_button = "Anmelden",
     .form_invalid = "Das ist keine E-Mail-Adresse.",
     .form_done = "Danke. Wenn alles in Ordnung ist, hören Sie von uns.",
     .unavailable = "Das konnte nicht gespeichert werden. Bitte versuchen Sie es gleich noch einmal.",
     .too_often = "Zu viele Anfragen. Bitte versuchen Sie es in einer Minute noch einmal.",
     .too_many = "Das sind zu viele Änderungen auf einmal. Bitte bestellen Sie zuerst alles ab."},
};

}  // namespace

const PageTexts& TextsFor(std::string_view language) {
  const std::string_view primary = language.substr(0, language.find_first_of("-_"));
  for (const PageTexts& row : kRows) {
    const auto same = [](char c, char lower) { return (c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) == lower; };
    if (primary.size() == row.language.size() && same(primary[0], row.language[0]) && same(primary[1], row.language[1])) return row;
  }
  return kRows[0];
}

}  // namespace maily::api
