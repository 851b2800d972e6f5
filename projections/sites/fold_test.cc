// Tests the read model of sites.
#include "projections/sites/fold.h"

#include "maily/sends/v1/events.pb.h"
#include "maily/sites/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace sites = maily::sites::v1;

class SitesFoldTest : public FoldFixture {
 protected:
  SitesFoldTest() : FoldFixture(ReadModelGroups()[1]) {}
  Rows Changes(const char* site) {
    return Ask("site_changes", {{"site", Value::Text(site)}, {"before", Value::Integer(INT64_MAX)}, {"limit", Value::Integer(10)}});
  }
  Rows SiteRow(const char* site) { return Ask("site", {{"site", Value::Text(site)}}); }
};

TEST_F(SitesFoldTest, WhyASiteWasSlowIsOneQuery) {
  sites::SiteSlowed slowed;
  slowed.set_site("google.com");
  slowed.set_reply_code(421);
  slowed.set_enhanced_code("4.7.28");
  slowed.set_reply_text("too many mails from <recipient>");
  slowed.set_pause_us(60'000'000);
  Happens(0, slowed);
  const int64_t at = now.us;
  EXPECT_EQ(SiteRow("google.com").at(0, "slowed"), Value::Integer(1));
  EXPECT_EQ(SiteRow("google.com").at(0, "pause_ends_at_us"), Value::Integer(at + 60'000'000));
  sites::SiteRecovered recovered;
  recovered.set_site("google.com");
  Happens(0, recovered);
  EXPECT_EQ(SiteRow("google.com").at(0, "slowed"), Value::Integer(0));
  const Rows changes = Changes("google.com");
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes.at(0, "kind"), Value::Text("recovered")) << "newest first";
  EXPECT_EQ(changes.at(1, "cause"), Value::Text("421 4.7.28 too many mails from <recipient>"));
  EXPECT_EQ(changes.at(1, "reply_code"), Value::Integer(421));
  EXPECT_EQ(changes.at(1, "at_us"), Value::Integer(at));
  EXPECT_TRUE(Changes("yahoodns.net").empty());
  RebuildGivesTheSame();
}

TEST_F(SitesFoldTest, ASuspensionIsShownUntilItEnds) {
  sites::SiteSuspended suspended;
  suspended.set_site("mx.example.com");
  suspended.set_reason("they asked us to");
  suspended.set_revision(1);
  Happens(1, suspended);
  EXPECT_EQ(SiteRow("mx.example.com").at(0, "suspended"), Value::Integer(1));
  EXPECT_EQ(SiteRow("mx.example.com").at(0, "suspended_why"), Value::Text("they asked us to"));
  sites::SiteResumed resumed;
  resumed.set_site("mx.example.com");
  resumed.set_revision(2);
  Happens(1, resumed);
  EXPECT_EQ(SiteRow("mx.example.com").at(0, "suspended"), Value::Integer(0));
  EXPECT_EQ(Changes("mx.example.com").size(), 2u);
  RebuildGivesTheSame();
}

TEST_F(SitesFoldTest, ADrainIsShownAsNoSuspensionIs) {
  sites::SiteDrained drained;
  drained.set_site("mx.example.com");
  drained.set_reason("they move tonight");
  drained.set_revision(1);
  Happens(1, drained);
  EXPECT_EQ(SiteRow("mx.example.com").at(0, "draining"), Value::Integer(1));
  EXPECT_EQ(SiteRow("mx.example.com").at(0, "suspended"), Value::Integer(0));
  sites::SiteSuspended suspended;
  suspended.set_site("mx.example.com");
  suspended.set_reason("it refuses the sender");
  suspended.mutable_refusals()->set_refused(11);
  suspended.mutable_refusals()->set_replies(40);
  Happens(1, suspended);
  EXPECT_EQ(SiteRow("mx.example.com").at(0, "draining"), Value::Integer(0));
  const Rows changes = Changes("mx.example.com");
  EXPECT_EQ(changes.at(0, "refused"), Value::Integer(11));
  EXPECT_EQ(changes.at(0, "replies"), Value::Integer(40));
  EXPECT_EQ(changes.at(1, "kind"), Value::Text("drained"));
  EXPECT_EQ(changes.at(1, "refused"), Value::Null());
  RebuildGivesTheSame();
}

TEST_F(SitesFoldTest, WhatAFlushMadeDueIsSummedOverPartitions) {
  const auto due = [&](uint16_t partition, uint64_t flush) {
    maily::sends::v1::RetryDue one;
    one.set_campaign_id(1);
    one.set_ordinal(1);
    one.set_flushed_site("mx.example.com");
    one.set_flush(flush);
    Happens(partition, one);
  };
  due(0, 1);  // heard of before the flush itself
  sites::SiteFlushed flushed;
  flushed.set_site("mx.example.com");
  flushed.set_reason("the block is lifted");
  flushed.set_number(1);
  Happens(1, flushed);
  due(0, 1);
  due(1, 1);
  due(1, 2);
  const Rows flushes = Ask("site_flushes", {{"site", Value::Text("mx.example.com")}, {"limit", Value::Integer(10)}});
  ASSERT_EQ(flushes.size(), 2u);
  EXPECT_EQ(flushes.at(0, "number"), Value::Integer(2));
  EXPECT_EQ(flushes.at(1, "mails"), Value::Integer(3));
  EXPECT_EQ(Changes("mx.example.com").at(0, "kind"), Value::Text("flushed"));
  EXPECT_EQ(Changes("mx.example.com").at(0, "cause"), Value::Text("the block is lifted"));
  RebuildGivesTheSame();
}

TEST_F(SitesFoldTest, LeasesAreSummedByHourAndDay) {
  constexpr int64_t kDay = 20'000;
  const auto lease = [&](int64_t hour, uint64_t mails) {
    sites::SiteLeased leased;
    leased.set_site("s");
    leased.set_hour(hour);
    leased.set_mails(mails);
    Happens(0, leased);
  };
  const auto expect = [&](int64_t hour, int64_t day) {
    EXPECT_EQ(SiteRow("s").at(0, "leased_this_hour"), Value::Integer(hour));
    EXPECT_EQ(SiteRow("s").at(0, "leased_today"), Value::Integer(day));
  };
  lease(kDay * 24, 5);
  lease(kDay * 24, 3);
  expect(8, 8);
  lease(kDay * 24 + 1, 4);
  expect(4, 12);
  sites::SiteLeaseReturned returned;
  returned.set_site("s");
  returned.set_hour(kDay * 24);
  returned.set_mails(2);
  Happens(0, returned);
  expect(4, 10);
  lease(kDay * 24 + 24, 1);
  expect(1, 1);
  sites::SiteLimitReached reached;
  reached.set_site("s");
  reached.set_limit("mails_per_day");
  reached.set_mails(10);
  reached.set_until_us(99);
  Happens(0, reached);
  sites::SiteDayBegan began;
  began.set_site("s");
  began.set_day(kDay + 1);
  began.set_step(2);
  began.set_mails_max(100);
  began.set_held(true);
  began.set_cause("9 of 10 mails were refused, more than 5 %");
  Happens(0, began);
  EXPECT_EQ(SiteRow("s").at(0, "warm_up_step"), Value::Integer(2));
  const Rows changes = Changes("s");
  EXPECT_EQ(changes.at(0, "kind"), Value::Text("step_held"));
  EXPECT_EQ(changes.at(1, "cause"), Value::Text("mails_per_day: all 10 mails are leased"));
  EXPECT_EQ(changes.at(1, "ends_at_us"), Value::Integer(99));
  RebuildGivesTheSame();
}

}  // namespace
}  // namespace maily::projections
