// Tests the read model of suppressions.
#include "projections/suppressions/fold.h"

#include "maily/suppressions/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace suppressions = maily::suppressions::v1;

class SuppressionsFoldTest : public FoldFixture {
 protected:
  SuppressionsFoldTest() : FoldFixture(ReadModelGroups()[0]) {}
};

TEST_F(SuppressionsFoldTest, ASuppressionIsThereUntilItIsRemoved) {
  const std::string key(16, '\7');
  suppressions::SuppressionAdded added;
  added.set_contact_key(key);
  added.set_reason("manual");
  Happens(1, added);
  const Parameter tenant{"tenant", Value::Integer(1)};
  EXPECT_EQ(Ask("suppression", {tenant, {"contact_key", Value::Blob(key)}}).at(0, "reason"), Value::Text("manual"));
  const std::vector<Parameter> page = {tenant, {"after", Value::Blob("")}, {"limit", Value::Integer(10)}};
  EXPECT_EQ(Ask("suppressions", page).size(), 1u);
  EXPECT_EQ(Ask("suppression_count", {tenant}).at(0, "suppressions"), Value::Integer(1));
  suppressions::SuppressionRemoved removed;
  removed.set_contact_key(key);
  Happens(1, removed);
  EXPECT_TRUE(Ask("suppressions", page).empty());
  RebuildGivesTheSame();
}

}  // namespace
}  // namespace maily::projections
