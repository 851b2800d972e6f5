// Tests which keys sign a mail, where its bounces go to, and that both stay as they were at the first attempt.
#include "processors/effects/smtp/maker.h"

#include <gtest/gtest.h>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/domains/v1/state.pb.h"
#include "processors/effects/smtp/fixture.h"
#include "schemas/sealed.h"
#include "schemas/types.h"
#include "streams/state/key.h"
#include "streams/state/map_kv.h"
#include "streams/state/table.h"

namespace maily::smtp {
namespace {

constexpr TenantId kTenant(1);
constexpr PartitionId kPartition(2);
constexpr uint64_t kCampaign = 7;
constexpr Instant kFirst{1'763'700'000'000'000};

class MakerTest : public testing::Test {
 protected:
  MakerTest() {
    campaigns::v1::CampaignRun run;
    run.mutable_spec()->set_from("Shop <news@mail.Shop.example>");
    run.mutable_template_version()->set_subject("Hello");
    run.mutable_template_version()->set_text("Hello {{ unsubscribe_url }}");
    cache_.Begin();
    state::Table<campaigns::v1::CampaignRun>(cache_).Edit(state::Key(kTenant, kCampaign)) = run;
    cache_.Commit();
    opened_.set_campaign_id(kCampaign);
    opened_.set_ordinal(9);
    opened_.set_address(schema::Seal(kTenant, *keys_.ring->GetOrCreate(kTenant, "contact"), "address", "ada@b.example", keys_.entropy));
  }
  domains::v1::SigningKey Key(const std::string& selector, dkim::Algorithm algorithm, int64_t from_us, int64_t to_us = 0) {
    const dkim::PrivateKey made = dkim::PrivateKey::Generate(algorithm);
    domains::v1::SigningKey key;
    key.set_selector(selector);
    key.set_private_key(
        schema::Seal(kTenant, *keys_.ring->GetOrCreate(kTenant, "domain:shop.example"), "dkim_key", made.ToPem(), keys_.entropy));
    key.set_active_from_us(from_us);
    key.set_active_to_us(to_us);
    return key;
  }
  void Save(const std::string& name, const domains::v1::SigningDomain& domain) {
    cache_.Begin();
    state::Table<domains::v1::SigningDomain>(cache_).Edit(state::Key(kTenant, name)) = domain;
    cache_.Commit();
  }
  Made Make() {
    Made made;
    const auto can = maker_.Make(kTenant, kPartition, opened_, kFirst, cache_, made);
    EXPECT_TRUE(can) << can.error().message;
    return made;
  }
  // "d/s", of each signature from the top.
  static std::vector<std::string> SignaturesOf(const std::string& data) {
    std::vector<std::string> all;
    for (size_t at = data.find("DKIM-Signature:"); at != std::string::npos; at = data.find("DKIM-Signature:", at + 1)) {
      const auto tag = [&](const std::string& name) {
        const size_t begin = data.find(" " + name + "=", at) + name.size() + 2;
        return data.substr(begin, data.find(';', begin) - begin);
      };
      all.push_back(tag("d") + "/" + tag("s"));
    }
    return all;
  }

  Keys keys_;
  state::Disk disk_;
  state::MapKv kv_{disk_};
  state::Cache cache_{kv_, 1 << 20};
  Maker maker_{"https://t.example", {}, *keys_.ring};
  sends::v1::AttemptOpened opened_;
};

TEST_F(MakerTest, WithoutADomainItIsUnsignedAndBouncesGoToFrom) {
  const Made made = Make();
  EXPECT_TRUE(SignaturesOf(made.data).empty());
  EXPECT_EQ(made.mail_from, "news@mail.Shop.example");
  EXPECT_EQ(made.rcpt_to, "ada@b.example");
}

TEST_F(MakerTest, AContactsWordAgainstTrackingIsKeptToSealedOrNot) {
  campaigns::v1::CampaignRun run;
  run.mutable_spec()->set_from("news@shop.example");
  run.mutable_template_version()->set_subject("Hello");
  run.mutable_template_version()->set_text("https://shop.example/ {{ unsubscribe_url }}");
  run.mutable_template_version()->add_links("https://shop.example/");
  cache_.Begin();
  state::Table<campaigns::v1::CampaignRun>(cache_).Edit(state::Key(kTenant, kCampaign)) = run;
  cache_.Commit();
  const auto is_tracked = [this] { return Make().data.find("https://t.example/c/") != std::string::npos; };
  EXPECT_TRUE(is_tracked());
  contacts::v1::Attribute& tracking = *opened_.add_attributes();
  tracking.set_name("tracking");
  tracking.set_boolean(true);
  EXPECT_TRUE(is_tracked());
  tracking.set_boolean(false);
  EXPECT_FALSE(is_tracked());
  tracking.set_sealed(
      schema::Seal(kTenant, *keys_.ring->GetOrCreate(kTenant, "contact"), schema::AttributeFieldId("tracking"), "false", keys_.entropy));
  EXPECT_FALSE(is_tracked());
}

TEST_F(MakerTest, TheNearestDomainAboveSignsWithBothKeysRsaOnTop) {
  domains::v1::SigningDomain domain;
  domain.set_return_path("bounces.shop.example");
  *domain.add_keys() = Key("m1e", dkim::Algorithm::kEd25519Sha256, 1);
  *domain.add_keys() = Key("m1r", dkim::Algorithm::kRsaSha256, 1);
  Save("shop.example", domain);
  Save("example", domain);  // of one label: never looked at
  const Made made = Make();
  EXPECT_EQ(SignaturesOf(made.data), (std::vector<std::string>{"shop.example/m1r", "shop.example/m1e"}));
  EXPECT_TRUE(made.mail_from.ends_with("@bounces.shop.example")) << made.mail_from;
  EXPECT_EQ(DecodeReturnPath(made.mail_from, *keys_.ring).value(), (SendId{kTenant, kPartition, kCampaign, 9}));
  EXPECT_EQ(Make().data, made.data) << "the same bytes on every attempt";
}

TEST_F(MakerTest, AKeySignsWhatWasOpenedWhileItWasActive) {
  domains::v1::SigningDomain domain;
  *domain.add_keys() = Key("m3r", dkim::Algorithm::kRsaSha256, 0);
  *domain.add_keys() = Key("m2r", dkim::Algorithm::kRsaSha256, kFirst.us + 1);
  *domain.add_keys() = Key("m1r", dkim::Algorithm::kRsaSha256, 1, kFirst.us + 1);
  Save("mail.shop.example", domain);
  EXPECT_EQ(SignaturesOf(Make().data), std::vector<std::string>{"mail.shop.example/m1r"});
}

TEST_F(MakerTest, AMailIsNotSentUnsignedBecauseItsKeyCannotBeOpened) {
  domains::v1::SigningDomain domain;
  *domain.add_keys() = Key("m1r", dkim::Algorithm::kRsaSha256, 1);
  Save("shop.example", domain);
  ASSERT_TRUE(keys_.ring->Destroy(kTenant, "domain:shop.example"));
  Made made;
  EXPECT_EQ(maker_.Make(kTenant, kPartition, opened_, kFirst, cache_, made).error().code, Code::kRetry);
}

TEST_F(MakerTest, AReturnPathIsItsOwnKindAndNobodyCanForgeOne) {
  const keyring::TenantKeys& keys = keys_.Of(1);
  const SendId id{kTenant, PartitionId(65535), UINT64_MAX, UINT64_MAX};
  const std::string address = EncodeReturnPath(id, "bounces.shop.example", keys);
  EXPECT_LE(address.find('@'), 64u) << "RFC 5321 §4.5.3.1.1";
  EXPECT_EQ(DecodeReturnPath(address, *keys_.ring).value(), id);
  const std::string message_id = EncodeMessageId(id, "shop.example", keys);
  EXPECT_FALSE(DecodeReturnPath("b" + message_id.substr(2), *keys_.ring)) << "it has another label";
  for (size_t i = 0; i < address.find('@'); ++i) {
    std::string damaged = address;
    damaged[i] = damaged[i] == 'a' ? 'c' : 'a';
    EXPECT_FALSE(DecodeReturnPath(damaged, *keys_.ring)) << i;
  }
}

}  // namespace
}  // namespace maily::smtp
