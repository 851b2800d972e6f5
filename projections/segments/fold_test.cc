// Tests the read model of segments.
#include "projections/segments/fold.h"

#include "maily/segments/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace segments = maily::segments::v1;

class SegmentsFoldTest : public FoldFixture {
 protected:
  SegmentsFoldTest() : FoldFixture(ReadModelGroups()[0]) {}
  const Parameter tenant_{"tenant", Value::Integer(1)};
  const Parameter segment_{"segment_id", Value::Integer(1)};

  segments::SegmentDefined Defined(uint32_t version, const std::string& text) {
    segments::SegmentDefined defined;
    defined.set_segment_id(1);
    defined.set_name("pros");
    defined.mutable_version()->set_number(version);
    defined.mutable_version()->set_text(text);
    return defined;
  }
  segments::SegmentOpened Opened(uint32_t version, uint64_t last) {
    segments::SegmentOpened opened;
    opened.set_segment_id(1);
    opened.mutable_version()->set_number(version);
    opened.set_last_ordinal(last);
    return opened;
  }
  segments::SegmentPlanned Planned(uint32_t version, const std::string& members, uint32_t entered, uint32_t left, uint32_t undecided) {
    segments::SegmentPlanned planned;
    planned.set_segment_id(1);
    planned.set_version(version);
    planned.set_first_ordinal(1);
    planned.set_count(3);
    planned.set_members(members);
    planned.set_entered(entered);
    planned.set_left(left);
    planned.set_undecided(undecided);
    planned.set_last(true);
    return planned;
  }
  segments::MembershipsDecided Changed(uint64_t ordinal, bool member) {
    segments::MembershipsDecided decided;
    auto& change = *decided.add_changes();
    change.set_ordinal(ordinal);
    member ? change.add_entered(1) : change.add_left(1);
    return decided;
  }
};

TEST_F(SegmentsFoldTest, MembersOfAllPartitionsAreCounted) {
  Happens(1, Opened(1, 3));  // the home may come later
  Happens(1, Planned(1, "\x05", 2, 0, 1));
  Happens(0, Defined(1, "plan = \"pro\""), Opened(1, 3));
  Rows segment = Ask("segment", {tenant_, segment_});
  EXPECT_EQ(segment.at(0, "members"), Value::Integer(2));
  EXPECT_EQ(segment.at(0, "partitions_done"), Value::Integer(1));
  Happens(0, Planned(1, "\x01", 1, 0, 0));
  Happens(0, Changed(2, true));
  Happens(1, Changed(1, false));
  segment = Ask("segment", {tenant_, segment_});
  EXPECT_EQ(segment.at(0, "members"), Value::Integer(3));
  EXPECT_EQ(segment.at(0, "undecided"), Value::Integer(1));
  EXPECT_EQ(segment.at(0, "partitions_done"), Value::Integer(2));
  Happens(0, Defined(2, "plan = \"free\""), Opened(2, 3));
  segment = Ask("segment", {tenant_, segment_});
  EXPECT_EQ(segment.at(0, "version"), Value::Integer(2));
  EXPECT_EQ(segment.at(0, "partitions_done"), Value::Integer(0));
  Happens(0, Planned(2, "", 0, 2, 0));
  EXPECT_EQ(Ask("segment", {tenant_, segment_}).at(0, "members"), Value::Integer(1));
  const Rows versions = Ask("segment_versions", {tenant_, segment_});
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(versions.at(1, "text"), Value::Text("plan = \"pro\""));
  segments::SegmentArchived archived;
  archived.set_segment_id(1);
  segments::SegmentClosed closed;
  closed.set_segment_id(1);
  Happens(0, archived, closed);
  Happens(1, closed);
  segment = Ask("segment", {tenant_, segment_});
  EXPECT_EQ(segment.at(0, "members"), Value::Integer(0));
  EXPECT_NE(segment.at(0, "archived_at_us"), Value::Null());
  RebuildGivesTheSame();
}

TEST_F(SegmentsFoldTest, WhoWasAMemberWhenIsKept) {
  Happens(0, Defined(1, "x"), Opened(1, 3), Planned(1, "\x05", 2, 0, 0));
  const int64_t first = now.us;
  now.us += 1'000'000;
  Happens(0, Changed(1, false));
  now.us += 1'000'000;
  Happens(0, Changed(1, true), Changed(9, true));
  const auto changes = [&](int64_t at_us) {
    return Ask("segment_changes",
               {tenant_, segment_, {"first", Value::Integer(1)}, {"last", Value::Integer(10)}, {"at_us", Value::Integer(at_us)}});
  };
  EXPECT_EQ(changes(first).size(), 0u);
  ASSERT_EQ(changes(first + 1'000'000).size(), 1u);
  EXPECT_EQ(changes(first + 1'000'000).at(0, "member"), Value::Integer(0));
  ASSERT_EQ(changes(first + 2'000'000).size(), 2u);
  EXPECT_EQ(changes(first + 2'000'000).at(0, "member"), Value::Integer(1));
  const Rows slices = Ask("segment_slices", {tenant_,
                                             segment_,
                                             {"partition", Value::Integer(0)},
                                             {"first", Value::Integer(1)},
                                             {"last", Value::Integer(4096)},
                                             {"at_us", Value::Integer(first)}});
  ASSERT_EQ(slices.size(), 1u);
  EXPECT_EQ(slices.at(0, "members"), Value::Blob("\x05"));
  const Rows extent = Ask("segment_extent", {tenant_, segment_});
  ASSERT_EQ(extent.size(), 1u);
  EXPECT_EQ(extent.at(0, "last_ordinal"), Value::Integer(9));
  RebuildGivesTheSame();
}

TEST_F(SegmentsFoldTest, PreviewsAreSums) {
  segments::SegmentPreviewRequested requested;
  requested.set_preview_id(1);
  requested.set_text("x");
  segments::PreviewOpened opened;
  opened.set_preview_id(1);
  segments::PreviewCounted counted;
  counted.set_preview_id(1);
  counted.mutable_counts()->set_contacts(10);
  counted.mutable_counts()->set_matching(4);
  counted.mutable_counts()->add_missing()->set_name("plan");
  counted.mutable_counts()->mutable_missing(0)->set_contacts(2);
  counted.add_samples(3);
  Happens(1, opened);
  Happens(0, requested, opened, counted);
  counted.set_last(true);
  Happens(0, counted);
  Happens(1, counted);
  const Parameter preview{"preview_id", Value::Integer(1)};
  const Rows rows = Ask("segment_preview", {tenant_, preview});
  EXPECT_EQ(rows.at(0, "contacts"), Value::Integer(30));
  EXPECT_EQ(rows.at(0, "matching"), Value::Integer(12));
  EXPECT_EQ(rows.at(0, "partitions_done"), Value::Integer(2));
  EXPECT_EQ(Ask("segment_preview_missing", {tenant_, preview}).at(0, "contacts"), Value::Integer(6));
  EXPECT_EQ(Ask("segment_preview_samples", {tenant_, preview, {"kind", Value::Text("match")}}).size(), 2u);
  RebuildGivesTheSame();
}

}  // namespace
}  // namespace maily::projections
