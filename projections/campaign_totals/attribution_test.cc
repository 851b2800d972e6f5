// Tests the rule of attribution.
#include "projections/campaign_totals/attribution.h"

#include <gtest/gtest.h>

namespace maily::projections {
namespace {

const Assignment kAssigned{.campaign_id = 1, .arm = 0, .assigned_at = Instant{1000}, .visited = false};

TEST(Attribution, AVisitCountsOnceFromAssignmentUntilFourteenDaysLater) {
  EXPECT_EQ(CreditOf(kAssigned, Signal::kVisit, Instant{999}, 0).visits, 0);
  EXPECT_EQ(CreditOf(kAssigned, Signal::kVisit, Instant{1000}, 0).visits, 1);
  EXPECT_EQ(CreditOf(kAssigned, Signal::kVisit, Instant{1000} + Days(14) - Microseconds(1), 0).visits, 1);
  EXPECT_EQ(CreditOf(kAssigned, Signal::kVisit, Instant{1000} + Days(14), 0).visits, 0);
  Assignment visited = kAssigned;
  visited.visited = true;
  EXPECT_EQ(CreditOf(visited, Signal::kVisit, Instant{1000}, 0).visits, 0);
}

TEST(Attribution, EveryConversionCountsWithItsRevenue) {
  Assignment visited = kAssigned;
  visited.visited = true;
  const Credit credit = CreditOf(visited, Signal::kConversion, Instant{2000}, 1999);
  EXPECT_EQ(credit.conversions, 1);
  EXPECT_EQ(credit.revenue_cents, 1999);
  EXPECT_EQ(credit.visits, 0);
}

TEST(Attribution, OtherEventsAreNoSignals) {
  EXPECT_EQ(SignalOf("visit"), Signal::kVisit);
  EXPECT_EQ(SignalOf("conversion"), Signal::kConversion);
  EXPECT_EQ(SignalOf("login"), Signal::kNone);
}

}  // namespace
}  // namespace maily::projections
