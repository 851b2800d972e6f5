// See json.h.
#include "api/esp/json.h"

#include <algorithm>
#include <cmath>

#include "api/esp/signature.h"
#include "streams/base/utf8.h"

namespace maily::esp {
namespace {

using nlohmann::json;

constexpr int64_t kSecondsMax = 253'402'300'799;  // 9999-12-31T23:59:59Z

// Builds the value and counts.
class Builder : public nlohmann::json_sax<json> {
 public:
  json root;
  const char* over = nullptr;  // the limit that was reached

  bool null() override { return Put(nullptr); }
  bool boolean(bool value) override { return Put(value); }
  bool number_integer(number_integer_t value) override { return Put(value); }
  bool number_unsigned(number_unsigned_t value) override { return Put(value); }
  bool number_float(number_float_t value, const string_t&) override { return Put(value); }
  bool string(string_t& value) override { return Put(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return Push(json::object()); }
  bool start_array(std::size_t) override { return Push(json::array()); }
  bool end_object() override { return Pop(); }
  bool end_array() override { return Pop(); }
  bool key(string_t& name) override {
    key_ = std::move(name);
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  json* Insert(json value) {
    if (++values_ > kValuesMax) {
      over = "values";
      return nullptr;
    }
    if (open_.empty()) return &(root = std::move(value));
    json& in = *open_.back();
    if (!in.is_array()) return &(in[key_] = std::move(value));
    in.push_back(std::move(value));
    return &in.back();
  }
  bool Put(json value) { return Insert(std::move(value)) != nullptr; }
  bool Push(json value) {
    if (open_.size() >= kDepthMax) over = "levels";
    json* const inserted = over == nullptr ? Insert(std::move(value)) : nullptr;
    if (inserted != nullptr) open_.push_back(inserted);
    return inserted != nullptr;
  }
  bool Pop() {
    open_.pop_back();
    return true;
  }

  std::string key_;
  std::vector<json*> open_;  // stay valid: what holds the innermost one does not grow meanwhile
  size_t values_ = 0;
};

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

std::string_view CutAt(std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  // At most three bytes of a broken character are lost.
  text = text.substr(0, bytes_max);
  return text.substr(0, Utf8Prefix(text));
}

// Days from 1970-01-01 to a date of the Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date algorithms").
int64_t Days(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = year / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

// Reads digits and signs off the front; `ok` goes false for good when something else stands there.
struct Scanner {
  std::string_view rest;
  bool ok = true;

  int64_t Number(size_t digits) {
    int64_t value = 0;
    for (size_t i = 0; i < digits; ++i) {
      if (rest.empty() || rest.front() < '0' || rest.front() > '9') {
        ok = false;
        return 0;
      }
      value = value * 10 + (rest.front() - '0');
      rest.remove_prefix(1);
    }
    return value;
  }
  char Sign(std::string_view any) {
    if (rest.empty() || any.find(rest.front()) == any.npos) {
      ok = false;
      return '\0';
    }
    const char c = rest.front();
    rest.remove_prefix(1);
    return c;
  }
};

Error NoTime(std::string_view name) { return Fail(Code::kInvalid, "{} is no time", name); }

}  // namespace

Result<json> ParseBounded(std::string_view text) {
  if (text.size() > kBodyBytesMax) return Fail(Code::kInvalid, "it has {} bytes, at most {} are taken", text.size(), kBodyBytesMax);
  Builder builder;
  if (json::sax_parse(text, &builder)) return std::move(builder.root);
  if (builder.over == nullptr) return Fail(Code::kInvalid, "it is not JSON");
  return Fail(Code::kInvalid, "it has too many {}: at most {} values, {} levels are taken", builder.over, kValuesMax, kDepthMax);
}

const json& Member(const json& value, const char* name) {
  static const json kNone;
  if (!value.is_object()) return kNone;
  const auto found = value.find(name);
  return found == value.end() ? kNone : *found;
}

std::string Text(const json& value, size_t bytes_max) {
  if (!value.is_string()) return {};
  std::string text(CutAt(value.get_ref<const std::string&>(), bytes_max));
  std::ranges::replace_if(text, IsControl, ' ');
  return text;
}

std::string Id(const json& value, size_t bytes_max) {
  if (value.is_number_unsigned()) return std::to_string(value.get<uint64_t>());
  if (value.is_number_integer()) return std::to_string(value.get<int64_t>());
  if (!value.is_string()) return {};
  const auto& text = value.get_ref<const std::string&>();
  return text.size() > bytes_max || std::ranges::any_of(text, IsControl) ? std::string() : text;
}

std::string MessageId(const json& value) {
  std::string id = Id(value);
  if (id.size() >= 2 && id.starts_with('<') && id.ends_with('>')) id = id.substr(1, id.size() - 2);
  return id;
}

Result<std::string> Recipient(const json& value, std::string_view name) {
  if (!value.is_string()) return Fail(Code::kInvalid, "{} is no string", name);
  std::string_view text = value.get_ref<const std::string&>();
  if (text.ends_with('>')) {
    const size_t open = text.rfind('<');
    if (open == text.npos) return Fail(Code::kInvalid, "{} is no address", name);
    text = text.substr(open + 1, text.size() - open - 2);
  }
  if (text.empty() || text.size() > kAddressBytesMax)
    return Fail(Code::kInvalid, "{} has {} bytes: 1 to {} are taken", name, text.size(), kAddressBytesMax);
  if (std::ranges::any_of(text, IsControl)) return Fail(Code::kInvalid, "{} has control characters", name);
  return std::string(text);
}

Result<Instant> TimeOf(const json& value, std::string_view name) {
  if (!value.is_string()) return NoTime(name);
  Scanner scan{value.get_ref<const std::string&>()};
  const int64_t year = scan.Number(4);
  scan.Sign("-");
  const int64_t month = scan.Number(2);
  scan.Sign("-");
  const int64_t day = scan.Number(2);
  scan.Sign("Tt ");
  const int64_t hour = scan.Number(2);
  scan.Sign(":");
  const int64_t minute = scan.Number(2);
  scan.Sign(":");
  const int64_t second = scan.Number(2);
  int64_t us = 0;
  if (scan.ok && scan.rest.starts_with('.')) {
    scan.rest.remove_prefix(1);
    const size_t digits = std::min(scan.rest.find_first_not_of("0123456789"), scan.rest.size());
    if (digits == 0) return NoTime(name);
    int64_t scale = 100'000;
    for (size_t i = 0; i < digits; ++i, scale /= 10) us += (scan.rest[i] - '0') * scale;
    scan.rest.remove_prefix(digits);
  }
  int64_t offset_s = 0;
  if (const char zone = scan.Sign("Zz+-"); zone == '+' || zone == '-') {
    const int64_t hours = scan.Number(2);
    scan.Sign(":");
    const int64_t minutes = scan.Number(2);
    scan.ok = scan.ok && hours < 24 && minutes < 60;
    offset_s = (hours * 60 + minutes) * (zone == '+' ? 60 : -60);
  }
  static constexpr int64_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  if (!scan.ok || !scan.rest.empty() || year < 1970 || month < 1 || month > 12 || day < 1 ||
      day > kDays[month - 1] + (month == 2 && leap ? 1 : 0) || hour > 23 || minute > 59 || second > 60) {
    return NoTime(name);
  }
  const Instant at{(Days(year, month, day) * 86'400 + hour * 3600 + minute * 60 + second - offset_s) * 1'000'000 + us};
  if (at.us <= 0) return NoTime(name);
  return at;
}

Result<Instant> SecondsOf(const json& value, std::string_view name) {
  if (value.is_string()) return SecondsOf(std::string_view(value.get_ref<const std::string&>()), name);
  if (value.is_number_float()) {
    const auto seconds = value.get<double>();
    if (!(seconds > 0 && seconds <= static_cast<double>(kSecondsMax))) return NoTime(name);
    return Instant{std::max<int64_t>(std::llround(seconds * 1e6), 1)};
  }
  if (!value.is_number_unsigned()) return NoTime(name);
  const auto seconds = value.get<uint64_t>();
  if (seconds == 0 || seconds > static_cast<uint64_t>(kSecondsMax)) return NoTime(name);
  return Instant{static_cast<int64_t>(seconds) * 1'000'000};
}

Result<Instant> SecondsOf(std::string_view digits, std::string_view name) {
  if (digits.empty() || digits.size() > 12) return NoTime(name);
  Scanner scan{digits};
  const int64_t seconds = scan.Number(digits.size());
  if (!scan.ok || seconds == 0 || seconds > kSecondsMax) return NoTime(name);
  return Instant{seconds * 1'000'000};
}

std::string DedupId(std::string_view id) {
  const bool plain = std::ranges::all_of(id, [](char c) { return c > 0x20 && c < 0x7f; });
  return plain && !id.empty() && id.size() <= kDedupIdBytesMax ? std::string(id) : DedupId({id});
}

std::string DedupId(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) {
    all += std::to_string(part.size());
    all += ':';
    all += part;
  }
  return Sha256Hex(all);
}

std::string Raw(const json& value) { return Raw(std::string_view(value.dump(-1, ' ', false, json::error_handler_t::replace))); }

std::string Raw(std::string_view text) {
  text = text.substr(0, kRawBytesMax);
  return std::string(text.substr(0, Utf8Prefix(text)));
}

}  // namespace maily::esp
