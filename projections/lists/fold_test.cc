// Tests the read model of lists.
#include "projections/lists/fold.h"

#include "maily/contacts/v1/events.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "maily/lists/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace lists = maily::lists::v1;

class ListsFoldTest : public FoldFixture {
 protected:
  ListsFoldTest() : FoldFixture(ReadModelGroups()[0]) {}
  const Parameter tenant_{"tenant", Value::Integer(1)};
};

lists::MemberJoined Joined(uint64_t ordinal) {
  lists::MemberJoined joined;
  joined.set_ordinal(ordinal);
  joined.set_list_id(1);
  joined.set_source("api");
  return joined;
}

TEST_F(ListsFoldTest, MembersOfAllPartitionsAreCounted) {
  Happens(1, Joined(1));  // the list's own partition may come later
  lists::ListCreated created;
  created.set_list_id(1);
  created.set_name("news");
  Happens(0, created, Joined(1), Joined(2));
  Happens(0, Joined(2));  // twice
  lists::MemberLeft left;
  left.set_list_id(1);
  left.set_ordinal(1);
  Happens(0, left);
  const Rows list = Ask("list", {tenant_, {"list_id", Value::Integer(1)}});
  EXPECT_EQ(list.at(0, "members"), Value::Integer(2));
  const Rows members =
      Ask("list_members", {tenant_, {"list_id", Value::Integer(1)}, {"after", Value::Integer(0)}, {"limit", Value::Integer(10)}});
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(members.at(0, "contact_id"), Value::Integer(2));
  EXPECT_EQ(members.at(1, "contact_id"), Value::Integer((int64_t{1} << 48) + 1));
  EXPECT_EQ(Ask("lists_of_contact", {tenant_, {"contact_id", Value::Integer(2)}}).at(0, "name"), Value::Text("news"));
  RebuildGivesTheSame();
}

TEST_F(ListsFoldTest, AnOptOutHoldsUntilTheContactComesBack) {
  maily::engagements::v1::Unsubscribed out;
  out.set_ordinal(7);
  out.set_campaign_id(3);
  out.set_method("one_click");
  Happens(0, out);
  const std::vector<Parameter> page = {tenant_, {"after", Value::Integer(0)}, {"limit", Value::Integer(10)}};
  EXPECT_EQ(Ask("unsubscribed", page).at(0, "method"), Value::Text("one_click"));
  lists::Resubscribed back;
  back.set_ordinal(7);
  Happens(0, back);
  EXPECT_TRUE(Ask("unsubscribed", page).empty());
}

TEST_F(ListsFoldTest, TheErasedLeaveListsThatAreNotFoldedYet) {
  lists::MemberJoined joined;
  joined.set_ordinal(7);
  joined.set_list_id(2);
  joined.set_source("crm");
  Happens(1, joined);  // of a list that the home has made, and that is folded after this partition
  const std::vector<Parameter> page = {
      tenant_, {"list_id", Value::Integer(2)}, {"after", Value::Integer(0)}, {"limit", Value::Integer(10)}};
  EXPECT_EQ(Ask("list_members", page).size(), 1U);
  maily::contacts::v1::ContactErased erased;
  erased.set_ordinal(7);
  erased.set_contact_key(std::string(16, 'k'));
  Happens(1, erased);
  EXPECT_TRUE(Ask("list_members", page).empty());
  RebuildGivesTheSame();
}

TEST_F(ListsFoldTest, AnImportHasAnOutcomeOnceItEnded) {
  lists::ImportStarted started;
  started.set_import_id("0a");
  started.set_list_id(1);
  started.set_source("crm");
  Happens(0, started);
  const std::vector<Parameter> which = {tenant_, {"import_id", Value::Text("0a")}};
  EXPECT_EQ(Ask("import", which).at(0, "outcome").type, sql::Type::kNull);
  lists::ImportEnded ended;
  ended.set_import_id("0a");
  ended.set_outcome(lists::COMPLETED);
  ended.mutable_counts()->set_rows(3);
  ended.mutable_counts()->set_created(2);
  ended.mutable_counts()->set_rejected(1);
  ended.set_token("T");
  Happens(0, ended);
  EXPECT_EQ(Ask("import", which).at(0, "outcome"), Value::Text("completed"));
  EXPECT_EQ(Ask("import", which).at(0, "row_count"), Value::Integer(3));
  EXPECT_EQ(Ask("import", which).at(0, "rejected"), Value::Integer(1));
  EXPECT_EQ(Ask("import", which).at(0, "token"), Value::Text("T"));
  RebuildGivesTheSame();
  Happens(0, started);  // the same file once more
  EXPECT_EQ(Ask("import", which).at(0, "outcome").type, sql::Type::kNull);
  EXPECT_EQ(Ask("import", which).at(0, "row_count"), Value::Integer(0));
}

}  // namespace
}  // namespace maily::projections
