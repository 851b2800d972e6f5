// Which variant of a template somebody reads. Pure; thread: any.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace maily::personalization {

// The contact's attributes that say it, the first one that has a value.
inline constexpr std::string_view kLocaleAttributes[] = {"locale", "language"};
inline constexpr size_t kLocaleBytesMax = 35;

// A BCP 47 tag as it is usually written: "de", "de-AT", "zh-Hant-TW"; "de_at" and "DE-at" become "de-AT". Empty: it is none.
std::string CanonicalLocale(std::string_view tag);
// The one of `known` (canonical) that fits, part by part from the end: de-AT-1996, then de-AT, then de. None: the template itself.
std::optional<size_t> ChooseLocale(std::span<const std::string_view> known, std::string_view wanted);
// Written from right to left.
bool IsRightToLeft(std::string_view canonical);
// `html` with lang, and dir="rtl" where it is written so, in its <html>, or <body> if it has none, where they are not said. A part without
// either stays as it is.
std::string WithLanguage(std::string_view html, std::string_view canonical);

}  // namespace maily::personalization
