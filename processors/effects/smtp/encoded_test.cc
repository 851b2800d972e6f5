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
      [this](TenantId, const std::string& id) -> Result<std::string> {
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

}  // namespace
}  // namespace maily::smtp
