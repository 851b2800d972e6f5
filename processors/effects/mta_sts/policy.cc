// See policy.h. Section numbers are those of RFC 8461.
#include "processors/effects/mta_sts/policy.h"

#include <algorithm>
#include <optional>

namespace maily::mta_sts {
namespace {

constexpr std::string_view kVersion = "STSv1";
constexpr std::string_view kRecordStart = "v=STSv1";
constexpr std::string_view kAnyLabel = "*.";

bool IsSpace(char c) { return c == ' ' || c == '\t'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetterOrDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string_view WithoutSpaceBefore(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  return text;
}
std::string_view WithoutSpaceAfter(std::string_view text) {
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

// sts-ext-name and sts-policy-ext-name, which the known names are, too (§3.1, §3.2).
bool IsFieldName(std::string_view name) {
  return !name.empty() && name.size() <= 32 && IsLetterOrDigit(name.front()) &&
         std::ranges::all_of(name, [](char c) { return IsLetterOrDigit(c) || c == '_' || c == '-' || c == '.'; });
}

// sts-ext-value (§3.1).
bool IsRecordValue(std::string_view value) {
  return !value.empty() && std::ranges::all_of(value, [](char c) { return c > 0x20 && c < 0x7F && c != ';' && c != '='; });
}

// Text that others wrote, for a line of a log.
std::string Shown(std::string_view text) {
  std::string shown(text.substr(0, 60));
  std::ranges::replace_if(shown, [](char c) { return c < 0x20 || c > 0x7E; }, '?');
  return shown;
}

bool BeginsAsRecord(std::string_view text) {
  return text.starts_with(kRecordStart) && WithoutSpaceBefore(text.substr(kRecordStart.size())).starts_with(';');
}

std::optional<Mode> ModeOf(std::string_view name) {
  for (const Mode mode : {Mode::kEnforce, Mode::kTesting, Mode::kNone}) {
    if (name == ModeName(mode)) return mode;
  }
  return std::nullopt;
}

// 1*10(DIGIT) (§3.2).
std::optional<Duration> MaxAgeOf(std::string_view value) {
  if (value.empty() || value.size() > 10 || !std::ranges::all_of(value, IsDigit)) return std::nullopt;
  int64_t seconds = 0;
  for (const char c : value) seconds = seconds * 10 + (c - '0');
  return std::min(Seconds(seconds), kMaxAgeMax);
}

// The known fields as they come; the first of each counts.
struct Fields {
  std::optional<std::string_view> version;
  std::optional<Mode> mode;
  std::optional<Duration> max_age;
  std::vector<std::string> mx;
};

Result<void> TakeField(std::string_view name, std::string_view value, size_t line, Fields& fields) {
  if (name == "version" && !fields.version) {
    if (value != kVersion) return Fail(Code::kInvalid, "line {}: version '{}' is not known, only STSv1", line, Shown(value));
    fields.version = value;
  } else if (name == "mode" && !fields.mode) {
    fields.mode = ModeOf(value);
    if (!fields.mode) return Fail(Code::kInvalid, "line {}: '{}' is no mode: enforce, testing or none", line, Shown(value));
  } else if (name == "max_age" && !fields.max_age) {
    fields.max_age = MaxAgeOf(value);
    if (!fields.max_age) return Fail(Code::kInvalid, "line {}: max_age '{}' is no number of at most 10 digits", line, Shown(value));
  } else if (name == "mx") {
    auto pattern = ParsePattern(value);
    if (!pattern) return Fail(Code::kInvalid, "line {}: {}", line, pattern.error().message);
    fields.mx.push_back(std::move(*pattern));
  }
  return Ok();
}

}  // namespace

std::string_view ModeName(Mode mode) {
  switch (mode) {
    case Mode::kEnforce:
      return "enforce";
    case Mode::kTesting:
      return "testing";
    case Mode::kNone:
      return "none";
  }
  return "none";
}

bool IsId(std::string_view text) { return !text.empty() && text.size() <= 32 && std::ranges::all_of(text, IsLetterOrDigit); }

Result<std::string> ParseRecord(std::string_view text) {
  if (!text.starts_with(kRecordStart)) return Fail(Code::kInvalid, "the record does not begin with v=STSv1");
  std::string_view rest = WithoutSpaceBefore(text.substr(kRecordStart.size()));
  std::optional<std::string_view> id;
  while (!rest.empty()) {
    if (rest.front() != ';') return Fail(Code::kInvalid, "the record has '{}' where a ';' has to stand", Shown(rest));
    rest = WithoutSpaceBefore(rest.substr(1));
    if (rest.empty()) break;
    const std::string_view field = WithoutSpaceAfter(rest.substr(0, rest.find(';')));
    rest.remove_prefix(std::min(rest.find(';'), rest.size()));
    const size_t equals = std::min(field.find('='), field.size());
    const std::string_view name = field.substr(0, equals);
    const std::string_view value = field.substr(std::min(equals + 1, field.size()));
    if (!IsFieldName(name) || !IsRecordValue(value))
      return Fail(Code::kInvalid, "the record has a field '{}', which is none", Shown(field));
    if (name != "id" || id) continue;
    if (!IsId(value)) return Fail(Code::kInvalid, "the record's id '{}' is not 1 to 32 letters and digits", Shown(value));
    id = value;
  }
  if (!id) return Fail(Code::kInvalid, "the record has no id");
  return std::string(*id);
}

Result<std::string> ChooseId(const std::vector<DnsRecord>& records) {
  const auto ours = [](const DnsRecord& record) { return BeginsAsRecord(record.value); };
  const auto count = std::ranges::count_if(records, ours);
  if (count == 0) return Fail(Code::kNotFound, "no record begins with v=STSv1");
  if (count > 1) return Fail(Code::kInvalid, "{} records begin with v=STSv1: there has to be one", count);
  return ParseRecord(std::ranges::find_if(records, ours)->value);
}

Result<std::string> ParsePattern(std::string_view text) {
  const bool any = text.starts_with(kAnyLabel);
  MAILY_TRY(const std::string name, HostName(any ? text.substr(kAnyLabel.size()) : text));
  return any ? std::string(kAnyLabel) + name : name;
}

Result<Policy> ParsePolicy(std::string_view text) {
  if (text.size() > kPolicyBytesMax)
    return Fail(Code::kInvalid, "{} bytes are more than the {} that a policy may have", text.size(), kPolicyBytesMax);
  Fields fields;
  for (size_t number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    line = WithoutSpaceAfter(line);
    if (line.empty()) continue;
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !IsFieldName(line.substr(0, colon))) {
      return Fail(Code::kInvalid, "line {}: '{}' is no 'name: value'", number, Shown(line));
    }
    const std::string_view value = WithoutSpaceBefore(line.substr(colon + 1));
    if (std::ranges::any_of(value, [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7F; })) {
      return Fail(Code::kInvalid, "line {}: '{}' has a control character", number, Shown(line));
    }
    MAILY_TRY_VOID(TakeField(line.substr(0, colon), value, number, fields));
  }
  if (!fields.version || !fields.mode || !fields.max_age) {
    return Fail(Code::kInvalid, "it has no field '{}'", !fields.version ? "version" : !fields.mode ? "mode" : "max_age");
  }
  if (fields.mx.empty() && *fields.mode != Mode::kNone) return Fail(Code::kInvalid, "it has no field 'mx'");
  return Policy{.mode = *fields.mode, .mx = std::move(fields.mx), .max_age = *fields.max_age};
}

bool Fits(std::string_view pattern, std::string_view host) {
  const auto name = HostName(host);
  if (!name) return false;
  if (!pattern.starts_with(kAnyLabel)) return *name == pattern;
  const size_t dot = name->find('.');
  return dot != std::string::npos && std::string_view(*name).substr(dot + 1) == pattern.substr(kAnyLabel.size());
}

bool Fits(const Policy& policy, std::string_view host) {
  return std::ranges::any_of(policy.mx, [host](const std::string& pattern) { return Fits(pattern, host); });
}

}  // namespace maily::mta_sts
