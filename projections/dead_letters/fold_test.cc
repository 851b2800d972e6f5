// Tests the read model of dead letters.
#include "projections/dead_letters/fold.h"

#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "streams/journal/rejected.h"

namespace maily::projections {
namespace {

class DeadLettersFoldTest : public FoldFixture {
 protected:
  DeadLettersFoldTest() : FoldFixture(ReadModelGroups()[1]) {}
};

TEST_F(DeadLettersFoldTest, ARejectedCommandIsKeptWithItsCoordinatesAndBytes) {
  journal::CommandRejected rejected{
      .code = "unknown_type", .reason = "no type 29 \x01", .build = "b", .type = 29, .original = std::string("\0\1", 2)};
  FakeDecision decision{.tenant = TenantId(1), .outcome = journal::Outcome::kRejected};
  decision.With(rejected);
  decision.cause.at = {PartitionId(1), 1, Offset(42), 3};
  Decides(1, decision);
  const Parameter tenant{"tenant", Value::Integer(1)};
  const Parameter limit{"limit", Value::Integer(10)};
  const Rows rows = Ask("dead_letters", {tenant, {"after_partition", Value::Integer(-1)}, {"after", Value::Integer(0)}, limit});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows.at(0, "code"), Value::Text("unknown_type"));
  EXPECT_EQ(rows.at(0, "reason"), Value::Text("no type 29 ?"));
  EXPECT_EQ(rows.at(0, "record_offset"), Value::Integer(42));
  EXPECT_EQ(rows.at(0, "record_index"), Value::Integer(3));
  const Rows one = Ask("dead_letter", {{"partition", Value::Integer(1)}, {"sequence", rows.at(0, "sequence")}});
  EXPECT_EQ(one.at(0, "original"), Value::Blob(std::string("\0\1", 2)));
  EXPECT_EQ(Ask("dead_letters_of_all", {{"after_partition", Value::Integer(1)}, {"after", rows.at(0, "sequence")}, limit}).size(), 0u);
  RebuildGivesTheSame();
}

}  // namespace
}  // namespace maily::projections
