// Assets in blobs: sealed, whole, and each upload a copy of its own.
#include "schemas/asset_store.h"

#include <gtest/gtest.h>

#include "streams/adapters/sim/sim_blobs.h"
#include "streams/adapters/sim/sim_env.h"
#include "tests/memory_keyring.h"

namespace maily::schema {
namespace {

constexpr TenantId kTenant(7);

class AssetStoreTest : public testing::Test {
 protected:
  sim::Scheduler scheduler_{1};
  sim::SimBlobs blobs_{scheduler_};
  test::MemoryKeyring keys_;
  AssetStore store_{blobs_, *keys_.ring, scheduler_.clock(), keys_.entropy};
};

TEST(AssetNames, AreWhatMayStandInHtml) {
  for (const std::string_view fine : {"logo.png", "1", "a-b_c.d"}) EXPECT_TRUE(IsAssetName(fine)) << fine;
  for (const std::string_view wrong : {"", ".a", "a b", "a/b", "ä", "a\"", "{{x}}"}) EXPECT_FALSE(IsAssetName(wrong)) << wrong;
  EXPECT_FALSE(IsAssetName(std::string(101, 'a')));
  EXPECT_EQ(AssetId("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-4
  EXPECT_EQ(AssetIdOf(AssetDigest(AssetId("abc"))), AssetId("abc"));
  EXPECT_FALSE(IsAssetId(AssetId("abc").substr(1)));
}

TEST_F(AssetStoreTest, GivesBackWhatWasPutAndShowsNothingOfItAtRest) {
  const std::string bytes = std::string("\x89PNG\0binary", 11) + "SECRET";
  const auto blob = store_.Put(kTenant, "image/png", bytes);
  ASSERT_TRUE(blob) << blob.error().ToString();
  const auto got = store_.Get(kTenant, AssetId(bytes));
  ASSERT_TRUE(got) << got.error().ToString();
  EXPECT_EQ(got->bytes, bytes);
  EXPECT_EQ(got->content_type, "image/png");
  EXPECT_EQ(blobs_.content().at(*blob).find("SECRET"), std::string::npos);
  EXPECT_EQ(blobs_.content().at(*blob).find("image/png"), std::string::npos);
  EXPECT_EQ(store_.Get(TenantId(8), AssetId(bytes)).error().code, Code::kNotFound);
  EXPECT_EQ(store_.Get(kTenant, AssetId("other")).error().code, Code::kNotFound);
  EXPECT_EQ(store_.Get(kTenant, "../x").error().code, Code::kNotFound);
  EXPECT_EQ(store_.Put(kTenant, "a/b", std::string(AssetStore::kBytesMax + 1, 'x')).error().code, Code::kInvalid);
}

TEST_F(AssetStoreTest, EveryCopyIsAsGoodAndADamagedOneIsPassedOver) {
  const std::string first = *store_.Put(kTenant, "image/png", "abc");
  const std::string second = *store_.Put(kTenant, "image/png", "abc");
  EXPECT_NE(first, second);
  for (const std::string& damaged : {first, second}) {
    blobs_.content().at(damaged)[40] ^= 1;
    const bool other_left = damaged == first;
    const auto got = store_.Get(kTenant, AssetId("abc"));
    EXPECT_EQ(got.has_value(), other_left);
    if (!other_left) {
      EXPECT_EQ(got.error().code, Code::kCorrupt);
    }
  }
  ASSERT_TRUE(store_.Remove(first));
  ASSERT_TRUE(store_.Remove(second));
  EXPECT_EQ(store_.Get(kTenant, AssetId("abc")).error().code, Code::kNotFound);
}

TEST_F(AssetStoreTest, ACopyThatWasMovedToAnotherTenantOrIdDoesNotOpen) {
  const std::string blob = *store_.Put(kTenant, "image/png", "abc");
  std::string elsewhere = blob;
  elsewhere.replace(elsewhere.find(AssetId("abc")), 64, AssetId("abd"));
  blobs_.content()[elsewhere] = blobs_.content().at(blob);
  EXPECT_EQ(store_.Get(kTenant, AssetId("abd")).error().code, Code::kCorrupt);
  std::string other = blob;
  other.replace(other.find("/t7/"), 4, "/t8/");
  blobs_.content()[other] = blobs_.content().at(blob);
  EXPECT_FALSE(store_.Get(TenantId(8), AssetId("abc")));
}

TEST_F(AssetStoreTest, ListsCopiesAndPassesOverWhatIsNone) {
  const std::string one = *store_.Put(kTenant, "image/png", "abc");
  const std::string two = *store_.Put(TenantId(12), "image/png", "abd");
  blobs_.content()["assets/t1/something"] = "x";
  blobs_.content()["snapshots/y"] = "x";
  std::vector<std::string> seen;
  std::string after;
  for (bool end = false; !end;) {
    const auto page = store_.List(after, 2);
    ASSERT_TRUE(page);
    for (const auto& copy : page->copies) {
      seen.push_back(copy.blob);
      EXPECT_EQ(copy.uploaded_at.us / 1000, scheduler_.clock().Now().us / 1000);
      EXPECT_EQ(copy.tenant.value(), copy.blob == one ? 7u : 12u);
    }
    after = page->last;
    end = page->end;
  }
  std::vector<std::string> expected{one, two};
  std::ranges::sort(expected);
  EXPECT_EQ(seen, expected);
}

}  // namespace
}  // namespace maily::schema
