#include "schemas/proportions.h"

#include <gtest/gtest.h>

#include <random>

namespace maily::schema {
namespace {

// Newcombe 1998, table II, method 10.
TEST(Proportions, AreThoseOfThePaper) {
  const Difference a = Compare({56, 70}, {48, 80});
  EXPECT_NEAR(a.low, 0.0524, 0.0001);
  EXPECT_NEAR(a.high, 0.3339, 0.0001);
  EXPECT_TRUE(a.evidence);
  const Difference b = Compare({9, 10}, {3, 10});
  EXPECT_NEAR(b.low, 0.1705, 0.0001);
  EXPECT_NEAR(b.high, 0.8090, 0.0001);
  const Difference c = Compare({5, 56}, {0, 29});
  EXPECT_NEAR(c.low, -0.0381, 0.0001);
  EXPECT_NEAR(c.high, 0.1926, 0.0001);
  EXPECT_FALSE(c.evidence);
}

TEST(Proportions, AnEmptyGroupSaysNothing) {
  EXPECT_FALSE(Compare({0, 0}, {5, 10}).evidence);
  EXPECT_FALSE(Compare({5, 10}, {0, 0}).evidence);
  EXPECT_EQ(Compare({}, {}).low, -1);
}

TEST(Proportions, TheOtherWayRoundIsTheNegative) {
  std::mt19937_64 random(20261122);
  for (int i = 0; i < 10'000; ++i) {
    const auto of_a = static_cast<int64_t>(1 + random() % 5000);
    const auto of_b = static_cast<int64_t>(1 + random() % 5000);
    const Share a{static_cast<int64_t>(random() % static_cast<uint64_t>(of_a + 1)), of_a};
    const Share b{static_cast<int64_t>(random() % static_cast<uint64_t>(of_b + 1)), of_b};
    const Difference one = Compare(a, b);
    const Difference other = Compare(b, a);
    ASSERT_NEAR(one.low, -other.high, 1e-12);
    ASSERT_EQ(one.evidence, other.evidence);
    ASSERT_LE(one.low, one.difference);
    ASSERT_LE(one.difference, one.high);
  }
}

// 10,000 campaigns that change nothing: at most the stated share of them is told that they did.
TEST(Proportions, WithoutADifferenceItIsSeldomSeen) {
  const uint64_t seed = std::random_device()();
  RecordProperty("seed", std::to_string(seed));
  std::mt19937_64 random(seed);
  for (const double share : {0.005, 0.03, 0.2}) {
    int seen = 0;
    for (int i = 0; i < 10'000; ++i) {
      std::binomial_distribution<int64_t> mailed(9000, share);
      std::binomial_distribution<int64_t> held(1000, share);
      seen += Compare({mailed(random), 9000}, {held(random), 1000}).evidence ? 1 : 0;
    }
    // 500 are expected; five standard deviations of 10,000 tosses are 109.
    EXPECT_LE(seen, 640) << "share " << share << ", seed " << seed;
  }
}

TEST(Proportions, WilsonsIntervalIsThatOfTheLiterature) {
  EXPECT_NEAR(Within({10, 100}).low, 0.0552, 0.0001);
  EXPECT_NEAR(Within({10, 100}).high, 0.1744, 0.0001);
  EXPECT_EQ(Within({0, 0}).low, 0);
  EXPECT_EQ(Within({0, 0}).high, 1);
}

TEST(Proportions, WhoIsProbablyBest) {
  const auto best = [](std::vector<Share> shares) { return ProbabilitiesOfBest(shares); };
  EXPECT_EQ(best({{3, 10}}), std::vector<double>{1});
  for (const double one : best({{5, 50}, {5, 50}, {5, 50}})) EXPECT_NEAR(one, 1.0 / 3, 0.001);
  for (const double one : best({{0, 0}, {0, 0}})) EXPECT_NEAR(one, 0.5, 0.001);
  // Beta(2, 1) over Beta(1, 2): 5/6, by hand.
  EXPECT_NEAR(best({{1, 1}, {0, 1}})[0], 5.0 / 6, 0.001);
  // Two groups that are large: the normal approximation, z = (0.11 - 0.10) / sqrt(0.11 * 0.89 / 1e4 + 0.1 * 0.9 / 1e4) = 2.306.
  EXPECT_NEAR(best({{1'100, 10'000}, {1'000, 10'000}})[0], 0.9894, 0.001);
  // One that is small beside one that is large.
  const auto mixed = best({{1, 3}, {100'000, 1'000'000}});
  EXPECT_NEAR(mixed[0], 0.9477, 0.002);  // 1 - I(0.1; 2, 3)
  EXPECT_NEAR(mixed[0] + mixed[1], 1, 1e-9);
}

}  // namespace
}  // namespace maily::schema
