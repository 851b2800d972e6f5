// Tests the read model of consents, and the history of memberships beside it.
#include "projections/consents/fold.h"

#include "maily/consents/v1/events.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "maily/lists/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace consents = maily::consents::v1;
namespace lists = maily::lists::v1;

class ConsentsFoldTest : public FoldFixture {
 protected:
  ConsentsFoldTest() : FoldFixture(ReadModelGroups()[0]) {}
  const Parameter tenant_{"tenant", Value::Integer(1)};
  const std::vector<Parameter> person_{tenant_, {"contact_id", Value::Integer(7)}};

  int64_t Unconsented() { return Ask("list", {tenant_, {"list_id", Value::Integer(1)}}).at(0, "members_without_consent").integer; }
};

lists::MemberJoined Joined(bool by_consent) {
  lists::MemberJoined joined;
  joined.set_ordinal(7);
  joined.set_list_id(1);
  joined.set_source(by_consent ? "form" : "import:1");
  joined.set_by_consent(by_consent);
  return joined;
}
lists::MemberLeft Left() {
  lists::MemberLeft left;
  left.set_ordinal(7);
  left.set_list_id(1);
  left.set_source("api");
  return left;
}
lists::ListCreated News() {
  lists::ListCreated created;
  created.set_list_id(1);
  created.set_name("news");
  created.set_public_(true);
  return created;
}

TEST_F(ConsentsFoldTest, TheLedgerHasConsentsAndOptOutsOnce) {
  consents::ConsentGranted granted;
  granted.set_ordinal(7);
  granted.set_list_id(1);
  granted.set_source("form");
  granted.set_text_hash(std::string(32, 'h'));
  granted.set_proof("form 1");
  maily::engagements::v1::Unsubscribed out;
  out.set_ordinal(7);
  out.set_campaign_id(3);
  out.set_method("one_click");
  lists::Resubscribed back;
  back.set_ordinal(7);
  back.set_proof("letter");
  Happens(0, News(), granted, Joined(true), out, back);
  out.set_method("consent/preference_page");  // repeats the next one
  consents::ConsentWithdrawn withdrawn;
  withdrawn.set_ordinal(7);
  withdrawn.set_purpose("marketing");
  withdrawn.set_source("preference_page");
  Happens(0, withdrawn, out);
  const Rows rows = Ask("consents_of_contact", person_);
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows.at(0, "state"), Value::Text("granted"));
  EXPECT_EQ(rows.at(0, "list_id"), Value::Integer(1));
  EXPECT_EQ(rows.at(1, "source"), Value::Text("one_click"));
  EXPECT_EQ(rows.at(1, "campaign_id"), Value::Integer(3));
  EXPECT_EQ(rows.at(2, "proof"), Value::Text("letter"));
  EXPECT_EQ(rows.at(3, "purpose"), Value::Text("marketing"));
  RebuildGivesTheSame();
}

TEST_F(ConsentsFoldTest, AMembershipThatEndedIsHistory) {
  Happens(0, News(), Joined(false));
  EXPECT_EQ(Unconsented(), 1);
  Happens(0, Left());
  EXPECT_EQ(Unconsented(), 0);
  Happens(0, Joined(true));
  EXPECT_EQ(Unconsented(), 0);
  const Rows rows = Ask("memberships_of_contact", person_);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows.at(0, "source"), Value::Text("import:1"));
  EXPECT_EQ(rows.at(0, "left_source"), Value::Text("api"));
  EXPECT_EQ(rows.at(1, "left_at_us").type, sql::Type::kNull);
  const auto at = [&](int64_t at_us) {
    return Ask("list_members_at", {tenant_,
                                   {"list_id", Value::Integer(1)},
                                   {"at_us", Value::Integer(at_us)},
                                   {"after", Value::Integer(0)},
                                   {"limit", Value::Integer(10)}})
        .size();
  };
  const int64_t joined = rows.at(0, "joined_at_us").integer;
  EXPECT_EQ(at(joined - 1), 0u);
  EXPECT_EQ(at(joined), 1u);
  EXPECT_EQ(at(rows.at(0, "left_at_us").integer), rows.at(1, "joined_at_us").integer == rows.at(0, "left_at_us").integer ? 1u : 0u);
  EXPECT_EQ(at(INT64_MAX - 1), 1u);
  RebuildGivesTheSame();
}

TEST_F(ConsentsFoldTest, AConsentOfAMemberIsCounted) {
  Happens(0, News(), Joined(false));
  consents::ConsentGranted granted;
  granted.set_ordinal(7);
  granted.set_list_id(1);
  granted.set_source("api");
  Happens(0, granted, granted);
  EXPECT_EQ(Unconsented(), 0);
  Happens(0, Left());
  EXPECT_EQ(Unconsented(), 0);
  EXPECT_EQ(Ask("list", {tenant_, {"list_id", Value::Integer(1)}}).at(0, "public"), Value::Integer(1));
  RebuildGivesTheSame();
}

TEST_F(ConsentsFoldTest, OfWhoIsErasedNothingIsLeft) {
  const auto about = [](auto event, uint64_t ordinal) {
    event.set_ordinal(ordinal);
    return event;
  };
  consents::ConsentGranted granted;
  granted.set_list_id(1);
  granted.set_source("form");
  granted.set_proof("form 1");
  maily::contacts::v1::ContactErased erased;
  erased.set_ordinal(7);
  Happens(0, News(), Joined(false), about(Joined(true), 8), about(granted, 7), about(granted, 8));
  Happens(0, Left(), Joined(false));
  EXPECT_EQ(Unconsented(), 1);
  Happens(0, erased);
  EXPECT_EQ(Ask("consents_of_contact", person_).size(), 0u);
  EXPECT_EQ(Ask("memberships_of_contact", person_).size(), 0u);
  EXPECT_EQ(Unconsented(), 0);
  EXPECT_EQ(Ask("list", {tenant_, {"list_id", Value::Integer(1)}}).at(0, "members"), Value::Integer(1));
  EXPECT_EQ(Ask("consents_of_contact", {tenant_, {"contact_id", Value::Integer(8)}}).size(), 1u) << "of others all is left";
  RebuildGivesTheSame();
}

TEST_F(ConsentsFoldTest, WhoIsErasedLeavesTheNumberOfThoseWithoutConsentAsItIs) {
  maily::contacts::v1::ContactErased erased;
  erased.set_ordinal(7);
  lists::MemberJoined other = Joined(false);
  other.set_ordinal(8);
  Happens(0, News(), Joined(true), other);
  EXPECT_EQ(Unconsented(), 1);
  Happens(0, erased);
  EXPECT_EQ(Unconsented(), 1);
  consents::ConsentGranted granted;
  granted.set_ordinal(8);
  granted.set_list_id(1);
  granted.set_source("api");
  Happens(0, granted);
  EXPECT_EQ(Unconsented(), 0);
  RebuildGivesTheSame();
}

TEST_F(ConsentsFoldTest, AnAskSaysWhoMailsIt) {
  consents::ConfirmationAsked asked;
  asked.set_ordinal(7);
  asked.set_number(1);
  asked.set_list_id(1);
  Happens(0, News(), asked);
  asked.mutable_mailing()->set_form_id(3);
  Happens(0, asked);
  asked.set_mail(true);
  Happens(0, asked);
  const Rows rows = Ask("consents_of_contact", person_);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows.at(0, "mail"), Value::Integer(0));
  EXPECT_EQ(rows.at(1, "mail"), Value::Integer(2));
  EXPECT_EQ(rows.at(2, "mail"), Value::Integer(1));
  RebuildGivesTheSame();
}

TEST_F(ConsentsFoldTest, FormsAndTextsAreFound) {
  consents::ConsentTextDefined text;
  text.set_hash(std::string(32, 'h'));
  text.set_name("news");
  text.set_text("Yes, send me news.");
  consents::FormDefined form;
  form.set_form_id(1);
  form.mutable_spec()->set_name("footer");
  form.mutable_spec()->set_list_id(1);
  form.mutable_spec()->set_text_hash(text.hash());
  form.mutable_spec()->mutable_mail()->set_form_id(5);
  form.mutable_spec()->mutable_mail()->set_template_version(2);
  Happens(0, News(), text, form);
  const std::vector<Parameter> which = {tenant_, {"form_id", Value::Integer(1)}};
  EXPECT_EQ(Ask("form_page", which).at(0, "text"), Value::Text("Yes, send me news."));
  EXPECT_EQ(Ask("form_page", which).at(0, "mail_form_id"), Value::Integer(5));
  EXPECT_EQ(Ask("form", which).at(0, "mail_template_version"), Value::Integer(2));
  consents::FormArchived archived;
  archived.set_form_id(1);
  Happens(0, archived);
  EXPECT_NE(Ask("form", which).at(0, "archived_at_us").type, sql::Type::kNull);
  RebuildGivesTheSame();
}

}  // namespace
}  // namespace maily::projections
