// Decides what is asked of campaigns in the tenant's home, and what the home announces in each partition.
//
//   draft, scheduled, held ──launch──▶ running         how a campaign is scheduled: schedule.h
//   draft ──launch──▶ running ──pause──▶ paused        running ──all settled──▶ completed
//     │                 │  ▲───resume──────┘ │         running, paused ──nobody in the audience──▶ refused
//     └─────cancel──────┴───────cancel───────┴──▶ cancelled (takes the counts that still come)
// A paused campaign is completed once it is resumed: its partitions hold what they have, also what a resolved unknown adds.
#pragma once

#include <optional>
#include <vector>

#include "maily/campaigns/v1/commands.pb.h"
#include "maily/campaigns/v1/events.pb.h"
#include "maily/campaigns/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "processors/compliance/rules.h"
#include "streams/task/processor.h"

namespace maily::campaigns {

struct Launching;  // arm_templates.h

inline constexpr uint64_t kCampaignsMax = 1'000'000;  // of one tenant
inline constexpr size_t kNameBytesMax = 200;
inline constexpr size_t kFromBytesMax = 500;
inline constexpr size_t kSubjectBytesMax = 1000;  // of an arm
inline constexpr size_t kWhyBytesMax = 500;
// Of what a launch carries to every partition: it arrives as one command (command::kCommandBytesMax, less its envelope).
inline constexpr size_t kLaunchBytesMax = 60 * 1024;

// In the home. Answers campaign_id (and status). Codes of refusal: "campaign_invalid" (every violation), "too_many_campaigns".
void Decide(task::Context& context, const v1::CreateCampaign& command);
// "campaign_not_found", "campaign_not_draft"; those of compliance::Rules() (the code of the first, the message has all);
// "campaign_too_large".
void Decide(task::Context& context, const v1::LaunchCampaign& command);
// "campaign_not_found", "campaign_not_running".
void Decide(task::Context& context, const v1::PauseCampaign& command);
// "campaign_not_found", "campaign_not_paused"; "campaign_stopped" if a safety stop has paused it and `override` is not set,
// "override_without_why".
void Decide(task::Context& context, const v1::ResumeCampaign& command);
// "campaign_not_found", "campaign_ended".
void Decide(task::Context& context, const v1::CancelCampaign& command);
// What a partition reports. Completes or refuses the campaign when the last one has settled or planned; pauses it where a safety stop holds
// (safety.h).
void Decide(task::Context& context, const v1::CampaignProgressed& progress);

// In each partition: what the home announced. A second copy changes nothing.
void Decide(task::Context& context, const v1::CampaignLaunched& launched);
void Decide(task::Context& context, const v1::CampaignPaused& paused);
void Decide(task::Context& context, const v1::CampaignResumed& resumed);
void Decide(task::Context& context, const v1::CampaignCancelled& cancelled);

// ---- For the other deciders of this noun ----

// The campaign if its status is one of `legal`; else null, and the command was refused: "campaign_not_found", or `code`.
const v1::Campaign* CampaignIn(task::Context& context, uint64_t campaign_id, std::initializer_list<v1::CampaignStatus> legal,
                               std::string_view code);
const tenants::v1::Tenant& TenantOf(const task::Context& context);
// What a launch of this campaign announces; none: `wrong` has every objection. An objection without a path is about no member.
std::optional<Launching> Launchable(const task::Context& context, const v1::Campaign& campaign, const v1::LaunchCampaign& command,
                                    std::vector<compliance::Objection>& wrong);
// As far as its templates are there.
Launching LaunchingOf(const task::Context& context, const v1::Campaign& campaign, uint64_t campaign_id,
                      const std::vector<compliance::UsedTemplate>& templates);
// Refuses a launch, or launches.
void LaunchOrRefuse(task::Context& context, const v1::Campaign& campaign, const v1::LaunchCampaign& command);
const v1::CampaignRun* RunOf(const task::Context& context, uint64_t campaign_id);

}  // namespace maily::campaigns
