// Tests the read model of when campaigns go.
#include "projections/campaign_timing/fold.h"

#include "maily/campaigns/v1/events.pb.h"
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

class CampaignTimingFoldTest : public FoldFixture {
 protected:
  CampaignTimingFoldTest() : FoldFixture(ReadModelGroups()[1]) {}
  Rows Timing() { return Ask("campaign_timing", parameters_); }
  Value Status() { return Ask("campaign", parameters_).at(0, "status"); }
  void Schedule() {
    auto scheduled = Of<campaigns::CampaignScheduled>();
    scheduled.mutable_start()->set_at_us(5'000'000);
    scheduled.mutable_start()->set_local("2026-12-01T09:00");
    scheduled.mutable_start()->set_zone("Europe/Berlin");
    scheduled.mutable_start()->set_per_contact(true);
    Happens(0, scheduled);
  }
  const std::vector<Parameter> parameters_ = {{"tenant", Value::Integer(1)}, {"campaign_id", Value::Integer(9)}};
};

TEST_F(CampaignTimingFoldTest, AScheduleIsShownUntilItIsTakenBack) {
  auto created = Of<campaigns::CampaignCreated>();
  created.mutable_spec()->mutable_pace()->set_per_minute(60);
  created.mutable_spec()->mutable_quiet_hours()->set_to_minute(480);
  Happens(0, created);
  EXPECT_EQ(Timing().at(0, "per_minute"), Value::Integer(60));
  EXPECT_EQ(Timing().at(0, "quiet_from"), Value::Integer(0));
  EXPECT_EQ(Timing().at(0, "quiet_to"), Value::Integer(480));
  EXPECT_EQ(Timing().at(0, "starts_at_us"), Value::Null());
  Schedule();
  EXPECT_EQ(Status(), Value::Text("scheduled"));
  EXPECT_EQ(Timing().at(0, "local"), Value::Text("2026-12-01T09:00"));
  EXPECT_EQ(Timing().at(0, "per_contact"), Value::Integer(1));
  auto throttled = Of<campaigns::CampaignThrottled>();
  throttled.mutable_pace()->set_over_minutes(240);
  Happens(0, throttled);
  EXPECT_EQ(Timing().at(0, "per_minute"), Value::Integer(0));
  EXPECT_EQ(Timing().at(0, "over_minutes"), Value::Integer(240));
  Happens(0, Of<campaigns::CampaignUnscheduled>());
  EXPECT_EQ(Status(), Value::Text("draft"));
  EXPECT_EQ(Timing().at(0, "starts_at_us"), Value::Null());
}

TEST_F(CampaignTimingFoldTest, AHeldStartSaysWhy) {
  Happens(0, Of<campaigns::CampaignCreated>());
  Schedule();
  auto held = Of<campaigns::CampaignHeld>();
  held.set_reason("refused");
  for (const char* code : {"from_not_verified", "postal_address_missing"}) {
    auto& one = *held.add_objections();
    one.set_code(code);
    one.set_sentence(std::string("because of ") + code);
  }
  Happens(0, held);
  EXPECT_EQ(Status(), Value::Text("held"));
  EXPECT_EQ(Timing().at(0, "held_reason"), Value::Text("refused"));
  EXPECT_EQ(Timing().at(0, "held_codes"), Value::Text("from_not_verified postal_address_missing"));
  EXPECT_EQ(Timing().at(0, "held_why"), Value::Text("because of from_not_verified; because of postal_address_missing"));
  Happens(0, Of<campaigns::CampaignLaunched>());
  EXPECT_EQ(Status(), Value::Text("running"));
  EXPECT_EQ(Timing().at(0, "held_reason"), Value::Null());
}

TEST_F(CampaignTimingFoldTest, ContactsWithoutAZoneOfTheirOwnAreSummed) {
  Happens(0, Of<campaigns::CampaignCreated>());
  for (uint16_t p = 0; p < 2; ++p) {
    for (int i = 0; i < 2; ++i) {
      auto planned = Of<campaigns::ZonesPlanned>();
      planned.set_without_zone(3);
      if (i == 0) planned.add_new_buckets();
      Happens(p, planned);
    }
  }
  EXPECT_EQ(Timing().at(0, "without_zone"), Value::Integer(12));
  EXPECT_EQ(Timing().at(0, "clocks"), Value::Integer(1));
}

TEST_F(CampaignTimingFoldTest, AnEditTakesThePlaceOfWhatWasAndADeletedDraftLeavesNothing) {
  auto created = Of<campaigns::CampaignCreated>();
  created.mutable_spec()->mutable_pace()->set_per_minute(60);
  created.mutable_spec()->mutable_quiet_hours()->set_from_minute(1'320);
  Happens(0, created);
  auto edited = Of<campaigns::CampaignEdited>();
  edited.set_revision(2);
  edited.mutable_spec()->mutable_pace()->set_over_minutes(30);
  edited.mutable_spec()->set_ttl_minutes(90);
  Happens(0, edited);
  EXPECT_EQ(Timing().at(0, "per_minute"), Value::Integer(0));
  EXPECT_EQ(Timing().at(0, "over_minutes"), Value::Integer(30));
  EXPECT_EQ(Timing().at(0, "quiet_from"), Value::Null());
  EXPECT_EQ(Timing().at(0, "ttl_minutes"), Value::Integer(90));
  Happens(0, Of<campaigns::CampaignDeleted>());
  EXPECT_TRUE(Timing().empty());
}

}  // namespace
}  // namespace maily::projections
