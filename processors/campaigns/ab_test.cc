// See ab_test.h.
#include "processors/campaigns/ab_test.h"

#include <fmt/format.h>

#include <algorithm>

#include "maily/campaigns/v1/state.pb.h"
#include "processors/campaigns/decide.h"
#include "processors/campaigns/entrants.h"
#include "processors/campaigns/evolve.h"
#include "processors/campaigns/outcome.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::campaigns {
namespace {

using journal::Outcome;

constexpr int64_t kMinuteUs = 60'000'000;

bool AllPartitions(const task::Context& context, const v1::Campaign& campaign, bool (v1::PartitionProgress::*said)() const) {
  return std::ranges::count_if(campaign.partitions(), [&](const auto& partition) { return (partition.*said)(); }) ==
         context.partition_count();
}

bool HasEnough(const v1::Campaign& campaign) {
  const v1::Test& test = campaign.spec().test();
  uint64_t did = 0;
  for (const v1::ArmTally& tally : SumOf(campaign, campaign.spec().arms_size())) did += DidOf(tally, test.metric());
  return test.enough() != 0 && did >= test.enough();
}

v1::Campaign& EditCampaign(task::Fold& fold, uint64_t campaign_id) {
  return fold.table<v1::Campaign>().Edit(state::Key(fold.tenant(), campaign_id));
}

v1::CampaignRun& EditRun(task::Fold& fold, uint64_t campaign_id) {
  return fold.table<v1::CampaignRun>().Edit(state::Key(fold.tenant(), campaign_id));
}

// Its timer is for nothing now.
void Unwait(task::Fold& fold, const v1::Campaign& campaign, uint64_t campaign_id) {
  if (campaign.test().decides_at_us() != 0) fold.DisarmTimer(Instant{campaign.test().decides_at_us()}, kTestStep, PlanSubject(campaign_id));
}

}  // namespace

// ---- In the home ----

void MoveTest(task::Context& context, uint64_t campaign_id) {
  const auto* campaign = context.view<v1::Campaign>().Find(state::Key(context.tenant(), campaign_id));
  if (campaign == nullptr || !campaign->spec().has_test() || campaign->status() != v1::LAUNCHED || campaign->test().winner() != 0) return;
  const v1::TestState& test = campaign->test();
  if (test.closed()) {
    if (!AllPartitions(context, *campaign, &v1::PartitionProgress::test_closed)) return;
    v1::WinnerChosen chosen = OutcomeOf(campaign->spec(), SumOf(*campaign, campaign->spec().arms_size()));
    chosen.set_campaign_id(campaign_id);
    return context.Emit(chosen);
  }
  if (test.decides_at_us() == 0) {
    if (!AllPartitions(context, *campaign, &v1::PartitionProgress::sampled)) return;
    v1::TestWaiting waiting;
    waiting.set_campaign_id(campaign_id);
    waiting.set_decides_at_us(context.now().us + int64_t{campaign->spec().test().wait_minutes()} * kMinuteUs);
    return context.Emit(waiting);
  }
  const bool over = context.now().us >= test.decides_at_us();
  if (!over && !HasEnough(*campaign)) return;
  v1::TestClosed closed;
  closed.set_campaign_id(campaign_id);
  closed.set_why(over ? "wait" : "enough");
  context.Emit(closed);
}

void TestDue(task::Context& context, std::string_view subject) { MoveTest(context, Cursor(subject).Ordered<uint64_t>()); }

void Decide(task::Context& context, const v1::ChooseWinner& command) {
  const v1::Campaign* campaign = CampaignIn(context, command.campaign_id(), {v1::LAUNCHED, v1::STATUS_PAUSED}, "campaign_not_running");
  if (campaign == nullptr) return;
  const v1::CampaignSpec& spec = campaign->spec();
  if (!spec.has_test()) {
    return context.Refuse(Outcome::kConflict, "no_test",
                          fmt::format("campaign {} has no test: nobody waits for a winner", command.campaign_id()));
  }
  const auto arm = std::ranges::find(spec.arms(), command.arm(), &v1::Arm::name);
  if (arm == spec.arms().end()) {
    std::string names;
    for (const v1::Arm& one : spec.arms()) names += (names.empty() ? "" : ", ") + one.name();
    return context.Refuse(Outcome::kInvalid, "unknown_arm",
                          fmt::format("campaign {} has no such arm; it has {}", command.campaign_id(), names));
  }
  const auto index = static_cast<uint32_t>(arm - spec.arms().begin());
  const uint32_t winner = campaign->test().winner();
  context.Answer("campaign_id", command.campaign_id());
  context.Answer("winner", command.arm());
  if (winner == index + 1) return context.Unchanged();
  if (winner != 0) {
    return context.Refuse(Outcome::kConflict, "winner_chosen",
                          fmt::format("arm \"{}\" of campaign {} has won already, and the rest gets it",
                                      spec.arms(static_cast<int>(winner) - 1).name(), command.campaign_id()));
  }
  v1::WinnerChosen chosen = OutcomeByHand(spec, SumOf(*campaign, spec.arms_size()), index);
  chosen.set_campaign_id(command.campaign_id());
  chosen.set_by(std::string(context.command()->actor));
  context.Emit(chosen);
}

void Evolve(task::Fold& fold, const v1::TestWaiting& event) {
  EditCampaign(fold, event.campaign_id()).mutable_test()->set_decides_at_us(event.decides_at_us());
  fold.ArmTimer(Instant{event.decides_at_us()}, kTestStep, PlanSubject(event.campaign_id()));
}
void Evolve(task::Fold& fold, const v1::TestClosed& event) {
  v1::Campaign& campaign = EditCampaign(fold, event.campaign_id());
  Unwait(fold, campaign, event.campaign_id());
  campaign.mutable_test()->set_closed(true);
}
void Evolve(task::Fold& fold, const v1::WinnerChosen& event) {
  v1::Campaign& campaign = EditCampaign(fold, event.campaign_id());
  if (!campaign.test().closed()) Unwait(fold, campaign, event.campaign_id());
  campaign.mutable_test()->set_winner(event.arm() + 1);
}

// ---- In each partition ----

void Decide(task::Context& context, const v1::TestClosed& closed) {
  const v1::CampaignRun* run = RunOf(context, closed.campaign_id());
  if (run == nullptr || run->test_closed() || run->winner() != 0 || run->state() == v1::CANCELLING) return context.Unchanged();
  v1::RunTestClosed here;
  here.set_campaign_id(closed.campaign_id());
  context.Emit(here);
}

void Decide(task::Context& context, const v1::WinnerChosen& chosen) {
  const v1::CampaignRun* run = RunOf(context, chosen.campaign_id());
  if (run == nullptr || run->winner() != 0 || run->state() == v1::CANCELLING) return context.Unchanged();
  v1::RunWinnerSet here;
  here.set_campaign_id(chosen.campaign_id());
  here.set_arm(chosen.arm());
  context.Emit(here);
}

void Evolve(task::Fold& fold, const v1::RunTestClosed& event) { EditRun(fold, event.campaign_id()).set_test_closed(true); }
void Evolve(task::Fold& fold, const v1::RunWinnerSet& event) {
  EditRun(fold, event.campaign_id()).set_winner(event.arm() + 1);
  WakeEntry(fold, event.campaign_id());
}

}  // namespace maily::campaigns
