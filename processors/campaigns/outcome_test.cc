// Tests what a test comes to: who wins, and how often evidence is claimed that is none.
#include "processors/campaigns/outcome.h"

#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <random>

namespace maily::campaigns {
namespace {

v1::CampaignSpec Spec(int arms) {
  v1::CampaignSpec spec;
  for (int i = 0; i < arms; ++i) {
    v1::Arm& arm = *spec.add_arms();
    arm.set_name(std::string(1, static_cast<char>('a' + i)));
    arm.set_weight(static_cast<uint32_t>(100 / arms));
  }
  spec.mutable_test()->set_sample_percent(20);
  return spec;
}

v1::ArmTally Tally(uint64_t clicked, uint64_t delivered) {
  v1::ArmTally tally;
  tally.set_delivered(delivered);
  tally.set_clicked(clicked);
  return tally;
}

TEST(Outcome, TheHighestRateWinsAndSaysHowSureItIs) {
  const v1::WinnerChosen chosen = OutcomeOf(Spec(2), {Tally(20, 400), Tally(60, 400)});
  EXPECT_EQ(chosen.name(), "b");
  EXPECT_EQ(chosen.reason(), "highest_rate");
  EXPECT_TRUE(chosen.evidence());
  ASSERT_EQ(chosen.arms_size(), 2);
  EXPECT_EQ(chosen.arms(1).did(), 60U);
  EXPECT_EQ(chosen.arms(1).rate_ppm(), 150'000U);
  EXPECT_LT(chosen.arms(1).low_ppm(), 150'000U);
  EXPECT_GT(chosen.arms(1).high_ppm(), 150'000U);
  EXPECT_GT(chosen.arms(1).best_ppm(), 999'000U);
  EXPECT_EQ(chosen.arms(1).sample_propensity_ppm(), 500'000U);
  EXPECT_EQ(chosen.arms(0).rest_propensity_ppm(), 0U);
  EXPECT_EQ(chosen.arms(1).rest_propensity_ppm(), 1'000'000U);
}

TEST(Outcome, AHigherRateOfFewIsNoEvidence) {
  const v1::WinnerChosen chosen = OutcomeOf(Spec(2), {Tally(2, 40), Tally(4, 40)});
  EXPECT_EQ(chosen.name(), "b");
  EXPECT_FALSE(chosen.evidence());
}

TEST(Outcome, ATieGoesToTheFirstOfThem) {
  EXPECT_EQ(OutcomeOf(Spec(2), {Tally(3, 30), Tally(4, 40)}).name(), "a");  // rates, not counts
  EXPECT_EQ(OutcomeOf(Spec(2), {Tally(3, 30), Tally(4, 40)}).reason(), "tie");
  const v1::WinnerChosen chosen = OutcomeOf(Spec(3), {Tally(1, 30), Tally(5, 30), Tally(5, 30)});
  EXPECT_EQ(chosen.name(), "b");
  EXPECT_EQ(chosen.reason(), "tie");
  EXPECT_FALSE(chosen.evidence());
}

TEST(Outcome, WithoutDataTheFirstArmIsTaken) {
  for (const uint64_t delivered : {0U, 500U}) {
    const v1::WinnerChosen chosen = OutcomeOf(Spec(3), {Tally(0, delivered), Tally(0, delivered), Tally(0, 0)});
    EXPECT_EQ(chosen.name(), "a");
    EXPECT_EQ(chosen.reason(), "no_data");
    EXPECT_FALSE(chosen.evidence());
  }
}

TEST(Outcome, WhoChoosesByHandSeesTheSameNumbers) {
  const v1::WinnerChosen chosen = OutcomeByHand(Spec(2), {Tally(20, 400), Tally(60, 400)}, 0);
  EXPECT_EQ(chosen.name(), "a");
  EXPECT_TRUE(chosen.by_hand());
  EXPECT_EQ(chosen.reason(), "by_hand");
  EXPECT_FALSE(chosen.evidence());
  EXPECT_EQ(chosen.arms(1).rate_ppm(), 150'000U);
  EXPECT_EQ(chosen.arms(0).rest_propensity_ppm(), 1'000'000U);
}

TEST(Outcome, TheMetricDecides) {
  v1::CampaignSpec spec = Spec(2);
  v1::ArmTally a = Tally(9, 10);
  v1::ArmTally b = Tally(1, 10);
  b.set_opened(8);
  a.set_converted(2);
  EXPECT_EQ(OutcomeOf(spec, {a, b}).name(), "a");
  spec.mutable_test()->set_metric(v1::TEST_OPENS);
  EXPECT_EQ(OutcomeOf(spec, {a, b}).name(), "b");
  spec.mutable_test()->set_metric(v1::TEST_CONVERSIONS);
  EXPECT_EQ(OutcomeOf(spec, {a, b}).name(), "a");
}

// 10,000 tests between arms that are equally good, of sizes and rates as campaigns have them.
TEST(Outcome, OfTestsBetweenEqualArmsAtMostFiveInAHundredClaimEvidence) {
  constexpr uint32_t kSeed = 20'261'122;
  std::mt19937 random(kSeed);
  for (const auto& [arms, tests] : {std::pair{2, 10'000}, {3, 2'000}, {5, 2'000}}) {
    const v1::CampaignSpec spec = Spec(arms);
    int claims = 0;
    std::vector<int> wins(static_cast<size_t>(arms));
    for (int i = 0; i < tests; ++i) {
      const double rate = std::uniform_real_distribution<double>(0.02, 0.2)(random);
      std::vector<v1::ArmTally> tallies;
      for (int arm = 0; arm < arms; ++arm) {
        const auto size = std::uniform_int_distribution<uint64_t>(500, 2'000)(random);
        tallies.push_back(Tally(std::binomial_distribution<uint64_t>(size, rate)(random), size));
      }
      const v1::WinnerChosen chosen = OutcomeOf(spec, tallies);
      claims += chosen.evidence();
      ++wins[chosen.arm()];
    }
    std::cout << arms << " arms, seed " << kSeed << ": " << claims << " of " << tests << " tests claim evidence\n";
    const double most = tests * 0.05 + 3 * std::sqrt(tests * 0.05 * 0.95);  // and three standard deviations
    EXPECT_LE(claims, most) << "seed " << kSeed << ", " << arms << " arms";
    for (const int won : wins) EXPECT_NEAR(won, tests / arms, 4 * std::sqrt(tests)) << "seed " << kSeed;  // nobody is preferred
  }
}

// And where there is a difference, it is found: 10 % against 14 % of 2,000 each has a power of 97 %.
TEST(Outcome, ADifferenceThatIsThereIsFound) {
  constexpr uint32_t kSeed = 7;
  std::mt19937 random(kSeed);
  int found = 0;
  for (int i = 0; i < 1'000; ++i) {
    const auto of = [&](double rate) { return Tally(std::binomial_distribution<uint64_t>(2'000, rate)(random), 2'000); };
    const v1::WinnerChosen chosen = OutcomeOf(Spec(2), {of(0.10), of(0.14)});
    found += chosen.evidence() && chosen.name() == "b";
  }
  EXPECT_GE(found, 930) << "seed " << kSeed;
}

}  // namespace
}  // namespace maily::campaigns
