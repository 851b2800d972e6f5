// Tests the read model of contacts, and what stands in its personal table.
#include "projections/contacts/fold.h"

#include "maily/contacts/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/sealed.h"
#include "schemas/types.h"
#include "tests/memory_keyring.h"

namespace maily::projections {
namespace {

namespace contacts = maily::contacts::v1;

class ContactsFoldTest : public FoldFixture {
 protected:
  ContactsFoldTest() : FoldFixture(ReadModelGroups()[0]) { keyring = keys_.ring.get(); }
  std::string Sealed(std::string_view field_id, std::string_view text) {
    const TenantId tenant(1);
    return schema::Seal(tenant, keys_.ring->GetOrCreate(tenant, kKey).value(), field_id, text, keys_.entropy);
  }
  contacts::ContactCreated Created() {
    contacts::ContactCreated created;
    created.set_ordinal(1);
    created.set_contact_key(std::string(kKey));
    created.set_address(Sealed("address", "Ann@Example.com"));
    contacts::Attribute* attribute = created.add_attributes();
    attribute->set_name("recency");
    attribute->set_integer(10);
    attribute = created.add_attributes();
    attribute->set_name("first_name");
    attribute->set_sealed(Sealed("attribute:first_name", "Ann"));
    attribute = created.add_attributes();
    attribute->set_name("channel");
    attribute->set_text("Web");
    created.set_source("import:1");
    return created;
  }
  Rows Contact() { return Ask("contact", {{"tenant", Value::Integer(1)}, {"contact_id", Value::Integer((int64_t{1} << 48) + 1)}}); }

  Rows Timeline() {
    const Value most = Value::Integer(INT64_MAX);
    return Ask("timeline_of_contact", {{"tenant", Value::Integer(1)},
                                       {"contact_id", Value::Integer(kAnn)},
                                       {"at_us", most},
                                       {"place", most},
                                       {"id", most},
                                       {"noun_id", most},
                                       {"limit", Value::Integer(100)}});
  }

  static constexpr std::string_view kKey = "0123456789abcdef";
  static constexpr int64_t kAnn = (int64_t{1} << 48) + 1;
  test::MemoryKeyring keys_;
};

TEST_F(ContactsFoldTest, PersonalFieldsStandInThePersonalTableAlone) {
  Happens(1, Created());
  const Rows contact = Contact();
  EXPECT_EQ(contact.at(0, "address"), Value::Text("Ann@Example.com"));
  EXPECT_EQ(contact.at(0, "attributes"), Value::Text(R"({"channel":"Web","recency":10})"));
  EXPECT_EQ(contact.at(0, "personal_attributes"), Value::Text(R"({"first_name":"Ann"})"));
  EXPECT_EQ(contact.at(0, "suppressed_reason"), Value::Null());
  EXPECT_EQ(Ask("contact_by_key", {{"tenant", Value::Integer(1)}, {"contact_key", Value::Blob(std::string(kKey))}}).size(), 1u);
  EXPECT_EQ(Ask("contact_count", {{"tenant", Value::Integer(1)}}).at(0, "contacts"), Value::Integer(1));
  auto r = databases->Open("people-v1", sql::Purpose::kRead).value();
  sql::Statement* all = r->Prepare("SELECT * FROM contacts").value();
  ASSERT_TRUE(all->Step().value());
  for (int c = 0; c < all->column_count(); ++c) EXPECT_EQ(all->bytes(c).find("Ann"), std::string_view::npos);
  all->Reset();
  RebuildGivesTheSame();
}

TEST_F(ContactsFoldTest, AChangeMergesAndRemoves) {
  Happens(1, Created());
  contacts::ContactChanged changed;
  changed.set_ordinal(1);
  contacts::Attribute* attribute = changed.add_attributes();
  attribute->set_name("recency");
  attribute = changed.add_attributes();
  attribute->set_name("spend");
  attribute->set_number(0.5);
  attribute = changed.add_attributes();
  attribute->set_name("first_name");
  attribute->set_sealed(Sealed("attribute:first_name", "Anna"));
  Happens(1, changed);
  EXPECT_EQ(Contact().at(0, "attributes"), Value::Text(R"({"channel":"Web","spend":0.5})"));
  EXPECT_EQ(Contact().at(0, "personal_attributes"), Value::Text(R"({"first_name":"Anna"})"));
  RebuildGivesTheSame();
}

TEST_F(ContactsFoldTest, WithoutTheKeyTheContactStaysAndTheDigestIsTheSame) {
  Happens(1, Created());
  const std::string digest = Digest().ToHex();
  EXPECT_EQ(keys_.ring->Destroy(TenantId(1), kKey).value(), 1u);
  projection->Rebuild(Projection::Then::kSwitch, [](Result<RebuildStatus> built) { EXPECT_TRUE(built.value().compared); });
  executor.Drain();
  EXPECT_EQ(Digest().ToHex(), digest);
  EXPECT_EQ(Contact().at(0, "address"), Value::Null());
  EXPECT_EQ(Contact().at(0, "personal_attributes"), Value::Text("{}"));
  EXPECT_EQ(Contact().at(0, "attributes"), Value::Text(R"({"channel":"Web","recency":10})"));
}

TEST_F(ContactsFoldTest, WhatWasGivenAsANumberIsOneAgainAndTextStaysText) {
  contacts::ContactCreated created = Created();
  created.clear_attributes();
  for (const auto& [name, text, literal] : {std::tuple{"big", "9007199254740993", true}, {"on", "true", true}, {"zip", "007", false}}) {
    contacts::Attribute* attribute = created.add_attributes();
    attribute->set_name(name);
    attribute->set_sealed(Sealed(schema::AttributeFieldId(name), text));
    attribute->set_literal(literal);
  }
  Happens(1, created);
  EXPECT_EQ(Contact().at(0, "personal_attributes"), Value::Text(R"({"big":9007199254740993,"on":true,"zip":"007"})"));
  RebuildGivesTheSame();
}

TEST_F(ContactsFoldTest, TagsAreASetAndTheTimelineNamesWhatChanged) {
  contacts::ContactCreated created = Created();
  created.add_tags("trial");
  Happens(1, created);
  contacts::ContactChanged changed;
  changed.set_ordinal(1);
  changed.add_attributes()->set_name("channel");
  changed.add_add_tags("beta");
  changed.add_remove_tags("trial");
  changed.set_source("api");
  Happens(1, changed);
  EXPECT_EQ(Contact().at(0, "tags"), Value::Text(R"(["beta"])"));
  const Rows timeline = Timeline();
  ASSERT_EQ(timeline.size(), 2u);
  EXPECT_EQ(timeline.at(0, "kind"), Value::Text("changed"));
  EXPECT_EQ(timeline.at(0, "detail"), Value::Text("channel, +tag beta, -tag trial"));
  EXPECT_EQ(timeline.at(1, "kind"), Value::Text("created"));
  RebuildGivesTheSame();
}

TEST_F(ContactsFoldTest, AnotherAddressIsTheSamePersonAndTheTimelineHasBoth) {
  Happens(1, Created());
  contacts::AddressAsked asked;
  asked.set_ordinal(1);
  Happens(1, asked);
  const auto newest = [this] {
    return Ask("address_change", {{"tenant", Value::Integer(1)}, {"contact_id", Value::Integer(kAnn)}}).at(0, "state");
  };
  EXPECT_EQ(newest(), Value::Text("asked"));
  contacts::AddressChangeRefused refused;
  refused.set_ordinal(1);
  refused.set_code("address_taken");
  refused.set_other_contact_id(7);
  Happens(1, refused);
  EXPECT_EQ(newest(), Value::Text("refused"));
  Happens(1, asked);
  contacts::ContactAddressChanged changed;
  changed.set_ordinal(1);
  changed.set_contact_key("fedcba9876543210");
  changed.set_address(Sealed("address", "ann@new.example"));
  changed.set_former_key(std::string(kKey));
  changed.set_former_address(Sealed("address", "Ann@Example.com"));
  changed.set_source("api");
  Happens(1, changed);
  EXPECT_EQ(newest(), Value::Text("changed"));
  EXPECT_EQ(Contact().at(0, "address"), Value::Text("ann@new.example"));
  EXPECT_EQ(Contact().at(0, "attributes"), Value::Text(R"({"channel":"Web","recency":10})"));
  EXPECT_TRUE(Ask("contact_by_key", {{"tenant", Value::Integer(1)}, {"contact_key", Value::Blob(std::string(kKey))}}).empty());
  const Rows timeline = Timeline();
  ASSERT_EQ(timeline.size(), 3u);
  EXPECT_EQ(timeline.at(0, "kind"), Value::Text("address_changed"));
  EXPECT_EQ(timeline.at(0, "detail"), Value::Text("Ann@Example.com -> ann@new.example"));
  EXPECT_EQ(timeline.at(1, "detail"), Value::Text("address_taken"));
  RebuildGivesTheSame();
}

TEST_F(ContactsFoldTest, WhoWasMergedIsHistoryAndFoundByEitherAddressUntilTheOtherIsErased) {
  constexpr int64_t kBo = (int64_t{1} << 48) + 2;
  constexpr std::string_view kOther = "fedcba9876543210";
  const Parameter tenant{"tenant", Value::Integer(1)};
  Happens(1, Created());
  contacts::ContactCreated other;
  other.set_ordinal(2);
  other.set_contact_key(std::string(kOther));
  other.set_address(Sealed("address", "bo@example.com"));
  Happens(1, other);
  contacts::MergeAsked asked;
  asked.set_ordinal(1);
  asked.set_partition(1);
  asked.set_into_partition(1);
  asked.set_into_ordinal(2);
  Happens(1, asked);
  const auto merge = [&] { return Ask("contact_merge", {tenant, {"contact_id", Value::Integer(kAnn)}}); };
  EXPECT_EQ(merge().at(0, "state"), Value::Text("asked"));
  contacts::MergeRefused refused;
  refused.set_ordinal(1);
  refused.set_code("merge_under_way");
  refused.set_message("later");
  Happens(1, refused);
  EXPECT_EQ(merge().at(0, "code"), Value::Text("merge_under_way"));
  Happens(1, asked);
  contacts::ContactMerged merged;
  merged.set_ordinal(1);
  merged.set_into_partition(1);
  merged.set_into_ordinal(2);
  merged.set_contact_key(std::string(kKey));
  merged.add_addresses(std::string(kKey));
  Happens(1, merged);
  EXPECT_EQ(merge().at(0, "state"), Value::Text("merged"));
  EXPECT_EQ(merge().at(0, "taken_at_us"), Value::Null());
  contacts::ContactTakenOver taken;
  taken.set_ordinal(2);
  taken.set_from_partition(1);
  taken.set_from_ordinal(1);
  taken.add_left_out("tag vip");
  Happens(1, taken);
  EXPECT_EQ(merge().at(0, "left_out"), Value::Text(R"(["tag vip"])"));
  EXPECT_EQ(Contact().at(0, "merged_into"), Value::Integer(kBo));
  EXPECT_EQ(Contact().at(0, "address"), Value::Text("Ann@Example.com"));
  EXPECT_EQ(Ask("contact_count", {tenant}).at(0, "contacts"), Value::Integer(1));
  for (const std::string_view key : {kKey, kOther}) {
    const Rows found = Ask("contact_by_key", {tenant, {"contact_key", Value::Blob(std::string(key))}});
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found.at(0, "contact_id"), Value::Integer(kBo));
  }
  EXPECT_EQ(Ask("contact_ids", {tenant, {"after", Value::Integer(0)}, {"limit", Value::Integer(10)}}).size(), 1u);
  const Rows both = Ask("merged_contacts", {tenant, {"contact_id", Value::Integer(kBo)}});
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both.at(0, "contact_id"), Value::Integer(kBo));
  EXPECT_EQ(both.at(1, "contact_id"), Value::Integer(kAnn));
  EXPECT_EQ(Timeline().at(0, "kind"), Value::Text("merged"));
  RebuildGivesTheSame();

  contacts::ContactErased erased;
  erased.set_ordinal(2);
  erased.set_contact_key(std::string(kOther));
  Happens(1, erased);
  erased.set_ordinal(1);
  erased.set_contact_key(std::string(kKey));
  erased.set_merged(true);
  Happens(1, erased);
  contacts::ContactKeysDestroyed destroyed;
  destroyed.set_ordinal(2);
  destroyed.mutable_merged()->set_ordinal(1);
  Happens(1, destroyed);  // of the first one's address: says nothing of the second one's
  const auto keys_of = [&](int64_t contact) {
    return Ask("erased_contact", {tenant, {"contact_id", Value::Integer(contact)}}).at(0, "keys_destroyed_at_us");
  };
  EXPECT_EQ(keys_of(kBo), Value::Null());
  contacts::ContactKeysDestroyed own;
  own.set_ordinal(1);
  Happens(1, own);
  EXPECT_NE(keys_of(kAnn), Value::Null());
  EXPECT_EQ(Ask("contact_count", {tenant}).at(0, "contacts"), Value::Integer(0));
  auto r = databases->Open("people-v1", sql::Purpose::kRead).value();
  for (const char* table : {"contacts_pii", "contacts", "contact_history", "contact_merges", "taken_contacts"}) {
    sql::Statement* all = r->Prepare(fmt::format("SELECT * FROM {}", table)).value();
    EXPECT_FALSE(all->Step().value()) << table;
    all->Reset();
  }
  RebuildGivesTheSame();
}

TEST_F(ContactsFoldTest, OfTheErasedTheReceiptAloneIsLeft) {
  Happens(1, Created());
  contacts::ContactErased erased;
  erased.set_ordinal(1);
  erased.set_contact_key(std::string(kKey));
  erased.set_generation(1);
  Happens(1, erased);
  EXPECT_TRUE(Contact().empty());
  EXPECT_TRUE(Timeline().empty());
  EXPECT_EQ(Ask("contact_count", {{"tenant", Value::Integer(1)}}).at(0, "contacts"), Value::Integer(0));
  const Rows receipt = Ask("erased_contact", {{"tenant", Value::Integer(1)}, {"contact_id", Value::Integer(kAnn)}});
  ASSERT_EQ(receipt.size(), 1u);
  EXPECT_EQ(receipt.at(0, "partition"), Value::Integer(1));
  EXPECT_EQ(receipt.at(0, "keys_destroyed_at_us"), Value::Null());
  auto r = databases->Open("people-v1", sql::Purpose::kRead).value();
  for (const char* table : {"contacts_pii", "contacts", "contact_history", "address_changes", "address_changes_pii"}) {
    sql::Statement* all = r->Prepare(fmt::format("SELECT * FROM {}", table)).value();
    EXPECT_FALSE(all->Step().value()) << table;
    all->Reset();
  }
  contacts::ContactCreated again = Created();  // admitted anew: another ordinal, the same key
  again.set_ordinal(2);
  again.set_consent_proof(Sealed("consent_proof", "form"));
  Happens(1, again);
  EXPECT_EQ(Ask("contact_by_key", {{"tenant", Value::Integer(1)}, {"contact_key", Value::Blob(std::string(kKey))}}).size(), 1u);
  RebuildGivesTheSame();
}

}  // namespace
}  // namespace maily::projections
