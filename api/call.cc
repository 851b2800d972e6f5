// See call.h.
#include "api/call.h"

#include <algorithm>
#include <charconv>

#include "streams/observe/logging.h"

namespace maily::api {
namespace {

// Days since 1970-01-01 of a date in the proleptic Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
int64_t DaysFromCivil(int64_t year, unsigned month, unsigned day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const auto of_era = static_cast<unsigned>(year - era * 400);
  const unsigned of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const unsigned day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
  return era * 146097 + static_cast<int64_t>(day_of_era) - 719468;
}

void CivilFromDays(int64_t days, int64_t& year, unsigned& month, unsigned& day) {
  days += 719468;
  const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const auto of_era = static_cast<unsigned>(days - era * 146097);
  const unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned shifted = (5 * of_year + 2) / 153;
  day = of_year - (153 * shifted + 2) / 5 + 1;
  month = shifted < 10 ? shifted + 3 : shifted - 9;
  year = static_cast<int64_t>(year_of_era) + era * 400 + (month <= 2 ? 1 : 0);
}

unsigned Distance(std::string_view a, std::string_view b) {
  std::vector<unsigned> row(b.size() + 1);
  for (unsigned i = 0; i < row.size(); ++i) row[i] = i;
  for (size_t i = 0; i < a.size(); ++i) {
    unsigned diagonal = row[0];
    row[0] = static_cast<unsigned>(i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const unsigned above = row[j + 1];
      row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0u : 1u)});
      diagonal = above;
    }
  }
  return row.back();
}

// Whoever has his answer may ask again at once: the key is free before.
void Give(Call& call, http::Response response) {
  call.held_key.reset();
  call.respond(std::move(response));
}

}  // namespace

Shared::Shared(const Dependencies& dependencies)
    : parts(dependencies),
      gateway({.sender = parts.sender,
               .replies = parts.replies,
               .keyring = parts.keyring,
               .views = parts.views,
               .clock = parts.clock,
               .entropy = parts.entropy,
               .executor = parts.executor,
               .blocking = *parts.blocking.front(),
               .log = parts.log}),
      auth(gateway::KeysFromViews(parts.views), *parts.blocking.front(), parts.clock),
      imports(parts.bulk) {}
Shared::~Shared() = default;

void Answer(Call& call, int status, const Json& body, http::Headers headers) {
  http::Response response;
  response.status = status;
  response.headers = std::move(headers);
  if (status != 204) {
    response.headers.Add("content-type", "application/json");
    response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  Give(call, std::move(response));
}

void Refuse(Call& call, const http::Problem& problem) { Give(call, ToResponse(problem, call.request.trace_id, call.request.path())); }

void Refuse(Call& call, const Error& error, http::Headers headers) {
  http::Problem problem = http::ProblemOf(error);
  problem.headers = std::move(headers);
  if (problem.status >= 500) {
    observe::Log(observe::Level::kWarn, "request failed",
                 {{"trace_id", call.request.trace_id}, {"tenant", call.caller.tenant}, {"error", error}});
  }
  Refuse(call, problem);
}

http::Problem BadParameter(std::string_view name, std::string hint, int status) {
  http::Problem problem{.status = status, .code = "invalid_parameter", .message = fmt::format("query parameter {}: {}", name, hint)};
  problem.details.push_back({.path = std::string(name), .code = "invalid_parameter", .hint = std::move(hint)});
  return problem;
}

Result<const keyring::TenantKeys*> KeysOf(Call& call) { return call.api->parts.keyring.Tenant(call.caller.tenant); }

std::optional<int64_t> NumberParameter(const Call& call, std::string_view name, int64_t fallback, int64_t least, int64_t most) {
  const auto text = call.request.Query(name);
  if (!text) return fallback;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size() || value < least || value > most) return std::nullopt;
  return value;
}

std::optional<uint64_t> IdParam(const Call& call, std::string_view name) {
  const std::string_view text = call.request.Param(name);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value > static_cast<uint64_t>(INT64_MAX))
    return std::nullopt;
  return value;
}

bool IsOperator(const Call& call) { return call.caller.tenant == TenantId(1); }

http::Problem OperatorsOnly() {
  return {.status = 403, .code = "forbidden", .message = "only an admin key of the tenant `default`, the platform's operator, may do this"};
}

http::Problem NoSuch(std::string_view what) {
  return {.status = 404, .code = "not_found", .message = fmt::format("there is no such {}", what)};
}

std::string Rfc3339(int64_t us) {
  const int64_t seconds = (us >= 0 ? us : us - 999'999) / 1'000'000;
  const int64_t fraction = us - seconds * 1'000'000;
  const int64_t days = (seconds >= 0 ? seconds : seconds - 86'399) / 86'400;
  const int64_t of_day = seconds - days * 86'400;
  int64_t year = 0;
  unsigned month = 0;
  unsigned day = 0;
  CivilFromDays(days, year, month, day);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", year, month, day, of_day / 3600, of_day / 60 % 60, of_day % 60);
  if (fraction % 1000 != 0) {
    text += fmt::format(".{:06}", fraction);
  } else if (fraction != 0) {
    text += fmt::format(".{:03}", fraction / 1000);
  }
  return text + "Z";
}

Result<int64_t> ParseRfc3339(std::string_view text) {
  const Error wrong = Fail(Code::kInvalid, "write a time as 2026-11-21T05:00:00Z or with an offset like +02:00");
  size_t at = 0;
  bool ok = true;
  const auto number = [&](size_t digits) {
    int64_t value = 0;
    for (size_t i = 0; i < digits; ++i, ++at) {
      if (at >= text.size() || text[at] < '0' || text[at] > '9') {
        ok = false;
        return int64_t{0};
      }
      value = value * 10 + (text[at] - '0');
    }
    return value;
  };
  const auto sign = [&](std::string_view any) {
    if (at >= text.size() || any.find(text[at]) == std::string_view::npos) {
      ok = false;
      return '?';
    }
    return text[at++];
  };
  const int64_t year = number(4);
  sign("-");
  const auto month = static_cast<unsigned>(number(2));
  sign("-");
  const auto day = static_cast<unsigned>(number(2));
  sign("Tt ");
  const int64_t hour = number(2);
  sign(":");
  const int64_t minute = number(2);
  sign(":");
  const int64_t second = number(2);
  int64_t us = 0;
  if (ok && at < text.size() && text[at] == '.') {
    ++at;
    int64_t scale = 100'000;
    const size_t first = at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10) us += (text[at] - '0') * scale;
    ok = at > first;
  }
  int64_t offset = 0;
  if (const char zone = sign("Zz+-"); zone == '+' || zone == '-') {
    const int64_t hours = number(2);
    sign(":");
    const int64_t minutes = number(2);
    ok = ok && hours < 24 && minutes < 60;
    offset = (hours * 60 + minutes) * (zone == '+' ? 60 : -60);
  }
  static constexpr unsigned kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  if (!ok || at != text.size() || month < 1 || month > 12 || day < 1 || day > kDays[month - 1] + (month == 2 && leap ? 1u : 0u) ||
      hour > 23 || minute > 59 || second > 60) {
    return wrong;
  }
  return (DaysFromCivil(year, month, day) * 86'400 + hour * 3600 + minute * 60 + second - offset) * 1'000'000 + us;
}

std::string Nearest(std::string_view name, const std::vector<std::string>& known) {
  if (name.size() > 64) return {};
  const std::string* best = nullptr;
  unsigned least = static_cast<unsigned>(std::max<size_t>(2, name.size() / 3)) + 1;
  for (const std::string& one : known) {
    if (const unsigned distance = Distance(name, one); distance < least) {
      least = distance;
      best = &one;
    }
  }
  return best == nullptr ? std::string() : *best;
}

}  // namespace maily::api
