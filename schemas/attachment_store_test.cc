// Files that messages bring along: sealed under the key of a person, and gone with it.
#include "schemas/attachment_store.h"

#include <gtest/gtest.h>

#include "streams/adapters/sim/sim_blobs.h"
#include "streams/adapters/sim/sim_env.h"
#include "tests/memory_keyring.h"

namespace maily::schema {
namespace {

constexpr TenantId kTenant(7);
constexpr PartitionId kPartition(3);

class AttachmentStoreTest : public testing::Test {
 protected:
  keyring::SubjectKey KeyOf(std::string_view subject) { return keys_.ring->GetOrCreate(kTenant, subject).value(); }

  sim::Scheduler scheduler_{1};
  sim::SimBlobs blobs_{scheduler_};
  test::MemoryKeyring keys_;
  AttachmentStore store_{blobs_, *keys_.ring, scheduler_.clock(), keys_.entropy};
};

TEST_F(AttachmentStoreTest, GivesBackWhatWasPutUntilTheKeyOfItsOwnerIsGone) {
  const auto ann = store_.Put(kTenant, kPartition, KeyOf("ann"), "SECRET of Ann");
  const auto bob = store_.Put(kTenant, kPartition, KeyOf("bob"), "SECRET of Bob");
  ASSERT_TRUE(ann && bob);
  EXPECT_EQ(store_.Get(kTenant, *ann).value(), "SECRET of Ann");
  EXPECT_EQ(blobs_.content().at(*ann).find("SECRET"), std::string::npos);
  EXPECT_FALSE(store_.Get(TenantId(8), *ann)) << "another tenant's";
  ASSERT_TRUE(keys_.ring->Destroy(kTenant, "ann"));
  EXPECT_EQ(store_.Get(kTenant, *ann).error().code, Code::kNotFound);
  EXPECT_EQ(store_.Get(kTenant, *bob).value(), "SECRET of Bob");
}

TEST_F(AttachmentStoreTest, TheSameBytesTwiceAreTwoBlobsAndNeitherNameTellsOfThem) {
  const std::string one = store_.Put(kTenant, kPartition, KeyOf("ann"), "abc").value();
  const std::string two = store_.Put(kTenant, kPartition, KeyOf("ann"), "abc").value();
  EXPECT_NE(one, two);
  EXPECT_EQ(one.find("ba7816bf"), std::string::npos) << "SHA-256 of abc, FIPS 180-4";
  ASSERT_TRUE(store_.Remove(one));
  EXPECT_EQ(store_.Get(kTenant, one).error().code, Code::kRetry);
  EXPECT_EQ(store_.Get(kTenant, two).value(), "abc");
}

TEST_F(AttachmentStoreTest, WhatIsDamagedOrNoneOfItsOwnIsSaidToBeSo) {
  const std::string blob = store_.Put(kTenant, kPartition, KeyOf("ann"), "abc").value();
  blobs_.content().at(blob)[30] ^= 1;
  EXPECT_EQ(store_.Get(kTenant, blob).error().code, Code::kCorrupt);
  EXPECT_EQ(store_.Get(kTenant, "assets/t7/x").error().code, Code::kCorrupt);
  EXPECT_EQ(store_.Remove("assets/t7/x").error().code, Code::kInvalid);
  EXPECT_EQ(store_.Put(kTenant, kPartition, KeyOf("ann"), std::string(AttachmentStore::kBytesMax + 1, 'x')).error().code, Code::kInvalid);
}

TEST_F(AttachmentStoreTest, ListsThemByTheDayOfTheirUpload) {
  const std::string old = store_.Put(TenantId(9), PartitionId(65535), keys_.ring->GetOrCreate(TenantId(9), "cid").value(), "old").value();
  scheduler_.RunFor(Hours(48));
  const std::string young = store_.Put(kTenant, kPartition, KeyOf("ann"), "young").value();
  blobs_.content()["attachments/stray"] = "x";
  const auto page = store_.List("", 10);
  ASSERT_TRUE(page);
  ASSERT_EQ(page->copies.size(), 2u);
  EXPECT_TRUE(page->end);
  EXPECT_EQ(page->copies[0].blob, old);
  EXPECT_EQ(page->copies[0].tenant, TenantId(9));
  EXPECT_EQ(page->copies[0].partition, PartitionId(65535));
  EXPECT_EQ(page->copies[1].blob, young);
  EXPECT_LT(page->copies[0].uploaded_at, page->copies[1].uploaded_at);
  EXPECT_EQ(store_.List(old, 10)->copies.size(), 1u);
}

}  // namespace
}  // namespace maily::schema
