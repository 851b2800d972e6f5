// Decides a campaign's A/B test. A sample of the audience gets the arms by their weights; the rest waits (SendStatus AWAITING) and gets the
// arm that wins.
//
//   sampling ──all in the sample were tried──▶ waiting ──time is over, or enough did it──▶ closed ──all partitions told──▶ decided
//      └───────────────────────────────────────────┴─────────────ChooseWinner───────────────┴──────────────────────────────▲
//
//  1. Each partition says when it has tried everybody in the sample (CampaignProgressed.sampled). Once all have, the wait begins: a timer.
//  2. TestClosed goes to every partition, which stops counting and tells its tally.
//  3. Once all have told, WinnerChosen: with counts, rates, intervals and probabilities (outcome.h). It goes to every partition, which
//     releases the rest (processors/sends/rest.h). What people do later changes reports, not this.
// While the campaign is paused nothing is decided by itself: a time that has passed meanwhile counts once it is resumed. Of a campaign that
// was cancelled nothing is decided any more, and the rest is skipped. A campaign with a test is completed only after the decision.
#pragma once

#include "maily/campaigns/v1/commands.pb.h"
#include "maily/campaigns/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::campaigns {

// Timer, in the home: the wait of a test is over. Subject: campaign_id (8 bytes, big-endian).
inline constexpr task::TimerStep kTestStep = 63;
void TestDue(task::Context& context, std::string_view subject);

// In the home. Codes of refusal: "campaign_not_found", "campaign_not_running", "no_test", "winner_chosen" (409), "unknown_arm".
void Decide(task::Context& context, const v1::ChooseWinner& command);
// In the home: takes the test on as far as it comes, and no further while the campaign is not running.
void MoveTest(task::Context& context, uint64_t campaign_id);

// In each partition.
void Decide(task::Context& context, const v1::TestClosed& closed);
void Decide(task::Context& context, const v1::WinnerChosen& chosen);

void Evolve(task::Fold& fold, const v1::TestWaiting& event);
void Evolve(task::Fold& fold, const v1::TestClosed& event);
void Evolve(task::Fold& fold, const v1::WinnerChosen& event);
void Evolve(task::Fold& fold, const v1::RunTestClosed& event);
void Evolve(task::Fold& fold, const v1::RunWinnerSet& event);

}  // namespace maily::campaigns
