// Tests the read model of suppressions, and that it stays without its addresses once their keys are gone.
#include "projections/suppressions/fold.h"

#include "maily/contacts/v1/events.pb.h"
#include "maily/suppressions/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/sealed.h"
#include "schemas/types.h"
#include "tests/memory_keyring.h"

namespace maily::projections {
namespace {

namespace suppressions = maily::suppressions::v1;

class SuppressionsFoldTest : public FoldFixture {
 protected:
  SuppressionsFoldTest() : FoldFixture(ReadModelGroups()[0]) { keyring = keys_.ring.get(); }
  std::string Sealed(std::string_view field_id, std::string_view text) {
    return schema::Seal(TenantId(1), keys_.ring->GetOrCreate(TenantId(1), kKey).value(), field_id, text, keys_.entropy);
  }
  suppressions::SuppressionAdded Added() {
    suppressions::SuppressionAdded added;
    added.set_contact_key(kKey);
    added.set_reason("complaint");
    added.set_source("import");
    added.set_address(Sealed("address", "Ann@Example.com"));
    added.set_note(Sealed("suppression_note", "asked"));
    added.set_domain_key(kDomainKey);
    return added;
  }
  Rows Of(const std::string& key) { return Ask("suppression", {kTenant, {"contact_key", Value::Blob(key)}}); }
  std::vector<Parameter> Page(const std::string& reason = "") {
    return {kTenant,
            {"after_at", Value::Integer(0)},
            {"after", Value::Blob("")},
            {"reason", Value::Text(reason)},
            {"limit", Value::Integer(10)}};
  }

  const std::string kKey = std::string(16, '\7');
  const std::string kDomainKey = std::string(16, '\x8');
  const Parameter kTenant{"tenant", Value::Integer(1)};
  test::MemoryKeyring keys_;
};

TEST_F(SuppressionsFoldTest, ASuppressionIsThereUntilItIsRemoved) {
  Happens(1, Added());
  EXPECT_EQ(Of(kKey).at(0, "reason"), Value::Text("complaint"));
  EXPECT_EQ(Of(kKey).at(0, "stream"), Value::Text("all"));
  EXPECT_EQ(Of(kKey).at(0, "address"), Value::Text("Ann@Example.com"));
  EXPECT_EQ(Of(kKey).at(0, "note"), Value::Text("asked"));
  EXPECT_EQ(Ask("suppressions", Page()).size(), 1u);
  EXPECT_TRUE(Ask("suppressions", Page("manual")).empty());
  EXPECT_EQ(Ask("suppression_count", {kTenant}).at(0, "suppressions"), Value::Integer(1));
  suppressions::SuppressionRemoved removed;
  removed.set_contact_key(kKey);
  Happens(1, removed);
  EXPECT_TRUE(Ask("suppressions", Page()).empty());
  RebuildGivesTheSame();
}

TEST_F(SuppressionsFoldTest, ADomainIsListedAmongThemAndStopsAnAddressThere) {
  suppressions::DomainSuppressionAdded added;
  added.set_domain("example.com");
  added.set_domain_key(kDomainKey);
  added.set_reason("blocked");
  added.set_stream(suppressions::MARKETING);
  added.set_note("they asked");
  Happens(0, added);
  Happens(1, Added());
  const std::vector<Parameter> address = {kTenant, {"contact_key", Value::Blob(kKey)}, {"domain_key", Value::Blob(kDomainKey)}};
  const Rows both = Ask("suppressions_of_address", address);
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both.at(0, "address"), Value::Text("Ann@Example.com"));
  EXPECT_EQ(both.at(1, "domain"), Value::Text("example.com"));
  EXPECT_EQ(both.at(1, "stream"), Value::Text("marketing"));
  EXPECT_EQ(both.at(1, "note"), Value::Text("they asked"));
  auto of_domain = Page();
  of_domain.push_back({"domain_key", Value::Blob(kDomainKey)});
  EXPECT_EQ(Ask("suppressions_of_domain", of_domain).size(), 2u);
  suppressions::DomainSuppressionRemoved removed;
  removed.set_domain("example.com");
  removed.set_domain_key(kDomainKey);
  Happens(0, removed);
  EXPECT_EQ(Ask("suppressions_of_address", address).size(), 1u);
  RebuildGivesTheSame();
}

TEST_F(SuppressionsFoldTest, AnEntryWithoutAnAddressHasThatOfTheContact) {
  suppressions::SuppressionAdded added;
  added.set_contact_key(kKey);
  added.set_reason("hard_bounce");
  Happens(1, added);
  EXPECT_EQ(Of(kKey).at(0, "address"), Value::Null());
  contacts::v1::ContactCreated created;
  created.set_ordinal(1);
  created.set_contact_key(kKey);
  created.set_address(Sealed("address", "Ann@Example.com"));
  Happens(1, created);
  EXPECT_EQ(Of(kKey).at(0, "address"), Value::Text("Ann@Example.com"));
  EXPECT_EQ(Ask("suppressions", Page()).at(0, "address"), Value::Text("Ann@Example.com"));
}

TEST_F(SuppressionsFoldTest, WithoutTheKeyTheSuppressionStaysAndTheDigestIsTheSame) {
  Happens(1, Added());
  const std::string digest = Digest().ToHex();
  EXPECT_EQ(keys_.ring->Destroy(TenantId(1), kKey).value(), 1u);
  projection->Rebuild(Projection::Then::kSwitch, [](Result<RebuildStatus> built) { EXPECT_TRUE(built.value().compared); });
  executor.Drain();
  EXPECT_EQ(Digest().ToHex(), digest);
  ASSERT_EQ(Of(kKey).size(), 1u);
  EXPECT_EQ(Of(kKey).at(0, "reason"), Value::Text("complaint"));
  EXPECT_EQ(Of(kKey).at(0, "address"), Value::Null());
  EXPECT_EQ(Of(kKey).at(0, "note"), Value::Null());
}

}  // namespace
}  // namespace maily::projections
