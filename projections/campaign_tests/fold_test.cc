// Tests the read model of A/B tests, and how the totals follow whoever waits for a winner.
#include "projections/campaign_tests/fold.h"

#include "maily/campaigns/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace campaigns = maily::campaigns::v1;

template <class Event>
Event Of() {
  Event event;
  event.set_campaign_id(9);
  return event;
}

class CampaignTestsFoldTest : public FoldFixture {
 protected:
  CampaignTestsFoldTest() : FoldFixture(ReadModelGroups()[1]) {}
  Rows Test() { return Ask("campaign_test", parameters_); }
  int64_t Count(const char* column) { return Ask("campaign_counts", parameters_).at(0, column).integer; }
  void Create() {
    auto created = Of<campaigns::CampaignCreated>();
    for (const char* name : {"a", "b"}) {
      created.mutable_spec()->add_arms()->set_name(name);
      created.mutable_spec()->mutable_arms()->rbegin()->set_weight(50);
    }
    created.mutable_spec()->mutable_arms(1)->set_subject("Look");
    created.mutable_spec()->mutable_test()->set_sample_percent(20);
    created.mutable_spec()->mutable_test()->set_wait_minutes(60);
    created.mutable_spec()->mutable_test()->set_metric(campaigns::TEST_CONVERSIONS);
    Happens(0, created);
  }
  // Two of the sample, and three who wait.
  void Plan() {
    auto planned = Of<campaigns::AudiencePlanned>();
    planned.set_first_ordinal(1);
    planned.set_verdicts("\x40\xC0\x41\xC0\xC0");
    Happens(0, planned);
  }
  sends::v1::RestReleased Released(uint32_t winner) {
    auto released = Of<sends::v1::RestReleased>();
    released.set_first_ordinal(2);
    released.set_rest("\x0D");
    released.set_winner(winner);
    return released;
  }
  const std::vector<Parameter> parameters_ = {{"tenant", Value::Integer(1)}, {"campaign_id", Value::Integer(9)}};
};

TEST_F(CampaignTestsFoldTest, ATestIsShownFromItsSetUpToItsDecision) {
  Create();
  EXPECT_EQ(Test().at(0, "metric"), Value::Text("conversions"));
  EXPECT_EQ(Test().at(0, "seed"), Value::Integer(9));
  EXPECT_EQ(Test().at(0, "winner"), Value::Null());
  EXPECT_EQ(Ask("campaign_arms", parameters_).at(1, "subject"), Value::Text("Look"));
  auto waiting = Of<campaigns::TestWaiting>();
  waiting.set_decides_at_us(77);
  Happens(0, waiting);
  EXPECT_EQ(Test().at(0, "decides_at_us"), Value::Integer(77));
  auto closed = Of<campaigns::TestClosed>();
  closed.set_why("wait");
  Happens(0, closed);
  EXPECT_EQ(Test().at(0, "closed_why"), Value::Text("wait"));
  auto chosen = Of<campaigns::WinnerChosen>();
  chosen.set_arm(1);
  chosen.set_name("b");
  chosen.set_reason("highest_rate");
  chosen.set_evidence(true);
  auto& arm = *chosen.add_arms();
  arm.set_arm(1);
  arm.set_delivered(100);
  arm.set_did(9);
  arm.set_rate_ppm(90'000);
  arm.set_best_ppm(970'000);
  arm.set_sample_propensity_ppm(500'000);
  arm.set_rest_propensity_ppm(1'000'000);
  Happens(0, chosen);
  EXPECT_EQ(Test().at(0, "winner_name"), Value::Text("b"));
  EXPECT_EQ(Test().at(0, "evidence"), Value::Integer(1));
  EXPECT_EQ(Test().at(0, "decided_by"), Value::Null());
  const Rows arms = Ask("campaign_test_arms", parameters_);
  ASSERT_EQ(arms.size(), 1U);
  EXPECT_EQ(arms.at(0, "did"), Value::Integer(9));
  EXPECT_EQ(arms.at(0, "best_ppm"), Value::Integer(970'000));
  EXPECT_EQ(arms.at(0, "rest_propensity_ppm"), Value::Integer(1'000'000));
}

TEST_F(CampaignTestsFoldTest, AnEditMayTakeTheTestAway) {
  Create();
  Happens(0, Of<campaigns::CampaignEdited>());
  EXPECT_TRUE(Test().empty());
}

TEST_F(CampaignTestsFoldTest, WhoeverWaitsForTheWinnerIsPendingAndThenOfItsArm) {
  Create();
  Plan();
  EXPECT_EQ(Count("audience"), 5);
  EXPECT_EQ(Count("planned"), 5);
  EXPECT_EQ(Count("pending"), 5);
  Happens(0, Released(2));
  EXPECT_EQ(Count("audience"), 5);
  EXPECT_EQ(Count("pending"), 5);
  const Rows report = Ask("campaign_report", parameters_);
  EXPECT_EQ(report.at(0, "recipients"), Value::Integer(1));
  EXPECT_EQ(report.at(1, "recipients"), Value::Integer(4));
}

TEST_F(CampaignTestsFoldTest, OfACancelledCampaignTheyAreSkipped) {
  Create();
  Plan();
  Happens(0, Released(0));
  EXPECT_EQ(Count("audience"), 5);
  EXPECT_EQ(Count("planned"), 5);
  EXPECT_EQ(Count("pending"), 2);
  EXPECT_EQ(Count("skipped"), 3);
  const Rows skips = Ask("campaign_skips", parameters_);
  ASSERT_EQ(skips.size(), 1U);
  EXPECT_EQ(skips.at(0, "reason"), Value::Text("cancelled"));
  EXPECT_EQ(skips.at(0, "contacts"), Value::Integer(3));
}

}  // namespace
}  // namespace maily::projections
