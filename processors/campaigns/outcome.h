// What a test came to: rates, their intervals, how probably each arm is the best, and which one wins.
//
//   nobody in the sample did it             the first arm, "no_data"
//   one arm has the highest rate            that one, "highest_rate"
//   several have it                         the first of them, "tie"
//
// The winner is always chosen; whether there is evidence for it is said apart: that the interval of each difference to another arm (95 %,
// Newcombe) is above 0. So of 100 tests between arms that are equally good, at most about 5 claim evidence, with more arms fewer:
// the one that claims it has to be above all others at once.
// Pure, and for deciders: what it says stands in the event, no fold computes it again.
#pragma once

#include <vector>

#include "maily/campaigns/v1/events.pb.h"
#include "maily/campaigns/v1/state.pb.h"

namespace maily::campaigns {

// How many did what decides.
uint64_t DidOf(const v1::ArmTally& tally, v1::TestMetric metric);

// The tallies of all partitions, by arm: one for each of `arms` arms.
std::vector<v1::ArmTally> SumOf(const v1::Campaign& campaign, int arms);

// WinnerChosen without campaign_id, as chosen by itself. `tallies`: SumOf.
v1::WinnerChosen OutcomeOf(const v1::CampaignSpec& spec, const std::vector<v1::ArmTally>& tallies);
// The same where somebody has chosen `arm`.
v1::WinnerChosen OutcomeByHand(const v1::CampaignSpec& spec, const std::vector<v1::ArmTally>& tallies, uint32_t arm);

}  // namespace maily::campaigns
