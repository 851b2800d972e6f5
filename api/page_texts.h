// What pages for people say, a language a row. A language that is written from right to left has its own direction.
#pragma once

#include <string_view>

namespace maily::api {

struct PageTexts {
  std::string_view language;   // of the html element
  std::string_view direction;  // "ltr", "rtl"
  std::string_view preferences_title, preferences_intro, opted_out, no_lists, save, saved, leave_all, leave_all_hint, left;
  std::string_view confirm_title, confirm_intro, confirm_button, confirmed, expired, expired_hint, ask_again, asked_again, asked_recently;
  std::string_view form_email, form_trap, form_button, form_invalid, form_done;
  std::string_view unavailable, too_often, too_many;
};

// Of "de", "de-AT", "de_CH"; English for what there is no row of.
const PageTexts& TextsFor(std::string_view language);

}  // namespace maily::api
