// See date.h. Days to civil date and back: Howard Hinnant, "chrono-compatible low-level date algorithms".
#include "processors/personalization/liquid/date.h"

#include <fmt/format.h>
#include <unicode/locid.h>
#include <unicode/timezone.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "processors/personalization/liquid/scan.h"

namespace maily::liquid {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"January", "February", "March",     "April",   "May",      "June",
                                                      "July",    "August",   "September", "October", "November", "December"};
constexpr std::array<std::string_view, 7> kDays = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
constexpr int64_t kDaySeconds = 86400;
constexpr int64_t kYearMax = 9'999'999;

int64_t FloorDivide(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0); }

int64_t DaysOf(int64_t year, int month, int day) {
  year -= month <= 2;
  const int64_t era = FloorDivide(year, 400);
  const int64_t of_era = year - era * 400;
  const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

struct Civil {
  int64_t year = 1970;
  int month = 1, day = 1, hour = 0, minute = 0, second = 0;
  int weekday = 4;   // 0 = Sunday
  int year_day = 1;  // from 1
};

Civil CivilOf(const Moment& moment) {
  const int64_t local = moment.seconds + moment.offset;
  const int64_t days = FloorDivide(local, kDaySeconds);
  const int64_t of_day = local - days * kDaySeconds;
  const int64_t shifted = days + 719468;
  const int64_t era = FloorDivide(shifted, 146097);
  const int64_t doe = shifted - era * 146097;
  const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const int64_t mp = (5 * doy + 2) / 153;
  Civil civil;
  civil.day = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
  civil.month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
  civil.year = yoe + era * 400 + (civil.month <= 2 ? 1 : 0);
  civil.hour = static_cast<int>(of_day / 3600);
  civil.minute = static_cast<int>(of_day / 60 % 60);
  civil.second = static_cast<int>(of_day % 60);
  civil.weekday = static_cast<int>(((days + 4) % 7 + 7) % 7);
  civil.year_day = static_cast<int>(days - DaysOf(civil.year, 1, 1)) + 1;
  return civil;
}

bool IsLeap(int64_t year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }
int DaysIn(int64_t year, int month) {
  constexpr std::array<int, 12> kDaysIn = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && IsLeap(year) ? 29 : kDaysIn[static_cast<size_t>(month - 1)];
}

// ISO 8601 week and its year.
std::pair<int64_t, int> IsoWeek(const Civil& civil) {
  const int weekday = civil.weekday == 0 ? 7 : civil.weekday;
  const int week = (civil.year_day - weekday + 10) / 7;
  const auto weeks_in = [](int64_t year) {
    const int64_t first = ((DaysOf(year, 1, 1) + 3) % 7 + 7) % 7;  // 0 = Monday
    return first == 3 || (first == 2 && IsLeap(year)) ? 53 : 52;
  };
  if (week < 1) return {civil.year - 1, weeks_in(civil.year - 1)};
  if (week > weeks_in(civil.year)) return {civil.year + 1, 1};
  return {civil.year, week};
}

// ---- reading ----

struct Parts {
  std::optional<int64_t> year;
  std::optional<int> month, day, hour, minute, second, offset;
  int32_t nanos = 0;
  std::string zone;
};

struct Piece {
  enum class Kind : uint8_t { kNumber, kWord, kMark };
  Kind kind = Kind::kMark;
  std::string_view text;
  bool blank_before = false;
  bool used = false;
  int64_t number() const { return text.size() > 15 ? -1 : std::strtoll(std::string(text).c_str(), nullptr, 10); }
};

std::vector<Piece> Cut(std::string_view text) {
  std::vector<Piece> pieces;
  for (size_t at = 0; at < text.size();) {
    if (IsSpace(text[at])) {
      ++at;
      continue;
    }
    const bool blank = at > 0 && IsSpace(text[at - 1]);
    size_t end = at + 1;
    Piece::Kind kind = Piece::Kind::kMark;
    if (IsDigit(text[at])) {
      kind = Piece::Kind::kNumber;
      while (end < text.size() && IsDigit(text[end])) ++end;
    } else if (IsLetter(text[at])) {
      kind = Piece::Kind::kWord;
      while (end < text.size() && IsLetter(text[end])) ++end;
    }
    pieces.push_back({kind, text.substr(at, end - at), blank, false});
    at = end;
  }
  return pieces;
}

bool BeginsLike(std::string_view name, std::string_view word) {  // word is lower case
  if (word.size() < 3 || word.size() > name.size()) return false;
  for (size_t i = 0; i < word.size(); ++i) {
    if ((name[i] | 0x20) != word[i]) return false;
  }
  return word.size() == 3 || word.size() == name.size() || (word == "sept");
}

int MonthOf(std::string_view word) {
  for (size_t i = 0; i < kMonths.size(); ++i) {
    if (BeginsLike(kMonths[i], word)) return static_cast<int>(i) + 1;
  }
  return 0;
}

std::optional<int> NamedOffset(std::string_view word) {
  constexpr std::pair<std::string_view, int> kNamed[] = {
      {"z", 0},    {"utc", 0}, {"gmt", 0},  {"est", -5}, {"edt", -4}, {"cst", -6}, {"cdt", -5}, {"mst", -7}, {"mdt", -6}, {"pst", -8},
      {"pdt", -7}, {"cet", 1}, {"cest", 2}, {"bst", 1},  {"eet", 2},  {"eest", 3}, {"wet", 0},  {"west", 1}, {"msk", 3},  {"jst", 9}};
  for (const auto& [name, hours] : kNamed) {
    if (name == word) return hours * 3600;
  }
  return std::nullopt;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : pieces_(Cut(text)) {}

  bool Read(Parts& parts) {
    for (size_t i = 0; i < pieces_.size(); ++i) {
      if (Is(i + 1, ":") && Number(i) && Number(i + 2)) {
        Time(i, parts);
        break;
      }
      if (Number(i) && Word(i + 1) && (Text(i + 1) == "am" || Text(i + 1) == "pm")) {
        parts.hour = static_cast<int>(Take(i));
        HalfOfDay(i + 1, parts);
        break;
      }
    }
    Date(parts);
    return good_ && (parts.year || parts.month || parts.day || parts.hour);
  }

 private:
  bool Number(size_t i) const { return i < pieces_.size() && !pieces_[i].used && pieces_[i].kind == Piece::Kind::kNumber; }
  bool Word(size_t i) const { return i < pieces_.size() && !pieces_[i].used && pieces_[i].kind == Piece::Kind::kWord; }
  bool Is(size_t i, std::string_view mark) const { return i < pieces_.size() && !pieces_[i].used && pieces_[i].text == mark; }
  std::string_view Text(size_t i) const { return pieces_[i].text; }
  int64_t Take(size_t i) {
    pieces_[i].used = true;
    return pieces_[i].number();
  }

  void HalfOfDay(size_t i, Parts& parts) {
    if (!Word(i) || (Text(i) != "am" && Text(i) != "pm")) return;
    pieces_[i].used = true;
    parts.hour = *parts.hour % 12 + (Text(i) == "pm" ? 12 : 0);
  }

  void Time(size_t i, Parts& parts) {
    parts.hour = static_cast<int>(Take(i));
    pieces_[i + 1].used = true;
    parts.minute = static_cast<int>(Take(i + 2));
    size_t next = i + 3;
    if (Is(next, ":") && Number(next + 1)) {
      pieces_[next].used = true;
      parts.second = static_cast<int>(Take(next + 1));
      next += 2;
      if ((Is(next, ".") || Is(next, ",")) && Number(next + 1) && !pieces_[next + 1].blank_before) {
        std::string digits(Text(next + 1).substr(0, 9));
        digits.resize(9, '0');
        parts.nanos = static_cast<int32_t>(std::strtol(digits.c_str(), nullptr, 10));
        pieces_[next].used = pieces_[next + 1].used = true;
        next += 2;
      }
    }
    HalfOfDay(next, parts);
    if (Word(next) && (Text(next) == "am" || Text(next) == "pm")) ++next;
    while (next < pieces_.size() && pieces_[next].used) ++next;
    Zone(next, parts);
  }

  void Zone(size_t i, Parts& parts) {
    if (Word(i)) {
      if (const auto offset = NamedOffset(Text(i))) {
        parts.offset = *offset;
        for (const char c : Text(i)) parts.zone.push_back(static_cast<char>(c & ~0x20));
        if (parts.zone == "Z") parts.zone = "UTC";
        pieces_[i].used = true;
        ++i;
      }
    }
    if ((!Is(i, "+") && !Is(i, "-")) || !Number(i + 1)) return;
    const int sign = Is(i, "+") ? 1 : -1;
    const int64_t value = pieces_[i + 1].number();
    int64_t hours = value;
    int64_t minutes = 0;
    if (Text(i + 1).size() == 4) {
      hours = value / 100;
      minutes = value % 100;
    } else if (Text(i + 1).size() > 2) {
      return;
    }
    pieces_[i].used = pieces_[i + 1].used = true;
    if (Is(i + 2, ":") && Number(i + 3)) {
      pieces_[i + 2].used = true;
      minutes = Take(i + 3);
    }
    good_ = good_ && hours < 24 && minutes < 60;
    parts.offset = sign * static_cast<int>(hours * 3600 + minutes * 60);
    parts.zone.clear();
  }

  void Date(Parts& parts) {
    for (size_t i = 0; i < pieces_.size(); ++i) {
      if (Word(i) && MonthOf(Text(i)) != 0) return NamedMonth(i, parts);
    }
    for (size_t i = 0; i + 2 < pieces_.size(); ++i) {
      if (Number(i) && Is(i + 1, "-") && Number(i + 2)) return Dashes(i, parts);
      if (Number(i) && (Is(i + 1, "/") || Is(i + 1, ".")) && Number(i + 2)) return Slashes(i, parts);
    }
    for (size_t i = 0; i < pieces_.size(); ++i) {
      if (Number(i)) return Digits(i, parts);
    }
  }

  void NamedMonth(size_t i, Parts& parts) {
    parts.month = MonthOf(Text(i));
    pieces_[i].used = true;
    // The day stands before or after; the year after both.
    std::vector<size_t> numbers;
    for (size_t k = 0; k < pieces_.size(); ++k) {
      if (Number(k)) numbers.push_back(k);
    }
    for (const size_t k : numbers) {
      const int64_t value = pieces_[k].number();
      if (!parts.day && Text(k).size() <= 2 && value >= 1 && value <= 31) {
        parts.day = static_cast<int>(value);
      } else if (!parts.year) {
        parts.year = YearOf(Text(k), value);
      }
    }
  }

  static int64_t YearOf(std::string_view text, int64_t value) { return text.size() > 2 ? value : value + (value < 69 ? 2000 : 1900); }

  void Dashes(size_t i, Parts& parts) {
    const bool third = Is(i + 3, "-") && Number(i + 4);
    if (third && Text(i).size() <= 2 && Text(i + 4).size() > 2) {
      parts.day = static_cast<int>(Take(i));
      parts.month = static_cast<int>(Take(i + 2));
      parts.year = Take(i + 4);
      return;
    }
    parts.year = YearOf(Text(i), pieces_[i].number());
    parts.month = static_cast<int>(Take(i + 2));
    if (third) parts.day = static_cast<int>(Take(i + 4));
    // 2016-03-14T10 or 20160314T1020 are not taken apart; the time with colons was found before.
  }

  void Slashes(size_t i, Parts& parts) {
    const std::string_view mark = Text(i + 1);
    if (!Is(i + 3, mark) || !Number(i + 4)) {
      if (mark == ".") return;
      parts.month = static_cast<int>(Take(i));
      parts.day = static_cast<int>(Take(i + 2));
      return;
    }
    if (Text(i).size() <= 2 && Text(i + 4).size() > 2) {
      parts.day = static_cast<int>(Take(i));
      parts.month = static_cast<int>(Take(i + 2));
      parts.year = Take(i + 4);
      return;
    }
    parts.year = YearOf(Text(i), pieces_[i].number());
    parts.month = static_cast<int>(Take(i + 2));
    parts.day = static_cast<int>(Take(i + 4));
  }

  void Digits(size_t i, Parts& parts) {
    const std::string_view text = Text(i);
    const auto field = [&](size_t at, size_t n) {
      return static_cast<int>(std::strtol(std::string(text.substr(at, n)).c_str(), nullptr, 10));
    };
    if (text.size() == 8 || text.size() == 12 || text.size() == 14) {
      parts.year = field(0, 4);
      parts.month = field(4, 2);
      parts.day = field(6, 2);
      if (text.size() > 8) parts.hour = field(8, 2);
      if (text.size() > 8) parts.minute = field(10, 2);
      if (text.size() > 12) parts.second = field(12, 2);
    } else if (text.size() <= 2 && !parts.hour) {
      parts.day = field(0, 2);
    } else if (!parts.hour) {
      good_ = false;
    }
  }

  std::vector<Piece> pieces_;
  bool good_ = true;
};

// ---- writing ----

struct Directive {
  char pad = 0;  // '0', ' ', '-' for none; 0: as the directive has it
  bool upper = false;
  bool swap = false;
  int colons = 0;
  size_t width = 0;
};

class Writer {
 public:
  Writer(const Moment& moment, size_t bytes_max, std::string& out)
      : moment_(moment), civil_(CivilOf(moment)), bytes_max_(out.size() + bytes_max), out_(out) {}

  bool Run(std::string_view format, int depth = 0) {
    for (size_t at = 0; at < format.size(); ++at) {
      if (out_.size() > bytes_max_) return false;
      if (format[at] != '%') {
        out_.push_back(format[at]);
        continue;
      }
      Directive directive;
      const size_t end = ReadFlags(format, at + 1, directive);
      if (end >= format.size() || directive.width > 1024 || !Write(format[end], directive, depth)) {
        out_.push_back('%');
        continue;
      }
      at = end;
    }
    return out_.size() <= bytes_max_;
  }

 private:
  static size_t ReadFlags(std::string_view format, size_t at, Directive& directive) {
    for (; at < format.size(); ++at) {
      switch (format[at]) {
        case '-':
          directive.pad = '-';
          continue;
        case '0':
          directive.pad = '0';
          continue;
        case '_':
          directive.pad = ' ';
          continue;
        case '^':
          directive.upper = true;
          continue;
        case '#':
          directive.swap = true;
          continue;
        case ':':
          ++directive.colons;
          continue;
        default:
          break;
      }
      break;
    }
    while (at < format.size() && IsDigit(format[at]) && directive.width < 10000) {
      directive.width = directive.width * 10 + static_cast<size_t>(format[at++] - '0');
    }
    if (at < format.size() && (format[at] == 'E' || format[at] == 'O')) ++at;
    return at;
  }

  void Put(std::string_view text, const Directive& directive, bool swapped_is_lower = false) {
    std::string shown(text);
    for (char& c : shown) {
      if (directive.upper || (directive.swap && !swapped_is_lower)) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
      } else if (directive.swap && c >= 'A' && c <= 'Z') {
        c = static_cast<char>(c + 32);
      }
    }
    if (directive.pad != '-' && shown.size() < directive.width)
      out_.append(directive.width - shown.size(), directive.pad == '0' ? '0' : ' ');
    out_ += shown;
  }

  void Digits(int64_t value, size_t width, char pad, const Directive& directive) {
    if (directive.pad != 0) pad = directive.pad;
    if (directive.width > 0) width = directive.width;
    const std::string digits = std::to_string(value < 0 ? -value : value);
    const size_t size = digits.size() + (value < 0 ? 1 : 0);
    const size_t fill = pad == '-' || size >= width ? 0 : width - size;
    if (pad == ' ') out_.append(fill, ' ');
    if (value < 0) out_.push_back('-');
    if (pad == '0') out_.append(fill, '0');
    out_ += digits;
  }

  void Offset(const Directive& directive) {
    const int size = std::abs(moment_.offset);
    std::string text = fmt::format("{}{:02}", moment_.offset < 0 ? '-' : '+', size / 3600);
    if (directive.colons > 0) text += ':';
    text += fmt::format("{:02}", size / 60 % 60);
    if (directive.colons > 1) text += fmt::format(":{:02}", size % 60);
    if (text.size() < directive.width) text.insert(1, directive.width - text.size(), directive.pad == ' ' ? ' ' : '0');
    out_ += text;
  }

  bool Whole(std::string_view format, const Directive& directive, int depth) {
    if (depth > 2) return false;
    std::string text;
    Writer(moment_, 4096, text).Run(format, depth + 1);
    Put(text, directive);
    return true;
  }

  bool Write(char letter, const Directive& directive, int depth) {
    if (directive.colons > 0 && letter != 'z') return false;
    const Civil& c = civil_;
    const int hour12 = c.hour % 12 == 0 ? 12 : c.hour % 12;
    const std::string_view month = kMonths[static_cast<size_t>(c.month - 1)];
    const std::string_view day = kDays[static_cast<size_t>(c.weekday)];
    switch (letter) {
      case 'Y':
        Digits(c.year, c.year < 0 ? 5 : 4, '0', directive);
        return true;
      case 'C':
        Digits(FloorDivide(c.year, 100), 2, '0', directive);
        return true;
      case 'y':
        Digits(((c.year % 100) + 100) % 100, 2, '0', directive);
        return true;
      case 'm':
        Digits(c.month, 2, '0', directive);
        return true;
      case 'B':
        Put(month, directive);
        return true;
      case 'b':
      case 'h':
        Put(month.substr(0, 3), directive);
        return true;
      case 'd':
        Digits(c.day, 2, '0', directive);
        return true;
      case 'e':
        Digits(c.day, 2, ' ', directive);
        return true;
      case 'j':
        Digits(c.year_day, 3, '0', directive);
        return true;
      case 'H':
        Digits(c.hour, 2, '0', directive);
        return true;
      case 'k':
        Digits(c.hour, 2, ' ', directive);
        return true;
      case 'I':
        Digits(hour12, 2, '0', directive);
        return true;
      case 'l':
        Digits(hour12, 2, ' ', directive);
        return true;
      case 'P':
        Put(c.hour < 12 ? "am" : "pm", directive);
        return true;
      case 'p':
        Put(c.hour < 12 ? "AM" : "PM", directive, true);
        return true;
      case 'M':
        Digits(c.minute, 2, '0', directive);
        return true;
      case 'S':
        Digits(c.second, 2, '0', directive);
        return true;
      case 'L':
      case 'N': {
        std::string digits = fmt::format("{:09}", moment_.nanos);
        digits.resize(directive.width > 0 ? directive.width : letter == 'L' ? 3 : 9, '0');
        out_ += digits;
        return true;
      }
      case 'z':
        Offset(directive);
        return true;
      case 'Z':
        Put(moment_.zone, directive, true);
        return true;
      case 'A':
        Put(day, directive);
        return true;
      case 'a':
        Put(day.substr(0, 3), directive);
        return true;
      case 'u':
        Digits(c.weekday == 0 ? 7 : c.weekday, 1, '0', directive);
        return true;
      case 'w':
        Digits(c.weekday, 1, '0', directive);
        return true;
      case 'G':
        Digits(IsoWeek(c).first, 4, '0', directive);
        return true;
      case 'g':
        Digits(((IsoWeek(c).first % 100) + 100) % 100, 2, '0', directive);
        return true;
      case 'V':
        Digits(IsoWeek(c).second, 2, '0', directive);
        return true;
      case 'U':
        Digits((c.year_day - 1 + 7 - c.weekday) / 7, 2, '0', directive);
        return true;
      case 'W':
        Digits((c.year_day - 1 + 7 - (c.weekday + 6) % 7) / 7, 2, '0', directive);
        return true;
      case 's':
        Digits(moment_.seconds, 1, '0', directive);
        return true;
      case 'n':
        Put("\n", directive);
        return true;
      case 't':
        Put("\t", directive);
        return true;
      case '%':
        Put("%", directive);
        return true;
      case 'c':
        return Whole("%a %b %e %H:%M:%S %Y", directive, depth);
      case 'D':
      case 'x':
        return Whole("%m/%d/%y", directive, depth);
      case 'F':
        return Whole("%Y-%m-%d", directive, depth);
      case 'T':
      case 'X':
        return Whole("%H:%M:%S", directive, depth);
      case 'R':
        return Whole("%H:%M", directive, depth);
      case 'r':
        return Whole("%I:%M:%S %p", directive, depth);
      case 'v':
        return Whole("%e-%^b-%Y", directive, depth);
      case '+':
        return Whole("%a %b %e %H:%M:%S %Z %Y", directive, depth);
      default:
        return false;
    }
  }

  const Moment& moment_;
  const Civil civil_;
  const size_t bytes_max_;
  std::string& out_;
};

}  // namespace

struct Zones::Entry {
  std::string name;
  std::unique_ptr<icu::TimeZone> zone;  // null: there is no such zone
};

Zones::Zones() = default;
Zones::~Zones() = default;

std::optional<Moment> Zones::In(std::string_view name, const Moment& moment) {
  constexpr size_t kRemembered = 64;
  auto found = std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry->name == name; });
  if (found == entries_.end()) {
    if (entries_.size() >= kRemembered) entries_.clear();
    std::unique_ptr<icu::TimeZone> zone(
        icu::TimeZone::createTimeZone(icu::UnicodeString::fromUTF8(icu::StringPiece(name.data(), static_cast<int32_t>(name.size())))));
    if (zone && *zone == icu::TimeZone::getUnknown()) zone.reset();
    entries_.push_back(std::make_unique<Entry>(Entry{std::string(name), std::move(zone)}));
    found = entries_.end() - 1;
  }
  const icu::TimeZone* const zone = (*found)->zone.get();
  if (zone == nullptr) return std::nullopt;
  UErrorCode status = U_ZERO_ERROR;
  int32_t raw = 0;
  int32_t summer = 0;
  zone->getOffset(static_cast<double>(moment.seconds) * 1000, static_cast<UBool>(false), raw, summer, status);
  if (U_FAILURE(status)) return std::nullopt;
  Moment there = moment;
  there.offset = (raw + summer) / 1000;
  there.zone.clear();
  icu::UnicodeString shown;
  zone->getDisplayName(static_cast<UBool>(summer != 0), icu::TimeZone::SHORT, icu::Locale::getUS(), shown);
  shown.toUTF8String(there.zone);
  return there;
}

std::optional<Moment> ReadMoment(std::string_view text, int64_t now_us) {
  if (text.empty() || text.size() > 200) return std::nullopt;
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  Moment now;
  now.seconds = FloorDivide(now_us, 1'000'000);
  now.nanos = static_cast<int32_t>(now_us - now.seconds * 1'000'000) * 1000;
  if (lower == "now" || lower == "today") return now;
  if (std::all_of(lower.begin(), lower.end(), IsDigit)) {
    if (lower.size() > 13) return std::nullopt;
    Moment moment;
    moment.seconds = std::strtoll(lower.c_str(), nullptr, 10);
    return moment;
  }
  if (lower.front() == '-' && std::all_of(lower.begin() + 1, lower.end(), IsDigit)) return std::nullopt;
  // "2016-03-14t10:20": the t is a blank.
  for (size_t i = 1; i + 1 < lower.size(); ++i) {
    if (lower[i] == 't' && IsDigit(lower[i - 1]) && IsDigit(lower[i + 1])) lower[i] = ' ';
  }
  Parts parts;
  if (!Reader(lower).Read(parts)) return std::nullopt;
  const Civil today = CivilOf(now);
  const bool dated = parts.year || parts.month || parts.day;
  const int64_t year = parts.year.value_or(today.year);
  const int month = parts.month.value_or(dated && (parts.year || !parts.day) ? 1 : today.month);
  const int day = parts.day.value_or(dated ? 1 : today.day);
  const int hour = parts.hour.value_or(0);
  const int minute = parts.minute.value_or(0);
  const int second = parts.second.value_or(0);
  if (year < -kYearMax || year > kYearMax || month < 1 || month > 12 || day < 1 || day > DaysIn(year, month) || hour > 24 || minute > 59 ||
      second > 60)
    return std::nullopt;
  Moment moment;
  moment.offset = parts.offset.value_or(0);
  if (parts.offset) moment.zone = parts.zone;
  moment.seconds = DaysOf(year, month, day) * kDaySeconds + hour * 3600 + minute * 60 + second - moment.offset;
  moment.nanos = parts.nanos;
  return moment;
}

bool AppendFormatted(std::string_view format, const Moment& moment, size_t bytes_max, std::string& out) {
  return Writer(moment, bytes_max, out).Run(format);
}

}  // namespace maily::liquid
