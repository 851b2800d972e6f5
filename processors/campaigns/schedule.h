// When a campaign starts by itself, and when it does not.
//
//   draft ──schedule──▶ scheduled ──its time──▶ due ──the home's leader says start──▶ running
//                         │  ▲ schedule anew     └──more than the tenant's overdue_minutes late, or a launch would be refused──▶ held
//                         └──unschedule──▶ draft        held ──release──▶ running; ──schedule──▶ scheduled; ──unschedule──▶ draft
// The audience is read when it starts. The instant is computed once, here, with the zone tables of the day (Start.tz_version).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "maily/campaigns/v1/commands.pb.h"
#include "maily/campaigns/v1/events.pb.h"
#include "maily/tenants/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::campaigns {

inline constexpr Duration kScheduleAheadMax = Days(731);
inline constexpr uint32_t kOverdueMinutes = 60;  // where the tenant says nothing
inline constexpr uint32_t kPerMinuteMax = 10'000'000;
inline constexpr uint32_t kOverMinutesMax = 30 * 24 * 60;

// In the home. Answers campaign_id, status, starts_at. Codes of refusal: "campaign_not_found", "campaign_not_draft"; "schedule_invalid",
// with every violation: "missing", "twice", "invalid_time", "unknown_zone", "in_the_past", "too_far".
void Decide(task::Context& context, const v1::ScheduleCampaign& command);
// "campaign_not_found", "campaign_not_scheduled".
void Decide(task::Context& context, const v1::UnscheduleCampaign& command);
// "campaign_not_found", "campaign_not_held"; those of a launch.
void Decide(task::Context& context, const v1::ReleaseCampaign& command);
// Of one whose time has come: launches or holds it. Of any other: nothing changes.
void Decide(task::Context& context, const v1::StartCampaign& command);
// Timer kStartStep.
void StartDue(task::Context& context, std::string_view subject);

// What is wrong with pace, quiet hours and ttl of a campaign: where, and a sentence.
void CheckTiming(const v1::CampaignSpec& spec, std::vector<std::pair<std::string, std::string>>& wrong);
bool IsPace(const v1::Pace& pace);

// In the home: whenever settings of when mail may go have changed, every partition is told them whole.
void React(task::Context& context, const tenants::v1::SettingsChanged& event);
// In each partition: what the home announced.
void Decide(task::Context& context, const v1::SendingRulesAnnounced& announced);

}  // namespace maily::campaigns
