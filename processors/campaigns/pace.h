// How fast a campaign goes: what is asked in the home, and what of it falls to a partition.
//
// Each partition goes at its own, even share, so that none waits for another and nothing has to be leased: of n a minute, an n-th part of
// the partitions; of "over 4 h", its own audience over four hours. All of them together never exceed what was asked (sends/pace.h).
#pragma once

#include "maily/campaigns/v1/commands.pb.h"
#include "maily/campaigns/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::campaigns {

inline constexpr std::string_view kNoEnd =
    "over_minutes spreads those who are there at the launch, and into an evergreen campaign people come later, too: say per_minute";

// In the home. Codes of refusal: "campaign_not_found", "campaign_ended", "campaign_invalid".
void Decide(task::Context& context, const v1::ThrottleCampaign& command);
// In each partition: what the home announced.
void Decide(task::Context& context, const v1::CampaignThrottled& throttled);

// Sets the pace of this partition's run, from now on. Over so many minutes: it is known once the audience is planned, and nothing goes
// before.
void Throttle(task::Context& context, uint64_t campaign_id, const v1::Pace& pace);
// The audience is planned.
void ThrottlePlanned(task::Context& context, uint64_t campaign_id);

}  // namespace maily::campaigns
