// See wall_time.h. Days to civil date and back: Howard Hinnant, "chrono-compatible low-level date algorithms".
#include "schemas/wall_time.h"

#include <fmt/format.h>
#include <unicode/basictz.h>
#include <unicode/strenum.h>
#include <unicode/timezone.h>
#include <unicode/tztrans.h>

#include <algorithm>
#include <map>

namespace maily::schema {
namespace {

constexpr int64_t kDayUs = 86'400'000'000;
constexpr int32_t kDayS = 86'400;
constexpr size_t kZonesKept = 1'024;  // of a thread: more than there are

int64_t FloorDivide(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0); }

int64_t DaysOf(int64_t year, int month, int day) {
  year -= month <= 2;
  const int64_t era = FloorDivide(year, 400);
  const int64_t of_era = year - era * 400;
  const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

struct Date {
  int64_t year = 1970;
  int month = 1;
  int day = 1;
};

Date DateOf(int64_t days) {
  const int64_t shifted = days + 719468;
  const int64_t era = FloorDivide(shifted, 146097);
  const int64_t doe = shifted - era * 146097;
  const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const int64_t mp = (5 * doy + 2) / 153;
  Date date;
  date.day = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
  date.month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
  date.year = yoe + era * 400 + (date.month <= 2 ? 1 : 0);
  return date;
}

// Digits from `at` on, `count` of them; -1: others are there.
int Digits(std::string_view text, size_t at, size_t count) {
  int value = 0;
  for (size_t i = at; i < at + count; ++i) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

// The names of the database: those with a region and the few of old without one, but none of ICU's own.
bool IsIana(std::string_view name) {
  if (name == "UTC" || name == "GMT") return true;
  constexpr std::string_view kIcuOwn[] = {"ACT", "AET", "AGT", "ART", "AST", "BET", "BST", "CAT", "CNT", "CST", "CTT", "EAT", "ECT",
                                          "IET", "IST", "JST", "MIT", "NET", "NST", "PLT", "PNT", "PRT", "PST", "SST", "VST"};
  if (std::ranges::find(kIcuOwn, name) != std::end(kIcuOwn)) return false;
  return !name.starts_with("SystemV/") && !name.starts_with("Etc/Unknown") && !name.empty();
}

icu::UnicodeString Wide(std::string_view text) { return icu::UnicodeString::fromUTF8({text.data(), static_cast<int32_t>(text.size())}); }

}  // namespace

std::optional<WallTime> ParseWallTime(std::string_view text) {
  if (text.size() != 16 && text.size() != 19) return std::nullopt;
  const int year = Digits(text, 0, 4), month = Digits(text, 5, 2), day = Digits(text, 8, 2);
  const int hour = Digits(text, 11, 2), minute = Digits(text, 14, 2);
  const int second = text.size() == 19 ? Digits(text, 17, 2) : 0;
  if (text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || (text.size() == 19 && text[16] != ':')) return std::nullopt;
  if (year < 1970 || year > 2199 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
      second < 0 || second > 59) {
    return std::nullopt;
  }
  const int64_t days = DaysOf(year, month, day);
  const Date back = DateOf(days);
  if (back.month != month || back.day != day) return std::nullopt;  // 30 February
  return WallTime{static_cast<int32_t>(days), hour * 3600 + minute * 60 + second};
}

std::string WallTimeText(const WallTime& wall) {
  const Date date = DateOf(wall.day);
  std::string text =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}", date.year, date.month, date.day, wall.second / 3600, wall.second / 60 % 60);
  if (wall.second % 60 != 0) text += fmt::format(":{:02}", wall.second % 60);
  return text;
}

struct Zone::Rules {
  std::unique_ptr<icu::BasicTimeZone> icu;
};

int32_t Zone::OffsetAt(Instant at) const {
  int32_t raw = 0;
  int32_t dst = 0;
  UErrorCode error = U_ZERO_ERROR;
  // ICU counts in milliseconds: the one that holds this microsecond.
  rules_->icu->getOffset(static_cast<UDate>(FloorDivide(at.us, 1000)), 0, raw, dst, error);
  return U_FAILURE(error) ? 0 : (raw + dst) / 1000;
}

std::optional<Instant> Zone::NextChange(Instant at, Instant until) const {
  icu::TimeZoneTransition next;
  const int32_t offset = OffsetAt(at);
  auto from = static_cast<UDate>(FloorDivide(at.us, 1000));
  // Of those that the table names, some change the name alone.
  while (rules_->icu->getNextTransition(from, 0, next)) {
    from = next.getTime();
    const Instant change{static_cast<int64_t>(from) * 1000};
    if (change > until) return std::nullopt;
    if (OffsetAt(change) != offset) return change;
  }
  return std::nullopt;
}

WallTime Zone::At(Instant at) const {
  const int64_t local = FloorDivide(at.us, 1'000'000) + OffsetAt(at);
  const int64_t day = FloorDivide(local, kDayS);
  return {static_cast<int32_t>(day), static_cast<int32_t>(local - day * kDayS)};
}

Instant Zone::InstantOf(const WallTime& wall) const {
  const int64_t local_us = int64_t{wall.day} * kDayUs + int64_t{wall.second} * 1'000'000;
  // The offset of an instant that is certainly before it, then over each change until the wall time is reached: it is either on the near
  // side of the next change, or left out by it, and then the offset before it counts as well.
  Instant at{local_us - 2 * kDayUs};
  const Instant end{local_us + 2 * kDayUs};
  for (;;) {
    const Instant candidate{local_us - int64_t{OffsetAt(at)} * 1'000'000};
    const std::optional<Instant> change = NextChange(at, end);
    if (!change || candidate < *change) return candidate;
    // Past the change; left out by it if the clock, on the far side, has not that time either.
    const Instant after{local_us - int64_t{OffsetAt(*change)} * 1'000'000};
    if (after < *change) return candidate;
    at = *change;
  }
}

const Zone* ZoneNamed(std::string_view name) {
  thread_local std::map<std::string, std::optional<Zone>, std::less<>> known;
  if (const auto found = known.find(name); found != known.end()) return found->second ? &*found->second : nullptr;
  if (name.empty() || name.size() > kZoneBytesMax || !IsIana(name)) return nullptr;
  std::unique_ptr<icu::TimeZone> zone(icu::TimeZone::createTimeZone(Wide(name)));
  icu::UnicodeString id;
  zone->getID(id);
  auto* basic = dynamic_cast<icu::BasicTimeZone*>(zone.get());
  if (id != Wide(name) || *zone == icu::TimeZone::getUnknown() || basic == nullptr) return nullptr;
  // ICU makes a zone of "GMT+2" too: what it lists alone is of the database.
  static const std::vector<std::string> names = ZoneNames();
  if (!std::ranges::binary_search(names, name)) return nullptr;
  zone.release();
  Zone made;
  made.name_ = std::string(name);
  made.rules_ = std::make_shared<const Zone::Rules>(Zone::Rules{std::unique_ptr<icu::BasicTimeZone>(basic)});
  if (known.size() >= kZonesKept) return nullptr;
  return &*known.emplace(std::string(name), std::move(made)).first->second;
}

const Zone& Utc() { return *ZoneNamed("UTC"); }

std::vector<std::string> ZoneNames() {
  std::vector<std::string> names;
  UErrorCode error = U_ZERO_ERROR;
  std::unique_ptr<icu::StringEnumeration> all(icu::TimeZone::createTimeZoneIDEnumeration(UCAL_ZONE_TYPE_ANY, nullptr, nullptr, error));
  if (U_FAILURE(error)) return names;
  for (const char* name = all->next(nullptr, error); name != nullptr && U_SUCCESS(error); name = all->next(nullptr, error)) {
    if (IsIana(name)) names.emplace_back(name);
  }
  std::ranges::sort(names);
  return names;
}

std::string NearestZone(std::string_view name) {
  std::string nearest;
  size_t least = SIZE_MAX;
  const std::string_view wanted = name.substr(0, kZoneBytesMax);
  for (const std::string& known : ZoneNames()) {
    // Levenshtein, without regard to case.
    std::vector<size_t> row(known.size() + 1);
    for (size_t i = 0; i < row.size(); ++i) row[i] = i;
    for (size_t i = 1; i <= wanted.size(); ++i) {
      size_t diagonal = std::exchange(row[0], i);
      for (size_t j = 1; j <= known.size(); ++j) {
        const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
        const size_t change = diagonal + (lower(wanted[i - 1]) == lower(known[j - 1]) ? 0 : 1);
        diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, change}));
      }
    }
    if (row.back() < least) {
      least = row.back();
      nearest = known;
    }
  }
  return nearest;
}

std::string TzVersion() {
  UErrorCode error = U_ZERO_ERROR;
  const char* version = icu::TimeZone::getTZDataVersion(error);
  return U_FAILURE(error) || version == nullptr ? "" : version;
}

}  // namespace maily::schema
