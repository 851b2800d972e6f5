// Tests the read model of journeys.
#include "projections/journeys/fold.h"

#include "maily/journeys/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace journeys = maily::journeys::v1;

class JourneysFoldTest : public FoldFixture {
 protected:
  JourneysFoldTest() : FoldFixture(ReadModelGroups()[0]) {}
  const Parameter tenant_{"tenant", Value::Integer(1)};
  const Parameter journey_{"journey_id", Value::Integer(1)};

  journeys::JourneyDefined Defined(uint32_t version, const std::string& json) {
    journeys::JourneyDefined defined;
    defined.set_journey_id(1);
    defined.set_name("welcome");
    defined.mutable_version()->set_number(version);
    defined.mutable_version()->set_json(json);
    return defined;
  }
  void Add(journeys::JourneysMoved& moved, journeys::MoveKind kind, uint64_t ordinal, const std::string& step, const std::string& next,
           const std::string& why, int64_t due_s = 0) {
    journeys::JourneyMove& move = *moved.add_moves();
    move.set_kind(kind);
    move.set_journey_id(1);
    move.set_ordinal(ordinal);
    move.set_version(1);
    move.set_step(step);
    move.set_next(next);
    move.set_why(why);
    move.set_due_s(due_s);
  }
};

TEST_F(JourneysFoldTest, StepsAreCountedOverAllPartitions) {
  journeys::JourneysMoved entered;
  Add(entered, journeys::MOVE_ENTERED, 1, "", "hello", "event signed_up");
  Add(entered, journeys::MOVE_ENTERED, 2, "", "hello", "event signed_up");
  journeys::JourneysMoved stepped;
  Add(stepped, journeys::MOVE_SENT, 1, "hello", "wait", "sent");
  Add(stepped, journeys::MOVE_WAITS, 1, "", "wait", "delay", 1000);
  Add(stepped, journeys::MOVE_SKIPPED, 2, "hello", "wait", "overdue");
  Add(stepped, journeys::MOVE_LEFT, 2, "wait", "", "unsubscribed");
  Happens(1, entered);
  Happens(1, stepped);
  Happens(0, Defined(1, "{}"), entered);
  auto rows = Ask("journey_steps", {tenant_, journey_});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows.at(0, "step").bytes, "hello");
  EXPECT_EQ(rows.at(0, "entered").integer, 4);
  EXPECT_EQ(rows.at(0, "here").integer, 2);
  EXPECT_EQ(rows.at(0, "sent").integer, 1);
  EXPECT_EQ(rows.at(0, "skipped").integer, 1);
  EXPECT_EQ(rows.at(1, "here").integer, 1);
  rows = Ask("journey_ends", {tenant_, journey_});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows.at(0, "reason").bytes, "unsubscribed");
  rows = Ask("journey", {tenant_, journey_});
  EXPECT_EQ(rows.at(0, "in_it").integer, 3);
  EXPECT_EQ(rows.at(0, "over").integer, 1);
}

TEST_F(JourneysFoldTest, WaitsByClocksChangesAndPutOffSendsAreCounted) {
  journeys::JourneysMoved moved;
  Add(moved, journeys::MOVE_ENTERED, 1, "", "mark", "event signed_up");
  Add(moved, journeys::MOVE_UPDATED, 1, "mark", "morning", "changed");
  Add(moved, journeys::MOVE_WAITS, 1, "", "morning", "delay", 1000);
  moved.mutable_moves(2)->set_zone("Europe/Berlin");
  moved.mutable_moves(2)->set_zone_missing(true);
  Add(moved, journeys::MOVE_ENTERED, 2, "", "hello", "event signed_up");
  Add(moved, journeys::MOVE_DEFERRED, 2, "", "hello", "quiet_hours", 2000);
  Happens(0, Defined(1, "{}"), moved);
  auto rows = Ask("journey_steps", {tenant_, journey_});
  ASSERT_EQ(rows.size(), 3u);  // hello, mark, morning
  EXPECT_EQ(rows.at(0, "deferred").integer, 1);
  EXPECT_EQ(rows.at(0, "here").integer, 1);
  EXPECT_EQ(rows.at(1, "updated").integer, 1);
  EXPECT_EQ(rows.at(1, "here").integer, 0);
  EXPECT_EQ(rows.at(2, "without_zone").integer, 1);
  rows = Ask("journeys_of_contact", {tenant_, {"contact_id", Value::Integer(1)}});
  EXPECT_EQ(rows.at(0, "zone").bytes, "Europe/Berlin");
  EXPECT_EQ(rows.at(0, "zone_missing").integer, 1);
  rows = Ask("journeys_of_contact", {tenant_, {"contact_id", Value::Integer(2)}});
  EXPECT_EQ(rows.at(0, "status").bytes, "waiting");
  EXPECT_EQ(rows.at(0, "why").bytes, "quiet_hours");
  rows = Ask("journey_people",
             {tenant_, journey_, {"after", Value::Integer(1)}, {"after_key", Value::Blob("")}, {"limit", Value::Integer(9)}});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows.at(0, "contact_id").integer, 2);
}

TEST_F(JourneysFoldTest, AContactShowsWhereItIsAndWhatHappened) {
  journeys::JourneysMoved moved;
  Add(moved, journeys::MOVE_ENTERED, 1, "", "wait", "event signed_up");
  Add(moved, journeys::MOVE_WAITS, 1, "", "wait", "delay", 1000);
  Happens(0, Defined(1, "{}"), moved);
  const Parameter contact{"contact_id", Value::Integer(1)};
  auto rows = Ask("journeys_of_contact", {tenant_, contact});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows.at(0, "name").bytes, "welcome");
  EXPECT_EQ(rows.at(0, "status").bytes, "waiting");
  EXPECT_EQ(rows.at(0, "due_at_us").integer, 1'000'000'000);
  EXPECT_EQ(rows.at(0, "entered_why").bytes, "event signed_up");
  EXPECT_EQ(Ask("journey_moves_of_contact", {tenant_, contact}).size(), 2u);
}

}  // namespace
}  // namespace maily::projections
