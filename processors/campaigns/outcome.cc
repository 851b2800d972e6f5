// See outcome.h.
#include "processors/campaigns/outcome.h"

#include <algorithm>

#include "schemas/proportions.h"

namespace maily::campaigns {
namespace {

constexpr double kMillion = 1e6;

uint32_t Ppm(double share) { return static_cast<uint32_t>(share * kMillion + 0.5); }

// Rates are compared without dividing.
bool IsHigher(const schema::Share& a, const schema::Share& b) {
  return a.did * std::max<int64_t>(b.of, 1) > b.did * std::max<int64_t>(a.of, 1);
}

struct Ranking {
  uint32_t winner = 0;
  std::string_view reason;
};

Ranking Rank(const std::vector<schema::Share>& shares) {
  if (std::ranges::all_of(shares, [](const schema::Share& share) { return share.did == 0; })) return {0, "no_data"};
  uint32_t best = 0;
  bool tie = false;
  for (uint32_t arm = 1; arm < shares.size(); ++arm) {
    if (IsHigher(shares[arm], shares[best])) {
      best = arm;
      tie = false;
    } else if (!IsHigher(shares[best], shares[arm])) {
      tie = true;
    }
  }
  return {best, tie ? "tie" : "highest_rate"};
}

bool IsEvidence(const std::vector<schema::Share>& shares, uint32_t winner) {
  for (uint32_t arm = 0; arm < shares.size(); ++arm) {
    if (arm != winner && schema::Compare(shares[winner], shares[arm]).low <= 0) return false;
  }
  return true;
}

v1::WinnerChosen Outcome(const v1::CampaignSpec& spec, const std::vector<v1::ArmTally>& tallies, const uint32_t* by_hand) {
  std::vector<schema::Share> shares;
  for (const v1::ArmTally& tally : tallies) {
    const auto of = static_cast<int64_t>(tally.delivered());
    shares.push_back({.did = std::min(static_cast<int64_t>(DidOf(tally, spec.test().metric())), of), .of = of});
  }
  const Ranking ranking = Rank(shares);
  const std::vector<double> best = schema::ProbabilitiesOfBest(shares);
  v1::WinnerChosen chosen;
  chosen.set_arm(by_hand == nullptr ? ranking.winner : *by_hand);
  chosen.set_name(spec.arms(static_cast<int>(chosen.arm())).name());
  chosen.set_by_hand(by_hand != nullptr);
  chosen.set_reason(by_hand == nullptr ? std::string(ranking.reason) : "by_hand");
  chosen.set_metric(spec.test().metric());
  chosen.set_evidence(IsEvidence(shares, chosen.arm()));
  chosen.set_sample_percent(spec.test().sample_percent());
  for (uint32_t arm = 0; arm < shares.size(); ++arm) {
    v1::ArmOutcome& outcome = *chosen.add_arms();
    const v1::Arm& of = spec.arms(static_cast<int>(arm));
    outcome.set_arm(arm);
    outcome.set_name(of.name());
    outcome.set_delivered(static_cast<uint64_t>(shares[arm].of));
    outcome.set_did(static_cast<uint64_t>(shares[arm].did));
    if (shares[arm].of > 0) outcome.set_rate_ppm(Ppm(static_cast<double>(shares[arm].did) / static_cast<double>(shares[arm].of)));
    const schema::Interval interval = schema::Within(shares[arm]);
    outcome.set_low_ppm(Ppm(interval.low));
    outcome.set_high_ppm(Ppm(interval.high));
    outcome.set_best_ppm(Ppm(best[arm]));
    outcome.set_sample_propensity_ppm(of.weight() * 10'000);  // weights sum to 100
    outcome.set_rest_propensity_ppm(arm == chosen.arm() ? 1'000'000 : 0);
  }
  return chosen;
}

}  // namespace

uint64_t DidOf(const v1::ArmTally& tally, v1::TestMetric metric) {
  switch (metric) {
    case v1::TEST_OPENS:
      return tally.opened();
    case v1::TEST_CONVERSIONS:
      return tally.converted();
    default:
      return tally.clicked();
  }
}

std::vector<v1::ArmTally> SumOf(const v1::Campaign& campaign, int arms) {
  std::vector<v1::ArmTally> sums(static_cast<size_t>(arms));
  for (const v1::PartitionProgress& partition : campaign.partitions()) {
    for (const v1::ArmTally& tally : partition.arms()) {
      if (tally.arm() >= sums.size()) continue;
      v1::ArmTally& sum = sums[tally.arm()];
      sum.set_delivered(sum.delivered() + tally.delivered());
      sum.set_opened(sum.opened() + tally.opened());
      sum.set_clicked(sum.clicked() + tally.clicked());
      sum.set_converted(sum.converted() + tally.converted());
    }
  }
  return sums;
}

v1::WinnerChosen OutcomeOf(const v1::CampaignSpec& spec, const std::vector<v1::ArmTally>& tallies) {
  return Outcome(spec, tallies, nullptr);
}

v1::WinnerChosen OutcomeByHand(const v1::CampaignSpec& spec, const std::vector<v1::ArmTally>& tallies, uint32_t arm) {
  return Outcome(spec, tallies, &arm);
}

}  // namespace maily::campaigns
