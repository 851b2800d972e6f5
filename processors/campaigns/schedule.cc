// See schedule.h.
#include "processors/campaigns/schedule.h"

#include <fmt/format.h>

#include <optional>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "processors/campaigns/arm_templates.h"
#include "processors/campaigns/decide.h"
#include "processors/campaigns/drafts.h"
#include "processors/campaigns/evolve.h"
#include "processors/compliance/timing.h"
#include "schemas/types.h"
#include "schemas/wall_time.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::campaigns {
namespace {

using journal::Outcome;

// The clocks that are first and last at any wall time.
constexpr std::string_view kFirstZone = "Etc/GMT-14";
constexpr std::string_view kLastZone = "Etc/GMT+12";
constexpr uint32_t kDayMinutes = 24 * 60;

struct Violation {
  std::string_view path;
  std::string_view code;
  std::string sentence;
};

std::string Utc(Instant at) {
  const schema::WallTime wall = schema::Utc().At(at);
  std::string text = schema::WallTimeText(wall);
  return text + (wall.second % 60 == 0 ? ":00Z" : "Z");
}

// The start that is asked for; violations are added.
std::optional<v1::Start> StartOf(const task::Context& context, const v1::ScheduleCampaign& command, std::vector<Violation>& wrong) {
  const Instant now = context.now();
  v1::Start start;
  start.set_tz_version(schema::TzVersion());
  if (command.local().empty() == (command.at_us() == 0)) {
    wrong.push_back(
        {"/at", command.local().empty() ? "missing" : "twice", "a start is either at, an instant, or local, the wall time of a zone"});
    return std::nullopt;
  }
  if (command.local().empty()) {
    if (!command.zone().empty()) wrong.push_back({"/zone", "twice", "zone is of a local time: an instant has its offset"});
    if (command.per_contact() || command.skip_late()) {
      wrong.push_back({"/per_contact_zone", "twice", "each contact's own clock shows a local time, not an instant: say local"});
    }
    start.set_at_us(command.at_us());
  } else {
    const auto wall = schema::ParseWallTime(command.local());
    const std::string& tenants = TenantOf(context).time_zone();
    start.set_zone(!command.zone().empty() ? command.zone() : tenants.empty() ? "UTC" : tenants);
    const schema::Zone* zone = schema::ZoneNamed(start.zone());
    if (!wall) wrong.push_back({"/local", "invalid_time", "a wall time is like 2026-12-01T09:00, without an offset"});
    if (zone == nullptr) {
      wrong.push_back({"/zone", "unknown_zone",
                       fmt::format("there is no zone \"{}\" in the IANA database; the nearest is {}", start.zone().substr(0, 64),
                                   schema::NearestZone(start.zone()))});
    }
    if (command.skip_late() && !command.per_contact()) {
      wrong.push_back({"/late", "invalid", "late is of campaigns that go by each contact's own clock: per_contact_zone"});
    }
    if (!wall || zone == nullptr) return std::nullopt;
    start.set_local(schema::WallTimeText(*wall));
    start.set_per_contact(command.per_contact());
    start.set_skip_late(command.skip_late());
    Instant at = zone->InstantOf(*wall);
    if (command.per_contact()) {
      if (schema::ZoneNamed(kLastZone)->InstantOf(*wall) < now) {
        wrong.push_back({"/local", "in_the_past", fmt::format("no clock on earth shows {} any more", start.local())});
      }
      at = std::max(now, schema::ZoneNamed(kFirstZone)->InstantOf(*wall));
    }
    start.set_at_us(at.us);
  }
  if (Instant{start.at_us()} < now) {
    wrong.push_back({start.local().empty() ? "/at" : "/local", "in_the_past",
                     fmt::format("{} is past: it is {} now", Utc(Instant{start.at_us()}), Utc(now))});
  }
  if (Instant{start.at_us()} - now > kScheduleAheadMax) {
    wrong.push_back({start.local().empty() ? "/at" : "/local", "too_far",
                     fmt::format("a campaign is scheduled at most {} days ahead", kScheduleAheadMax.us / Days(1).us)});
  }
  return start;
}

Duration Grace(const task::Context& context) {
  const uint32_t minutes = TenantOf(context).overdue_minutes();
  return Seconds(int64_t{minutes == 0 ? kOverdueMinutes : minutes} * 60);
}

// True: it is too late, and the campaign is held.
bool HeldAsOverdue(task::Context& context, uint64_t campaign_id, const v1::Start& start) {
  const Duration late = context.now() - Instant{start.at_us()};
  if (late <= Grace(context)) return false;
  v1::CampaignHeld held;
  held.set_campaign_id(campaign_id);
  held.set_reason("overdue");
  held.set_late_s(late.us / 1'000'000);
  context.Emit(held);
  return true;
}

bool IsQuiet(const tenants::v1::QuietHours& hours) { return hours.from_minute() < kDayMinutes && hours.to_minute() < kDayMinutes; }

}  // namespace

void Decide(task::Context& context, const v1::ScheduleCampaign& command) {
  const v1::Campaign* campaign = CampaignIn(context, command.campaign_id(), {v1::DRAFT, v1::SCHEDULED, v1::HELD}, "campaign_not_draft");
  if (campaign == nullptr) return;
  std::vector<Violation> wrong;
  const auto start = StartOf(context, command, wrong);
  if (!wrong.empty()) {
    std::string all;
    for (const Violation& one : wrong) all += (all.empty() ? "" : "; ") + one.sentence;
    context.Refuse(Outcome::kInvalid, "schedule_invalid", all);
    for (const Violation& one : wrong) context.Answer(fmt::format("{}#{}", one.path, one.code), one.sentence);
    return;
  }
  v1::CampaignScheduled scheduled;
  scheduled.set_campaign_id(command.campaign_id());
  *scheduled.mutable_start() = *start;
  context.Emit(scheduled);
  context.Answer("campaign_id", command.campaign_id());
  context.Answer("status", "scheduled");
  context.Answer("starts_at", Utc(Instant{start->at_us()}));
}

void Decide(task::Context& context, const v1::UnscheduleCampaign& command) {
  if (CampaignIn(context, command.campaign_id(), {v1::SCHEDULED, v1::HELD}, "campaign_not_scheduled") == nullptr) return;
  v1::CampaignUnscheduled unscheduled;
  unscheduled.set_campaign_id(command.campaign_id());
  context.Emit(unscheduled);
  context.Answer("campaign_id", command.campaign_id());
  context.Answer("status", "draft");
}

void Decide(task::Context& context, const v1::ReleaseCampaign& command) {
  const v1::Campaign* campaign = CampaignIn(context, command.campaign_id(), {v1::HELD}, "campaign_not_held");
  if (campaign == nullptr) return;
  v1::LaunchCampaign launch;
  launch.set_campaign_id(command.campaign_id());
  launch.set_empty_audience(command.empty_audience());
  launch.set_live(command.live());
  launch.set_mail_bytes_max(command.mail_bytes_max());
  LaunchOrRefuse(context, *campaign, launch);
}

void StartDue(task::Context& context, std::string_view subject) {
  const auto campaign_id = Cursor(subject).Ordered<uint64_t>();
  const auto* campaign = context.view<v1::Campaign>().Find(state::Key(context.tenant(), campaign_id));
  if (campaign == nullptr || campaign->status() != v1::SCHEDULED || campaign->start_due()) return;
  if (Instant{campaign->start().at_us()} > context.now()) return;  // it was scheduled anew
  const v1::Start start = campaign->start();
  if (HeldAsOverdue(context, campaign_id, start)) return;
  v1::CampaignStartDue due;
  due.set_campaign_id(campaign_id);
  due.set_at_us(start.at_us());
  context.Emit(due);
}

void Decide(task::Context& context, const v1::StartCampaign& command) {
  const auto* campaign = context.view<v1::Campaign>().Find(state::Key(context.tenant(), command.campaign_id()));
  if (campaign == nullptr || campaign->status() != v1::SCHEDULED || !campaign->start_due()) return context.Unchanged();
  const v1::Start start = campaign->start();
  if (HeldAsOverdue(context, command.campaign_id(), start)) return;
  v1::LaunchCampaign launch;
  launch.set_campaign_id(command.campaign_id());
  launch.set_live(command.live());
  launch.set_mail_bytes_max(command.mail_bytes_max());
  std::vector<compliance::Objection> wrong;
  const auto launching = Launchable(context, *campaign, launch, wrong);
  if (auto why = WhyNotApproved(context, command.campaign_id(), *campaign, /*audience=*/0)) wrong.push_back(*std::move(why));
  if (wrong.empty()) return EmitLaunch(context, *launching);
  v1::CampaignHeld held;
  held.set_campaign_id(command.campaign_id());
  held.set_reason("refused");
  held.set_late_s((context.now() - Instant{start.at_us()}).us / 1'000'000);
  for (const compliance::Objection& one : wrong) {
    v1::StartObjection& objection = *held.add_objections();
    objection.set_path(one.path);
    objection.set_code(std::string(one.code));
    objection.set_sentence(one.sentence);
  }
  context.Emit(held);
}

bool IsPace(const v1::Pace& pace) {
  return pace.per_minute() <= kPerMinuteMax && pace.over_minutes() <= kOverMinutesMax &&
         (pace.per_minute() == 0 || pace.over_minutes() == 0);
}

void CheckTiming(const v1::CampaignSpec& spec, std::vector<std::pair<std::string, std::string>>& wrong) {
  if (!IsPace(spec.pace())) {
    wrong.emplace_back("/throttle",
                       fmt::format("a throttle is either per_minute, up to {}, or over_minutes, up to {}", kPerMinuteMax, kOverMinutesMax));
  }
  if (!IsQuiet(spec.quiet_hours())) wrong.emplace_back("/quiet_hours", "quiet hours are from and to minutes of the day, 0 to 1,439");
  if (spec.ttl_minutes() > compliance::kTtlMinutesMax) {
    wrong.emplace_back("/ttl_minutes", fmt::format("a campaign is stale after at most {} minutes", compliance::kTtlMinutesMax));
  }
}

void React(task::Context& context, const tenants::v1::SettingsChanged& event) {
  if (event.time_zone().empty() && !event.has_quiet_hours() && !event.has_cap()) return;
  const tenants::v1::Tenant& tenant = TenantOf(context);  // as it is now
  v1::SendingRulesAnnounced announced;
  announced.set_time_zone(tenant.time_zone());
  if (tenant.has_quiet_hours()) *announced.mutable_quiet_hours() = tenant.quiet_hours();
  if (tenant.has_cap()) *announced.mutable_cap() = tenant.cap();
  context.Emit(announced);
}

void Decide(task::Context& context, const v1::SendingRulesAnnounced& announced) {
  v1::SendingRulesSet set;
  set.set_time_zone(announced.time_zone());
  if (announced.has_quiet_hours()) *set.mutable_quiet_hours() = announced.quiet_hours();
  if (announced.has_cap()) *set.mutable_cap() = announced.cap();
  context.Emit(set);
}

}  // namespace maily::campaigns
