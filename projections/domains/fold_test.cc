// Tests the read model of sending domains.
#include "projections/domains/fold.h"

#include "maily/domains/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace domains = maily::domains::v1;

domains::SigningKey Key(const char* selector) {
  domains::SigningKey key;
  key.set_selector(selector);
  key.set_algorithm("rsa-sha256");
  key.set_dns_value("v=DKIM1; k=rsa; p=AA");
  key.set_private_key("sealed");
  return key;
}

class DomainsFoldTest : public FoldFixture {
 protected:
  DomainsFoldTest() : FoldFixture(ReadModelGroups()[0]) {
    domains::DomainAdded added;
    added.set_name("example.com");
    added.set_return_path("bounces.example.com");
    *added.add_keys() = Key("m1r");
    Happens(0, added);
  }
  const std::vector<Parameter> domain_{{"tenant", Value::Integer(1)}, {"name", Value::Text("example.com")}};
};

TEST_F(DomainsFoldTest, ARotationGoesOverThreeStates) {
  domains::DomainKeysAdded more;
  more.set_name("example.com");
  more.set_generation(2);
  *more.add_keys() = Key("m2r");
  Happens(0, more);
  Rows keys = Ask("domain_keys", domain_);
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys.at(1, "active_from_us"), Value::Null());
  domains::DomainKeysActivated activated;
  activated.set_name("example.com");
  Happens(0, activated);
  keys = Ask("domain_keys", domain_);
  EXPECT_EQ(keys.at(0, "active_to_us"), Value::Integer(now.us));
  EXPECT_EQ(keys.at(1, "active_from_us"), Value::Integer(now.us));
  EXPECT_EQ(Ask("domain", domain_).at(0, "generation"), Value::Integer(2));
  more.set_generation(3);
  *more.mutable_keys(0) = Key("m3r");
  Happens(0, more);
  Happens(0, activated);
  EXPECT_EQ(Ask("domain_keys", domain_).size(), 2u) << "what was replaced before the last time is forgotten";
  RebuildGivesTheSame();
}

TEST_F(DomainsFoldTest, OnlyTheLastCheckIsShown) {
  domains::DomainChecked checked;
  checked.set_name("example.com");
  for (const char* rule : {"spf", "dmarc"}) {
    domains::CheckLine& line = *checked.add_lines();
    line.set_rule(rule);
    line.set_fix("publish it");
  }
  Happens(0, checked);
  EXPECT_EQ(Ask("domain", domain_).at(0, "passed"), Value::Integer(0));
  EXPECT_EQ(Ask("domain_check_lines", domain_).size(), 2u);
  checked.mutable_lines()->RemoveLast();
  checked.mutable_lines(0)->set_ok(true);
  checked.set_passed(true);
  Happens(0, checked);
  EXPECT_EQ(Ask("domain", domain_).at(0, "passed"), Value::Integer(1));
  EXPECT_EQ(Ask("domain_check_lines", domain_).size(), 1u);
  domains::DomainRemoved removed;
  removed.set_name("example.com");
  Happens(0, removed);
  EXPECT_TRUE(Ask("domain", domain_).empty());
  EXPECT_TRUE(Ask("domain_keys", domain_).empty());
  EXPECT_TRUE(Ask("domain_check_lines", domain_).empty());
  RebuildGivesTheSame();
}

}  // namespace
}  // namespace maily::projections
