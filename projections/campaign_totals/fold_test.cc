// Tests the read model of campaign totals.
#include "projections/campaign_totals/fold.h"

#include <random>

#include "maily/campaigns/v1/events.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace campaigns = maily::campaigns::v1;
namespace engagements = maily::engagements::v1;
namespace sends = maily::sends::v1;

template <class Event>
Event Of(uint64_t ordinal, uint64_t campaign_id = 9) {
  Event event;
  event.set_campaign_id(campaign_id);
  event.set_ordinal(ordinal);
  return event;
}
engagements::ContactEventRecorded Event(uint64_t ordinal, const std::string& name, int64_t revenue_cents = 0) {
  engagements::ContactEventRecorded event;
  event.set_ordinal(ordinal);
  event.set_name(name);
  event.set_revenue_cents(revenue_cents);
  return event;
}

class CampaignTotalsFoldTest : public FoldFixture {
 protected:
  CampaignTotalsFoldTest() : FoldFixture(ReadModelGroups()[1]) {}
  void Create(uint64_t campaign_id) {
    campaigns::CampaignCreated created;
    created.set_campaign_id(campaign_id);
    for (const char* name : {"red", "blue", "holdout"}) created.mutable_spec()->add_arms()->set_name(name);
    created.mutable_spec()->mutable_arms(2)->set_holdout(true);
    Happens(0, created);
  }
  void Plan(uint16_t partition, const std::string& verdicts, uint64_t campaign_id = 9) {
    campaigns::AudiencePlanned planned;
    planned.set_campaign_id(campaign_id);
    planned.set_first_ordinal(1);
    planned.set_verdicts(verdicts);
    Happens(partition, planned);
  }
  Rows Report(int64_t campaign_id = 9) {
    return Ask("campaign_report", {{"tenant", Value::Integer(1)}, {"campaign_id", Value::Integer(campaign_id)}});
  }
  int64_t Count(size_t arm, std::string_view column, int64_t campaign_id = 9) { return Report(campaign_id).at(arm, column).integer; }
  // red, blue, holdout, suppressed
  const std::string verdicts_ = std::string("\x40\x41\x82\x02", 4);
};

TEST_F(CampaignTotalsFoldTest, RecipientsAndSkipsAreCountedWhenPlanned) {
  Create(9);
  Plan(0, verdicts_);
  Plan(1, verdicts_);
  ASSERT_EQ(Report().size(), 3u);
  EXPECT_EQ(Count(0, "recipients"), 2);
  EXPECT_EQ(Count(2, "recipients"), 2);
  EXPECT_EQ(Report().at(2, "name"), Value::Text("holdout"));
  auto skipped = Of<sends::SendSkipped>(1);
  skipped.set_reason(campaigns::UNSUBSCRIBED);
  Happens(1, skipped);
  EXPECT_EQ(Count(0, "skipped"), 1);
  const Rows skips = Ask("campaign_skips", {{"tenant", Value::Integer(1)}, {"campaign_id", Value::Integer(9)}});
  ASSERT_EQ(skips.size(), 3u);
  EXPECT_EQ(skips.at(0, "reason"), Value::Text("unsubscribed"));
  EXPECT_EQ(skips.at(1, "contacts"), Value::Integer(2));
  EXPECT_EQ(skips.at(2, "reason"), Value::Text("holdout"));
  EXPECT_EQ(skips.at(2, "contacts"), Value::Integer(2));
}

TEST_F(CampaignTotalsFoldTest, ResultsCountForTheArm) {
  Create(9);
  Plan(0, verdicts_);
  Happens(0, Of<sends::AttemptUnknown>(1));
  EXPECT_EQ(Count(0, "unknown"), 1);
  auto resolved = Of<sends::UnknownResolved>(1);
  resolved.set_delivered(true);
  Happens(0, resolved, Of<sends::AttemptBounced>(2));
  EXPECT_EQ(Count(0, "unknown"), 0);
  EXPECT_EQ(Count(0, "delivered"), 1);
  EXPECT_EQ(Count(1, "bounced"), 1);
  // What comes back later is counted beside them.
  Happens(0, Of<sends::BounceReceived>(1), Of<sends::ComplaintReceived>(1));
  EXPECT_EQ(Count(0, "delivered"), 1);
  EXPECT_EQ(Count(0, "bounced"), 0);
  EXPECT_EQ(Count(0, "bounced_later"), 1);
  EXPECT_EQ(Count(0, "complaints"), 1);
}

TEST_F(CampaignTotalsFoldTest, CountsAddUpWhateverHappens) {
  const std::vector<Parameter> which = {{"tenant", Value::Integer(1)}, {"campaign_id", Value::Integer(9)}};
  const auto count = [&](std::string_view column) { return Ask("campaign_counts", which).at(0, column).integer; };
  const auto expect = [&](int64_t pending, std::string_view settled) {
    SCOPED_TRACE(settled);
    EXPECT_EQ(count("audience"), 8);
    EXPECT_EQ(count("holdout"), 2);
    EXPECT_EQ(count("planned"), 6);
    EXPECT_EQ(count("pending"), pending);
    EXPECT_GT(count(settled), 0);
    EXPECT_EQ(count("planned"),
              count("pending") + count("delivered") + count("skipped") + count("bounced") + count("expired") + count("unknown"));
  };
  Create(9);
  EXPECT_EQ(count("planned"), 0);
  Plan(0, verdicts_);
  Plan(1, verdicts_);
  expect(4, "skipped");
  Happens(0, Of<sends::AttemptDelivered>(1));
  expect(3, "delivered");
  Happens(0, Of<sends::AttemptBounced>(2), Of<engagements::Opened>(4));
  expect(2, "bounced");
  Happens(1, Of<sends::AttemptUnknown>(1));
  expect(1, "unknown");
  Happens(1, Of<sends::SendExpired>(2));
  expect(0, "expired");
}

TEST_F(CampaignTotalsFoldTest, AVisitCountsOnceAndForEveryArm) {
  Create(9);
  Plan(0, verdicts_);
  Happens(0, Of<engagements::Opened>(1), Of<engagements::Opened>(1), Of<engagements::Clicked>(1), Of<engagements::Clicked>(1));
  Happens(0, Event(1, "visit"));
  Happens(0, Event(3, "visit"), Event(3, "visit"));
  Happens(0, Event(4, "visit"), Event(50, "visit"), Event(2, "login"));
  EXPECT_EQ(Count(0, "opens"), 2);
  EXPECT_EQ(Count(0, "opened"), 1);
  EXPECT_EQ(Count(0, "clicks"), 2);
  EXPECT_EQ(Count(0, "clicked"), 1);
  EXPECT_EQ(Count(0, "visits"), 1);
  EXPECT_EQ(Count(1, "visits"), 0);
  EXPECT_EQ(Count(2, "visits"), 1);
}

TEST_F(CampaignTotalsFoldTest, ConversionsAreSummedUntilTheWindowCloses) {
  Create(9);
  Plan(0, verdicts_);
  Happens(0, Event(3, "conversion", 1000), Event(3, "conversion", 999));
  now = now + Days(14);
  Happens(0, Event(3, "conversion", 5), Event(1, "visit"));
  EXPECT_EQ(Count(2, "conversions"), 2);
  EXPECT_EQ(Count(2, "revenue_cents"), 1999);
  EXPECT_EQ(Count(0, "visits"), 0);
}

TEST_F(CampaignTotalsFoldTest, AClickIsAVisitOfItsOwnCampaignAndAVisitOneOfEach) {
  Create(9);
  Create(10);
  Plan(0, verdicts_, 9);
  Plan(0, verdicts_, 10);
  Happens(0, Of<engagements::Clicked>(1, 10));
  EXPECT_EQ(Count(0, "visits", 9), 0);
  EXPECT_EQ(Count(0, "visits", 10), 1);
  Happens(0, Event(1, "visit"));
  EXPECT_EQ(Count(0, "visits", 9), 1);
  EXPECT_EQ(Count(0, "visits", 10), 1);
}

TEST_F(CampaignTotalsFoldTest, AnyInterleavingOfPartitionsGivesTheSameRows) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  Create(9);
  for (uint16_t p = 0; p < 2; ++p) {
    campaigns::AudiencePlanned planned;
    planned.set_campaign_id(9);
    planned.set_first_ordinal(1);
    planned.set_verdicts(verdicts_);
    journal.Add(p, now, {FakeDecision{}.With(planned)});
  }
  for (int i = 0; i < 200; ++i) {
    const uint64_t ordinal = 1 + random() % 4;
    FakeDecision decision;
    switch (random() % 5) {
      case 0:
        decision.With(Of<engagements::Opened>(ordinal));
        break;
      case 1:
        decision.With(Of<engagements::Clicked>(ordinal));
        break;
      case 2:
        decision.With(Event(ordinal, "visit"));
        break;
      case 3:
        decision.With(Event(ordinal, "conversion", 7));
        break;
      case 4:
        decision.With(Of<sends::AttemptDelivered>(ordinal));
        break;
    }
    journal.Add(static_cast<uint16_t>(random() % 2), now, {decision});
    if (random() % 4 == 0) Fold();
  }
  Fold();
  RebuildGivesTheSame();
}

}  // namespace
}  // namespace maily::projections
