// Tests the read model of tenants.
#include "projections/tenants/fold.h"

#include "maily/tenants/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace tenants = maily::tenants::v1;

class TenantsFoldTest : public FoldFixture {
 protected:
  TenantsFoldTest() : FoldFixture(ReadModelGroups()[0]) {}
  const Parameter tenant_{"tenant", Value::Integer(1)};
};

TEST_F(TenantsFoldTest, SettingsThatAreNotGivenStay) {
  tenants::TenantCreated created;
  created.set_tenant_id(1);
  created.set_name("default");
  Happens(0, created);
  tenants::SettingsChanged changed;
  changed.add_senders("news@example.com");
  changed.add_senders("help@example.com");
  changed.set_postal_address("1 Main St");
  Happens(1, changed);
  tenants::SettingsChanged again;
  again.set_company("Shop");
  again.set_tracking(tenants::TRACKING_OFF);
  Happens(1, again);
  tenants::SettingsChanged once_more;
  once_more.set_company("Shop");
  Happens(1, once_more);
  EXPECT_EQ(Ask("settings", {tenant_}).at(0, "tracking"), Value::Integer(tenants::TRACKING_OFF));
  const Rows tenant = Ask("tenant", {tenant_});
  EXPECT_EQ(tenant.at(0, "name"), Value::Text("default"));
  EXPECT_EQ(tenant.at(0, "postal_address"), Value::Text("1 Main St"));
  EXPECT_EQ(tenant.at(0, "company"), Value::Text("Shop"));
  EXPECT_EQ(Ask("senders", {tenant_}).size(), 2u);
  EXPECT_EQ(Ask("tenant_by_name", {{"name", Value::Text("default")}}).size(), 1u);
  RebuildGivesTheSame();
}

TEST_F(TenantsFoldTest, AKeyIsFoundByItsIdUntilItIsRevokedAndAfter) {
  tenants::ApiKeyCreated created;
  created.set_key_id("abc");
  created.set_secret_hash(std::string(32, '\1'));
  created.add_scopes("read");
  created.add_scopes("write");
  Happens(0, created);
  const Parameter key{"key_id", Value::Text("abc")};
  EXPECT_EQ(Ask("api_key", {key}).at(0, "scopes"), Value::Text("read write"));
  EXPECT_EQ(Ask("api_key", {key}).at(0, "secret_hash"), Value::Blob(std::string(32, '\1')));
  EXPECT_EQ(Ask("api_key", {key}).at(0, "revoked_at_us"), Value::Null());
  tenants::ApiKeyRevoked revoked;
  revoked.set_key_id("abc");
  Happens(0, revoked);
  EXPECT_EQ(Ask("api_key", {key}).at(0, "revoked_at_us"), Value::Integer(now.us));
}

TEST_F(TenantsFoldTest, AttributesAreListedWithTheirTypes) {
  tenants::AttributeRegistered registered;
  registered.set_name("first_name");
  registered.set_attribute_type(tenants::TEXT);
  registered.set_personal(true);
  Happens(0, registered);
  const Rows rows = Ask("attributes", {tenant_, {"after", Value::Text("")}, {"limit", Value::Integer(10)}});
  EXPECT_EQ(rows.at(0, "type"), Value::Text("text"));
  EXPECT_EQ(rows.at(0, "personal"), Value::Integer(1));
}

}  // namespace
}  // namespace maily::projections
