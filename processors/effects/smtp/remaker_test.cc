// A mail made again is the one that was made, and where it cannot be made it is said why.
#include "processors/effects/smtp/remaker.h"

#include <gtest/gtest.h>

#include "maily/campaigns/v1/state.pb.h"
#include "processors/effects/smtp/fixture.h"
#include "schemas/asset_store.h"
#include "schemas/sealed.h"
#include "schemas/types.h"
#include "streams/state/key.h"
#include "streams/state/map_kv.h"
#include "streams/state/table.h"

namespace maily::smtp {
namespace {

using Cannot = Remaker::Cannot;

constexpr TenantId kTenant(1);
constexpr PartitionId kPartition(2);
constexpr uint64_t kCampaign = 7;
constexpr Instant kFirst{1'763'700'000'000'000};

class RemakerTest : public testing::Test {
 protected:
  RemakerTest() {
    campaigns::v1::CampaignRun run;
    run.mutable_spec()->set_from("Shop <news@shop.example>");
    run.mutable_template_version()->set_subject("Hello");
    run.mutable_template_version()->set_text("Hello {{ unsubscribe_url }}");
    auto& used = *run.mutable_template_version()->add_assets();
    used.set_asset(schema::AssetDigest(schema::AssetId("%PDF")));
    used.set_content_type("application/pdf");
    used.set_file_name("list.pdf");
    used.set_use(templates::v1::UsedAsset::ATTACHED);
    cache_.Begin();
    state::Table<campaigns::v1::CampaignRun>(cache_).Edit(state::Key(kTenant, kCampaign)) = run;
    cache_.Commit();
    sent_.tenant = kTenant;
    sent_.first_opened_at = kFirst;
    sent_.opened.set_campaign_id(kCampaign);
    sent_.opened.set_ordinal(9);
    sent_.opened.set_address(schema::Seal(kTenant, *keys_.ring->GetOrCreate(kTenant, "ann"), "address", "ann@b.example", keys_.entropy));
    tails_ = std::make_shared<EncodedTails>(
        [this](TenantId, const mime::Item&) -> Result<std::string> {
          if (gone_) return Fail(Code::kNotFound, "the folder is not mounted");
          return std::string("%PDF");
        },
        disk_);
    remaker_ = std::make_unique<Remaker>(
        Remaker::Options{.tracking_base_url = "https://t.example", .returns = {}, .keyring = keys_.ring.get(), .tails = tails_});
  }
  std::unique_ptr<effects::Effect> Lead() {
    auto window = remaker_->MakeWindow(executor_);
    window->Lead({.partition = kPartition, .epoch = Epoch(1), .position = {}, .cache = &cache_, .credits = nullptr});
    return window;
  }
  Remaker::Remade Make() {
    std::optional<Remaker::Remade> made;
    remaker_->Make(kPartition, sent_, [&](Remaker::Remade one) { made = std::move(one); });
    Turn();
    EXPECT_TRUE(made.has_value());
    return made.value_or(Remaker::Remade{});
  }
  void Turn() {
    executor_.Run();
    disk_.Run();
    executor_.Run();
  }

  Keys keys_;
  state::Disk state_disk_;
  state::MapKv kv_{state_disk_};
  state::Cache cache_{kv_, 1 << 20};
  ManualExecutor executor_, disk_;
  bool gone_ = false;
  std::shared_ptr<EncodedTails> tails_;
  std::unique_ptr<Remaker> remaker_;
  Remaker::Sent sent_;
};

TEST_F(RemakerTest, MakesTheBytesThatWereMade) {
  const auto window = Lead();
  const auto made = Make();
  ASSERT_EQ(made.cannot, Cannot::kNothing) << made.why;
  Maker maker("https://t.example", {}, *keys_.ring, tails_);
  Made sent;
  ASSERT_TRUE(maker.Make(kTenant, kPartition, sent_.opened, kFirst, cache_, sent));
  EXPECT_EQ(made.bytes, sent.data + *sent.tail);
  EXPECT_EQ(made.digest, MailDigest(sent));
  sent_.first_opened_at = kFirst + Seconds(1);
  EXPECT_NE(Make().digest, made.digest) << "it has another date";
}

TEST_F(RemakerTest, WhoseKeyIsGoneHasNoMailAnyMore) {
  const auto window = Lead();
  ASSERT_TRUE(keys_.ring->Destroy(kTenant, "ann"));
  const auto made = Make();
  EXPECT_EQ(made.cannot, Cannot::kErased);
  EXPECT_TRUE(made.bytes.empty() && made.digest.empty());
}

TEST_F(RemakerTest, WhatItEnclosedMayBeGone) {
  const auto window = Lead();
  gone_ = true;
  const auto made = Make();
  EXPECT_EQ(made.cannot, Cannot::kFilesGone);
  EXPECT_NE(made.why.find("list.pdf"), std::string::npos) << made.why;
  sent_.opened.set_campaign_id(8);
  EXPECT_EQ(Make().cannot, Cannot::kOther) << "no such campaign";
}

TEST_F(RemakerTest, OnlyWhoLeadsThePartitionCanSay) {
  EXPECT_EQ(Make().cannot, Cannot::kElsewhere);
  auto window = Lead();
  std::optional<Remaker::Remade> made;
  remaker_->Make(kPartition, sent_, [&](Remaker::Remade one) { made = std::move(one); });
  executor_.Run();
  window->Stop();  // while a file is read
  Turn();
  ASSERT_TRUE(made);
  EXPECT_EQ(made->cannot, Cannot::kElsewhere);
  EXPECT_EQ(Make().cannot, Cannot::kElsewhere);
  window = Lead();
  EXPECT_EQ(Make().cannot, Cannot::kNothing);
}

}  // namespace
}  // namespace maily::smtp
