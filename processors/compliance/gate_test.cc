// Tests of the gate: who may get mail, and which reason comes first.
#include "processors/compliance/gate.h"

#include <gtest/gtest.h>

namespace maily::compliance {
namespace {

TEST(Gate, LetsAMemberPass) { EXPECT_EQ(Gate({.member = true}), campaigns::v1::SKIP_REASON_UNSPECIFIED); }

TEST(Gate, NamesTheOptOutBeforeTheSuppression) {
  EXPECT_EQ(Gate({.member = true, .unsubscribed = true, .suppressed = true}), campaigns::v1::UNSUBSCRIBED);
  EXPECT_EQ(Gate({.member = true, .suppressed = true}), campaigns::v1::SUPPRESSED);
}

TEST(Gate, TakesLeavingTheListForAnOptOut) { EXPECT_EQ(Gate({.member = false}), campaigns::v1::UNSUBSCRIBED); }

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

}  // namespace
}  // namespace maily::compliance
