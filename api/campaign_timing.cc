// When campaigns go: schedules, throttles, and the settings of quiet hours and caps.
#include "api/campaign_timing.h"

#include <fmt/format.h>

#include "api/handlers.h"
#include "api/submit.h"
#include "maily/campaigns/v1/commands.pb.h"
#include "schemas/keys.h"
#include "schemas/wall_time.h"

namespace maily::api {
namespace {

constexpr size_t kTextBytesMax = 64;
constexpr int64_t kPerMinuteMax = 10'000'000;
constexpr int64_t kMinutesMax = 30 * 24 * 60;
constexpr int64_t kCapMax = 255;
constexpr int64_t kOverdueMinutesMax = 7 * 24 * 60;
constexpr int64_t kOverdueMinutes = 60;
constexpr int64_t kTtlMinutes = 72 * 60;

// "22:00", as the minute of the day.
std::optional<uint32_t> ReadMinute(Members& members, const std::string& name) {
  const auto text = members.Text(name, kTextBytesMax, kRequired);
  if (!text) return std::nullopt;
  const auto wall = text->size() == 5 ? schema::ParseWallTime("2026-01-01T" + *text) : std::nullopt;
  if (wall) return static_cast<uint32_t>(wall->second / 60);
  members.Violation(name, "invalid_time", "a time of day like 22:00");
  return std::nullopt;
}

std::string MinuteText(int64_t minute) { return fmt::format("{:02}:{:02}", minute / 60, minute % 60); }

bool IsNull(const Rows& rows, const char* column) { return rows.empty() || rows.at(0, column).type == sql::Type::kNull; }

// Null where there are none.
Json QuietOf(const Rows& rows) {
  if (IsNull(rows, "quiet_from") || rows.at(0, "quiet_from").integer == rows.at(0, "quiet_to").integer) return {};
  return {{"from", MinuteText(rows.at(0, "quiet_from").integer)}, {"to", MinuteText(rows.at(0, "quiet_to").integer)}};
}

Json TextOrNull(const Rows& rows, const char* column) { return IsNull(rows, column) ? Json() : Json(rows.at(0, column).bytes); }

}  // namespace

void ReadQuietHours(Members& members, const std::function<tenants::v1::QuietHours&()>& into) {
  auto quiet = members.Nested("quiet_hours");
  if (!quiet) return;
  const auto from = ReadMinute(*quiet, "from");
  const auto to = ReadMinute(*quiet, "to");
  quiet->RefuseUnknown();
  if (!from || !to) return;
  tenants::v1::QuietHours& hours = into();
  hours.set_from_minute(*from);
  hours.set_to_minute(*to);
}

void ReadTimingSettings(Members& members, tenants::v1::ChangeSettings& command) {
  if (const auto zone = members.Text("time_zone", kTextBytesMax)) {
    command.set_time_zone(*zone);
    if (schema::ZoneNamed(*zone) == nullptr) {
      members.Violation("time_zone", "unknown_zone", "a zone of the IANA database; the nearest is " + schema::NearestZone(*zone));
    }
  }
  ReadQuietHours(members, [&]() -> tenants::v1::QuietHours& { return *command.mutable_quiet_hours(); });
  if (auto cap = members.Nested("frequency_cap")) {
    tenants::v1::FrequencyCap& limits = *command.mutable_cap();
    if (const auto n = cap->Integer("per_day", 0, kCapMax)) limits.set_per_day(static_cast<uint32_t>(*n));
    if (const auto n = cap->Integer("per_week", 0, kCapMax)) limits.set_per_week(static_cast<uint32_t>(*n));
    cap->RefuseUnknown();
  }
  if (const auto n = members.Integer("overdue_minutes", 1, kOverdueMinutesMax)) command.set_overdue_minutes(static_cast<uint32_t>(*n));
}

void ShowTimingSettings(const Rows& settings, Json& body) {
  for (const char* column : {"quiet_from", "quiet_to", "cap_per_day", "cap_per_week"}) body.erase(column);
  if (IsNull(settings, "time_zone")) body["time_zone"] = "UTC";
  body["quiet_hours"] = QuietOf(settings);
  const auto number = [&](const char* column) { return IsNull(settings, column) ? 0 : settings.at(0, column).integer; };
  const int64_t day = number("cap_per_day");
  const int64_t week = number("cap_per_week");
  body["frequency_cap"] = day == 0 && week == 0 ? Json() : Json{{"per_day", day}, {"per_week", week}};
  if (IsNull(settings, "overdue_minutes")) body["overdue_minutes"] = kOverdueMinutes;
}

void ReadPace(Members& members, campaigns::v1::Pace& pace) {
  if (const auto n = members.Integer("per_minute", 1, kPerMinuteMax)) pace.set_per_minute(static_cast<uint32_t>(*n));
  if (const auto n = members.Integer("over_minutes", 1, kMinutesMax)) pace.set_over_minutes(static_cast<uint32_t>(*n));
  if (pace.per_minute() != 0 && pace.over_minutes() != 0) members.Violation("over_minutes", "twice", "a throttle is either of both");
}

void ReadTiming(Members& members, campaigns::v1::CampaignSpec& spec) {
  if (auto throttle = members.Nested("throttle")) {
    ReadPace(*throttle, *spec.mutable_pace());
    throttle->RefuseUnknown();
  }
  ReadQuietHours(members, [&]() -> tenants::v1::QuietHours& { return *spec.mutable_quiet_hours(); });
  if (const auto n = members.Integer("ttl_minutes", 1, kMinutesMax)) spec.set_ttl_minutes(static_cast<uint32_t>(*n));
}

Result<void> ShowTiming(Call& call, const Parameter& which, Json& body) {
  MAILY_TRY(const Rows rows, QueryOwn(call, "campaign_timing", {which}));
  if (rows.empty()) return Ok();
  const auto number = [&](const char* column) { return rows.at(0, column).integer; };
  body["schedule"] = Json();
  if (!IsNull(rows, "starts_at_us")) {
    body["schedule"] = {{"starts_at", Rfc3339(number("starts_at_us"))},
                        {"local", TextOrNull(rows, "local")},
                        {"zone", TextOrNull(rows, "zone")},
                        {"per_contact_zone", number("per_contact") != 0},
                        {"late", number("skip_late") != 0 ? "skip" : "send"},
                        {"tz_version", TextOrNull(rows, "tz_version")}};
  }
  body["held"] = Json();
  if (!IsNull(rows, "held_at_us")) {
    Json codes = Json::array();
    for (std::string rest = TextOrNull(rows, "held_codes").is_null() ? "" : rows.at(0, "held_codes").bytes; !rest.empty();) {
      const size_t end = std::min(rest.find(' '), rest.size());
      codes.push_back(rest.substr(0, end));
      rest.erase(0, end + 1);
    }
    body["held"] = {{"at", Rfc3339(number("held_at_us"))},
                    {"reason", rows.at(0, "held_reason").bytes},
                    {"codes", std::move(codes)},
                    {"why", TextOrNull(rows, "held_why")}};
  }
  body["throttle"] = Json();
  if (number("per_minute") != 0) body["throttle"] = {{"per_minute", number("per_minute")}};
  if (number("over_minutes") != 0) body["throttle"] = {{"over_minutes", number("over_minutes")}};
  body["quiet_hours"] = QuietOf(rows);
  body["ttl_minutes"] = number("ttl_minutes") == 0 ? kTtlMinutes : number("ttl_minutes");
  body["clocks"] = {{"most", number("clocks")}, {"without_zone", number("without_zone")}};
  return Ok();
}

void ScheduleCampaign(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  Body body(call);
  campaigns::v1::ScheduleCampaign command;
  command.set_campaign_id(*id);
  if (const auto at = body.Text("at", kTextBytesMax)) {
    const auto instant = ParseRfc3339(*at);
    if (!instant) body.Violation("at", "invalid_time", "an instant of RFC 3339 with an offset, like 2026-12-01T09:00:00+01:00");
    if (instant) command.set_at_us(std::max<int64_t>(*instant, 1));
  }
  if (const auto local = body.Text("local", kTextBytesMax)) command.set_local(*local);
  if (const auto zone = body.Text("zone", kTextBytesMax)) command.set_zone(*zone);
  command.set_per_contact(body.Boolean("per_contact_zone").value_or(false));
  if (const auto late = body.Text("late", kTextBytesMax)) {
    if (*late != "send" && *late != "skip") body.Violation("late", "invalid", "send or skip");
    command.set_skip_late(*late == "skip");
  }
  if (!body.Accepted(call)) return;
  SubmitHome(std::move(call), command, {.id_member = "campaign_id"});
}

void UnscheduleCampaign(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  if (!call.request.body.empty() && !Body(call).Accepted(call)) return;
  campaigns::v1::UnscheduleCampaign command;
  command.set_campaign_id(*id);
  SubmitHome(std::move(call), command, {.id_member = "campaign_id"});
}

void ReleaseCampaign(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  if (!call.request.body.empty() && !Body(call).Accepted(call)) return;
  campaigns::v1::ReleaseCampaign command;
  command.set_campaign_id(*id);
  gateway::Order order = gateway::PlainOrder(command, schema::HomeKey(call.caller.tenant));
  // Of the instance, not asked for: no part of the request that Idempotency-Key stands for.
  command.set_live(call.api->parts.live);
  command.set_mail_bytes_max(call.api->parts.assets.mail_bytes_max);
  order.payload = command.SerializeAsString();
  Submit(std::move(call), std::move(order), {.id_member = "campaign_id"});
}

void ThrottleCampaign(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  Body body(call);
  campaigns::v1::ThrottleCampaign command;
  command.set_campaign_id(*id);
  ReadPace(body, *command.mutable_pace());
  if (!body.Accepted(call)) return;
  SubmitHome(std::move(call), command, {.id_member = "campaign_id"});
}

}  // namespace maily::api
