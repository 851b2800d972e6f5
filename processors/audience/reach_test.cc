#include "processors/audience/reach.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace maily::audience {
namespace {

int HeldOut(TenantId tenant, uint32_t holdout_bp) {
  int held = 0;
  for (int i = 0; i < 20'000; ++i) held += IsHeldOut(tenant, fmt::format("contact-{:08}", i), holdout_bp) ? 1 : 0;
  return held;
}

TEST(Holdout, IsOfTheShareThatIsAskedFor) {
  EXPECT_EQ(HeldOut(TenantId(1), 0), 0);
  EXPECT_NEAR(HeldOut(TenantId(1), 500), 1000, 150);
  EXPECT_NEAR(HeldOut(TenantId(1), 5000), 10'000, 400);
}

TEST(Holdout, OfALargerShareHoldsTheSmallerOneAndOfAnotherTenantOtherPeople) {
  int both = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = fmt::format("contact-{:08}", i);
    if (!IsHeldOut(TenantId(1), key, 500)) continue;
    EXPECT_TRUE(IsHeldOut(TenantId(1), key, 501)) << key;
    both += IsHeldOut(TenantId(2), key, 500) ? 1 : 0;
  }
  EXPECT_LT(both, 110);
}

TEST(Reach, ListsAreTheOldOneAndTheNewOnes) {
  campaigns::v1::CampaignSpec spec;
  EXPECT_TRUE(ListsOf(spec).empty());
  spec.set_list_id(5);
  for (const uint64_t id : {7, 5, 2}) spec.add_list_ids(id);
  EXPECT_EQ(ListsOf(spec), (std::vector<uint64_t>{2, 5, 7}));
  lists::v1::Subscriber subscriber;
  EXPECT_FALSE(IsOnAny(nullptr, ListsOf(spec)) || IsOnAny(&subscriber, ListsOf(spec)));
  subscriber.add_list_ids(6);
  EXPECT_FALSE(IsOnAny(&subscriber, ListsOf(spec)));
  subscriber.add_list_ids(7);
  EXPECT_TRUE(IsOnAny(&subscriber, ListsOf(spec)));
}

}  // namespace
}  // namespace maily::audience
