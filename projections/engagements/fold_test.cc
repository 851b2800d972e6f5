// Tests the read model of engagements.
#include "projections/engagements/fold.h"

#include <algorithm>

#include "maily/engagements/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace engagements = maily::engagements::v1;

class EngagementsFoldTest : public FoldFixture {
 protected:
  EngagementsFoldTest() : FoldFixture(ReadModelGroups()[1]) {}
};

TEST_F(EngagementsFoldTest, WhatAContactDidIsListedLatestFirst) {
  engagements::Opened opened;
  opened.set_ordinal(3);
  opened.set_campaign_id(9);
  opened.set_agent(engagements::AGENT_IMAGE_PROXY);
  engagements::Clicked clicked;
  clicked.set_ordinal(3);
  clicked.set_campaign_id(9);
  clicked.set_link(1);
  engagements::ContactEventRecorded recorded;
  recorded.set_ordinal(3);
  recorded.set_name("conversion");
  recorded.set_revenue_cents(1234);
  recorded.set_occurred_at_us(5);
  Happens(0, opened, clicked);
  Happens(0, recorded);
  const Parameter tenant{"tenant", Value::Integer(1)};
  const Parameter contact{"contact_id", Value::Integer(3)};
  const Rows rows = Ask("engagements_of_contact", {tenant, contact, {"before", Value::Integer(INT64_MAX)}, {"limit", Value::Integer(2)}});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows.at(0, "kind"), Value::Text("event"));
  EXPECT_EQ(rows.at(0, "occurred_at_us"), Value::Integer(5));
  EXPECT_EQ(rows.at(0, "revenue_cents"), Value::Integer(1234));
  EXPECT_EQ(rows.at(1, "kind"), Value::Text("click"));
  EXPECT_EQ(rows.at(1, "link"), Value::Integer(1));
  EXPECT_EQ(rows.at(1, "agent"), Value::Text("unknown"));
  EXPECT_EQ(rows.at(0, "agent"), Value::Null());
  const Rows rest = Ask("engagements_of_contact", {tenant, contact, {"before", rows.at(1, "sequence")}, {"limit", Value::Integer(2)}});
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest.at(0, "kind"), Value::Text("open"));
  EXPECT_EQ(rest.at(0, "agent"), Value::Text("image_proxy"));
  EXPECT_EQ(Ask("engagement_count", {tenant, {"type", Value::Text("conversion")}}).at(0, "count"), Value::Integer(1));
  EXPECT_EQ(Ask("engagement_count", {tenant, {"type", Value::Text("click")}}).at(0, "count"), Value::Integer(1));
  EXPECT_EQ(Ask("engagement_count", {tenant, {"type", Value::Text("")}}).at(0, "count"), Value::Integer(3));
  RebuildGivesTheSame();
}

TEST_F(EngagementsFoldTest, EveryClassOfAgentsHasItsName) {
  const auto& classes = *engagements::AgentClass_descriptor();
  for (int i = 0; i < classes.value_count(); ++i) {
    engagements::Clicked clicked;
    clicked.set_ordinal(static_cast<uint64_t>(i) + 1);
    clicked.set_agent(static_cast<engagements::AgentClass>(classes.value(i)->number()));
    Happens(0, clicked);
    const Rows rows = Ask("engagements_of_contact", {{"tenant", Value::Integer(1)},
                                                     {"contact_id", Value::Integer(i + 1)},
                                                     {"before", Value::Integer(INT64_MAX)},
                                                     {"limit", Value::Integer(1)}});
    ASSERT_EQ(rows.size(), 1u);
    std::string name = "AGENT_" + rows.at(0, "agent").bytes;
    std::ranges::transform(name, name.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    EXPECT_EQ(name, classes.value(i)->name());
  }
}

}  // namespace
}  // namespace maily::projections
