// Tails are made once, kept within their bound, and read again when an asset could not be read.
#include "processors/effects/smtp/encoded.h"

#include <gtest/gtest.h>

#include "processors/effects/smtp/fixture.h"

namespace maily::smtp {
namespace {

constexpr TenantId kTenant(1);

mime::Plan PlanOf(char digit, std::string_view name = "a.png") {
  return {.text = true,
          .html = true,
          .domain = "shop.example",
          .images = {{std::string(64, digit), *mime::MediaType::Parse("image/png"), *mime::FileName::Parse(name)}},
          .attachments = {}};
}

struct EncodedTest : testing::Test {
  ManualExecutor disk, worker;
  int reads = 0;
  size_t size = 3000;
  bool broken = false;
  std::shared_ptr<EncodedTails> tails = std::make_shared<EncodedTails>(
      [this](TenantId, const mime::Item& item) -> Result<std::string> {
        const std::string& id = item.id;
        ++reads;
        if (broken) return Fail(Code::kNotFound, "gone");
        return std::string(size, id[0]);
      },
      disk, 10'000);
  Result<Tail> Load(const mime::Plan& plan) {
    Result<Tail> got = Fail(Code::kFatal, "not called");
    tails->Load(kTenant, plan, worker, [&](Result<Tail> loaded) { got = std::move(loaded); });
    disk.Run();
    worker.Run();
    return got;
  }
};

TEST_F(EncodedTest, IsMadeOnceForAllWhoAsk) {
  int told = 0;
  for (int i = 0; i < 5; ++i) tails->Load(kTenant, PlanOf('1'), worker, [&](const Result<Tail>& tail) { told += tail && *tail ? 1 : 0; });
  EXPECT_EQ(told, 0);
  disk.Run();
  EXPECT_EQ(told, 0);  // on the worker, never from within
  worker.Run();
  EXPECT_EQ(told, 5);
  EXPECT_EQ(reads, 1);
  EXPECT_EQ(*Load(PlanOf('1')), tails->Find(kTenant, PlanOf('1')));
  EXPECT_EQ(reads, 1);
  EXPECT_EQ(tails->Find(TenantId(2), PlanOf('1')), nullptr);
  EXPECT_EQ(tails->Find(kTenant, PlanOf('1', "b.png")), nullptr);
}

TEST_F(EncodedTest, KeepsThoseThatWereUsedLast) {
  for (const char digit : {'1', '2'}) ASSERT_TRUE(Load(PlanOf(digit)));
  const Tail held = tails->Find(kTenant, PlanOf('1'));
  ASSERT_TRUE(Load(PlanOf('3')));
  EXPECT_EQ(tails->Find(kTenant, PlanOf('2')), nullptr);
  EXPECT_EQ(tails->Find(kTenant, PlanOf('1')), held);
  EXPECT_LE(tails->bytes(), 10'000u);
  for (char digit = 'a'; digit <= 'f'; ++digit) ASSERT_TRUE(Load(PlanOf(digit)));
  EXPECT_LE(tails->bytes(), 10'000u);
  EXPECT_EQ(tails->Find(kTenant, PlanOf('1')), nullptr);
  EXPECT_FALSE(held->empty());  // who has it keeps it
  size = 50'000;                // larger than the bound: it is kept alone
  ASSERT_TRUE(Load(PlanOf('9')));
  EXPECT_NE(tails->Find(kTenant, PlanOf('9')), nullptr);
  EXPECT_EQ(tails->Find(kTenant, PlanOf('f')), nullptr);
}

TEST_F(EncodedTest, AnAssetThatCannotBeReadIsNamedAndTriedAgain) {
  broken = true;
  const auto failed = Load(PlanOf('1', "price list.pdf"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kRetry);
  EXPECT_NE(failed.error().message.find("price list.pdf"), std::string::npos);
  broken = false;
  EXPECT_TRUE(Load(PlanOf('1', "price list.pdf")));
  EXPECT_EQ(reads, 2);
}

mime::Plan OwnPlanOf(char digit, uint64_t size) {
  mime::Plan plan = PlanOf(digit);
  plan.own = true;
  plan.images.clear();
  plan.attachments = {{std::string(64, digit), *mime::MediaType::Parse("application/pdf"), *mime::FileName::Parse("a.pdf"), "blob", size}};
  return plan;
}

TEST_F(EncodedTest, WhatOneMailHasAloneIsNotKept) {
  const auto first = Load(OwnPlanOf('1', 3000));
  const auto second = Load(OwnPlanOf('1', 3000));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(**first, **second);
  EXPECT_EQ(reads, 2);
  EXPECT_EQ(tails->bytes(), 0u);
}

TEST_F(EncodedTest, TailsOfOneMailEachWaitForRoomInTheirOrder) {
  tails = std::make_shared<EncodedTails>([this](TenantId, const mime::Item&) { return Result<std::string>(std::string(size, 'x')); }, disk,
                                         10'000, 20'000);
  std::vector<std::pair<int, Tail>> got;
  for (int i = 0; i < 5; ++i) {
    tails->Load(kTenant, OwnPlanOf('1', 3000), worker, [&got, i](Result<Tail> tail) { got.emplace_back(i, *std::move(tail)); });
  }
  const auto turn = [this] {
    disk.Run();
    worker.Run();
  };
  turn();
  ASSERT_EQ(got.size(), 3u) << "6,154 bytes at most each";
  got.erase(got.begin());
  turn();
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got.back().first, 3);
  size = 50'000;
  std::optional<Tail> large;
  tails->Load(kTenant, OwnPlanOf('2', 50'000), worker, [&](Result<Tail> tail) { large = *std::move(tail); });
  got.clear();
  turn();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_FALSE(large);
  got.clear();
  turn();
  EXPECT_TRUE(large) << "larger than all the room: alone";
  large.reset();
  turn();
}

TEST_F(EncodedTest, AFileWhoseKeyIsGoneIsNotTriedAgain) {
  broken = true;
  EXPECT_EQ(Load(OwnPlanOf('1', 3000)).error().code, Code::kNotFound);
  mime::Plan asset = OwnPlanOf('1', 3000);
  asset.attachments[0].blob.clear();
  EXPECT_EQ(Load(asset).error().code, Code::kRetry) << "an asset has no key of a person";
}

}  // namespace
}  // namespace maily::smtp
