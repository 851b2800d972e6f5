// Tests of the gate: who may get mail, and which reason comes first.
#include "processors/compliance/gate.h"

#include <gtest/gtest.h>

#include "schemas/types.h"
#include "streams/state/key.h"
#include "streams/state/map_kv.h"

namespace maily::compliance {
namespace {

TEST(Gate, LetsAMemberPass) { EXPECT_EQ(Gate({.member = true}), campaigns::v1::SKIP_REASON_UNSPECIFIED); }

TEST(Gate, NamesTheOptOutBeforeTheSuppression) {
  EXPECT_EQ(Gate({.member = true, .unsubscribed = true, .suppressed = true}), campaigns::v1::UNSUBSCRIBED);
  EXPECT_EQ(Gate({.member = true, .suppressed = true}), campaigns::v1::SUPPRESSED);
}

TEST(Gate, TakesLeavingTheListForAnOptOut) { EXPECT_EQ(Gate({.member = false}), campaigns::v1::UNSUBSCRIBED); }

TEST(Gate, NobodyWhoHasYetToConfirmPasses) {
  EXPECT_EQ(Gate({.member = false, .unconfirmed = true}), campaigns::v1::UNCONFIRMED);
  EXPECT_EQ(Gate({.member = true, .unsubscribed = true, .unconfirmed = true}), campaigns::v1::UNSUBSCRIBED);
  lists::v1::Subscriber subscriber;
  EXPECT_FALSE(IsUnconfirmed(nullptr, 0));
  EXPECT_FALSE(IsUnconfirmed(&subscriber, 0));
  subscriber.add_pending_list_ids(3);
  EXPECT_TRUE(IsUnconfirmed(&subscriber, 3));
  EXPECT_FALSE(IsUnconfirmed(&subscriber, 4));  // on which he simply is not
  EXPECT_TRUE(IsUnconfirmed(&subscriber, 0));
  subscriber.add_list_ids(4);
  EXPECT_FALSE(IsUnconfirmed(&subscriber, 0));
}

TEST(Gate, FindsMembersOfAscendingLists) {
  lists::v1::Subscriber subscriber;
  for (const uint64_t id : {2, 5, 9}) subscriber.add_list_ids(id);
  EXPECT_TRUE(IsMember(&subscriber, 5));
  EXPECT_FALSE(IsMember(&subscriber, 4));
  EXPECT_FALSE(IsMember(nullptr, 5));
  EXPECT_TRUE(IsMember(nullptr, 0));  // all contacts
}

TEST(Gate, KnowsThatAbsenceIsNoOptOut) {
  lists::v1::Subscriber subscriber;
  EXPECT_FALSE(IsUnsubscribed(nullptr));
  EXPECT_FALSE(IsUnsubscribed(&subscriber));
  subscriber.set_unsubscribed_at_us(1);
  EXPECT_TRUE(IsUnsubscribed(&subscriber));
}

TEST(Gate, StopsTheMailsThatASuppressionIsOf) {
  using namespace suppressions::v1;
  for (const Stream sent : {MARKETING, TRANSACTIONAL}) {
    EXPECT_TRUE(Covers(ALL, sent));
    EXPECT_TRUE(Covers(sent, sent));
    EXPECT_FALSE(Covers(sent, ALL));
  }
  EXPECT_FALSE(Covers(MARKETING, TRANSACTIONAL));
  EXPECT_FALSE(Covers(TRANSACTIONAL, MARKETING));
}

class DomainGateTest : public ::testing::Test {
 protected:
  DomainGate Gate(suppressions::v1::Stream sent = suppressions::v1::MARKETING) {
    return {state::View<suppressions::v1::SuppressedDomain>(cache_), state::View<suppressions::v1::SuppressedDomainCounter>(cache_),
            TenantId(1), sent};
  }
  void Suppress(const std::string& key, suppressions::v1::Stream stream) {
    state::Table<suppressions::v1::SuppressedDomain>(cache_).Edit(state::Key(TenantId(1), key)).set_stream(stream);
    state::Table<suppressions::v1::SuppressedDomainCounter>(cache_).Edit(state::Key(TenantId(1))).set_domains(1);
  }
  state::Disk disk_;
  state::MapKv kv_{disk_};
  state::Cache cache_{kv_, 1 << 20};
};

TEST_F(DomainGateTest, HoldsTheDomainsOfItsTenantForTheMailsThatTheyAreOf) {
  DomainGate none = Gate();
  for (const char* domain : {"one", "two", "three"}) EXPECT_FALSE(none.Holds(domain));
  EXPECT_EQ(kv_.gets, 1u);  // whether there is any
  Suppress("one", suppressions::v1::ALL);
  Suppress("two", suppressions::v1::TRANSACTIONAL);
  DomainGate gate = Gate();
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(gate.Holds("one"));
    EXPECT_TRUE(gate.Holds("one"));
    EXPECT_FALSE(gate.Holds("two"));
    EXPECT_FALSE(gate.Holds("three"));
    EXPECT_FALSE(gate.Holds(""));
  }
  EXPECT_TRUE(Gate(suppressions::v1::TRANSACTIONAL).Holds("two"));
}

}  // namespace
}  // namespace maily::compliance
