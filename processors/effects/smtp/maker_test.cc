// Tests which keys sign a mail, where its bounces go to, and that both stay as they were at the first attempt.
#include "processors/effects/smtp/maker.h"

#include <gtest/gtest.h>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/domains/v1/state.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "processors/effects/smtp/fixture.h"
#include "processors/effects/smtp/send_id.h"
#include "schemas/asset_store.h"
#include "schemas/message_id.h"
#include "schemas/sealed.h"
#include "schemas/tracking_id.h"
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

TEST_F(MakerTest, AMessageHasWhatItWasPostedWithAndNoOptOutInItsHeader) {
  const uint64_t id = schema::PackMessageId({kPartition, 5});
  messages::v1::HeldForm held;
  held.mutable_form()->set_from("Shop <receipts@shop.example>");
  auto& version = *held.mutable_form()->mutable_template_version();
  version.set_subject("Order {{ variables.order }}");
  version.set_text("{{ variables.lines[0].name }} https://shop.example/");
  version.add_links("https://shop.example/");
  messages::v1::MessageContent content;
  content.set_variables(R"({"order":"A-7","lines":[{"name":"tea"}]})");
  content.set_reply_to("Help <help@shop.example>");
  content.set_subject_prefix("[test] ");
  content.add_headers()->set_name("References");
  content.mutable_headers(0)->set_value("<a-mail-that-came-before-this-one-and-has-a-long-id-of-its-own@shop.example>");
  messages::v1::Message message;
  message.set_form_id(3);
  message.set_trace(std::string(16, 'a'));
  const auto key = *keys_.ring->GetOrCreate(kTenant, "contact");
  message.set_content(schema::Seal(kTenant, key, "message", content.SerializeAsString(), keys_.entropy));
  cache_.Begin();
  state::Table<messages::v1::HeldForm>(cache_).Edit(state::Key(kTenant, uint64_t{3})) = held;
  state::Table<messages::v1::Message>(cache_).Edit(state::Key(kTenant, id)) = message;
  cache_.Commit();
  opened_.set_campaign_id(id);
  opened_.set_ordinal(0);
  const std::string mail = Make().data;
  for (const char* part : {"Subject: [test] Order A-7\r\n", "\r\nReply-To: Help <help@shop.example>\r\n", "tea https://t.example/c/",
                           "\r\nReferences: <a-mail-that-came-before-this-one-and-has-a-long-id-of-its-own@shop.example>\r\n",
                           "\r\nX-Maily-Trace: 61616161616161616161616161616161\r\n", "\r\nFeedback-ID: f3:t1:message:maily\r\n"}) {
    EXPECT_NE(mail.find(part), std::string::npos) << part << mail;
  }
  for (const char* part : {"List-Unsubscribe", "List-ID"}) EXPECT_EQ(mail.find(part), std::string::npos) << part;
  EXPECT_EQ(Make().data, mail) << "the same bytes on every attempt";
  const size_t at = mail.find("Message-ID: ") + 12;
  const auto send = DecodeMessageId(mail.substr(at, mail.find('>', at) + 1 - at), *keys_.ring);
  ASSERT_TRUE(send);
  EXPECT_EQ(*send, (SendId{kTenant, kPartition, id, 0}));
}

TEST_F(MakerTest, TheMailOfAnArmIsMadeOfItsTemplateWithLinksBehindThoseOfTheCampaign) {
  campaigns::v1::CampaignRun run;
  run.mutable_spec()->set_from("Shop <news@mail.Shop.example>");
  run.mutable_spec()->set_template_id(1);
  run.mutable_spec()->add_arms()->set_name("a");
  run.mutable_spec()->add_arms()->set_template_id(2);
  run.mutable_spec()->add_arms()->set_template_id(2);
  run.mutable_spec()->mutable_arms(2)->set_subject("Look");
  run.mutable_spec()->add_arms()->set_template_id(3);
  run.mutable_template_version()->set_subject("Long");
  run.mutable_template_version()->set_text("long https://shop.example/ {{ unsubscribe_url }}");
  run.mutable_template_version()->add_links("https://shop.example/");
  templates::v1::PinnedTemplate pinned;
  pinned.set_first_link(1);
  pinned.mutable_version()->set_subject("Short");
  pinned.mutable_version()->set_text("short https://shop.example/2 {{ unsubscribe_url }}");
  pinned.mutable_version()->add_links("https://shop.example/2");
  cache_.Begin();
  state::Table<campaigns::v1::CampaignRun>(cache_).Edit(state::Key(kTenant, kCampaign)) = run;
  state::Table<templates::v1::PinnedTemplate>(cache_).Edit(state::Key(kTenant, kCampaign, uint64_t{2})) = pinned;
  cache_.Commit();
  const auto link_of = [&](const std::string& mail) {
    const size_t at = mail.find("https://t.example/c/") + 20;
    return schema::DecodeTrackingId(mail.substr(at, mail.find_first_of(" \r\n", at) - at), *keys_.ring)->link;
  };
  const auto expect = [&](uint32_t arm, const char* subject, const char* text, uint32_t link) {
    SCOPED_TRACE(arm);
    opened_.set_arm(arm);
    const std::string mail = Make().data;
    EXPECT_NE(mail.find(std::string("Subject: ") + subject + "\r\n"), std::string::npos) << mail;
    EXPECT_NE(mail.find(text), std::string::npos) << mail;
    EXPECT_EQ(link_of(mail), link);
  };
  expect(0, "Long", "long https", 0);
  expect(1, "Short", "short https", 1);
  expect(2, "Look", "short https", 1);
  opened_.set_arm(3);
  Made made;
  EXPECT_FALSE(maker_.Make(kTenant, kPartition, opened_, kFirst, cache_, made)) << "its template is not here";
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

TEST_F(MakerTest, ImagesAndAttachmentsAreSharedAndSigned) {
  const std::string logo = "\x89PNG picture", list = "%PDF list";
  campaigns::v1::CampaignRun run;
  run.mutable_spec()->set_from("Shop <news@mail.Shop.example>");
  auto& version = *run.mutable_template_version();
  version.set_subject("Hello");
  version.set_html("<img src=\"cid:logo.png\"><img src='asset:sky.png'><img src='cid:other'>{{ unsubscribe_url }}");
  const auto use = [&](std::string_view bytes, const std::string& name, const std::string& type, templates::v1::UsedAsset::Use how) {
    auto& used = *version.add_assets();
    used.set_asset(schema::AssetDigest(schema::AssetId(bytes)));
    used.set_name(name);
    used.set_content_type(type);
    used.set_use(how);
    used.set_file_name(name);
  };
  use(logo, "logo.png", "image/png", templates::v1::UsedAsset::RELATED);
  use("sky", "sky.png", "image/png", templates::v1::UsedAsset::HOSTED);
  use(list, "list.pdf", "application/pdf", templates::v1::UsedAsset::ATTACHED);
  cache_.Begin();
  state::Table<campaigns::v1::CampaignRun>(cache_).Edit(state::Key(kTenant, kCampaign)) = run;
  cache_.Commit();
  domains::v1::SigningDomain domain;
  *domain.add_keys() = Key("m1r", dkim::Algorithm::kRsaSha256, 1);
  Save("shop.example", domain);

  ManualExecutor disk;
  auto tails = std::make_shared<EncodedTails>(
      [&](TenantId, const mime::Item& item) -> Result<std::string> {
        const std::string& id = item.id;
        if (id == schema::AssetId(logo)) return logo;
        if (id == schema::AssetId(list)) return list;
        return Fail(Code::kNotFound, "no such asset");
      },
      disk);
  Maker maker("https://t.example", {}, *keys_.ring, tails);
  const mime::Plan* plan = maker.Lacks(kTenant, kCampaign, 0, cache_);
  ASSERT_NE(plan, nullptr);
  Made made;
  EXPECT_EQ(maker.Make(kTenant, kPartition, opened_, kFirst, cache_, made).error().code, Code::kRetry);
  Tail loaded;
  tails->Load(kTenant, *plan, disk, [&](Result<Tail> tail) { loaded = tail.value(); });
  disk.Run();
  EXPECT_EQ(maker.Lacks(kTenant, kCampaign, 0, cache_), nullptr);
  ASSERT_TRUE(maker.Make(kTenant, kPartition, opened_, kFirst, cache_, made));
  EXPECT_EQ(made.tail, loaded) << "one for all mails";
  EXPECT_EQ(SignaturesOf(made.data), std::vector<std::string>{"shop.example/m1r"});
  // Signed as the whole that the receiver gets.
  const auto signature_of = [](const std::string& data) { return data.substr(data.find("bh="), 48); };
  const std::string unsigned_head = made.data.substr(made.data.find("Date: "));
  EXPECT_NE(signature_of(made.data).find(dkim::Prepare(unsigned_head + *made.tail).body_hash), std::string::npos);
  std::string html = made.data;
  for (size_t at; (at = html.find("=\r\n")) != std::string::npos;) html.erase(at, 3);
  for (size_t at; (at = html.find("=3D")) != std::string::npos;) html.replace(at, 3, "=");
  EXPECT_NE(html.find("<img src=\"cid:" + mime::ContentId(schema::AssetId(logo), "mail.shop.example") + "\">"), std::string::npos) << html;
  EXPECT_NE(html.find("<img src='https://t.example/a/1/" + schema::AssetId("sky") + "'>"), std::string::npos) << html;
  EXPECT_NE(html.find("<img src='cid:other'>"), std::string::npos) << html;
  EXPECT_NE(made.tail->find("Content-ID: <" + mime::ContentId(schema::AssetId(logo), "mail.shop.example") + ">"), std::string::npos);
  Made second;
  ASSERT_TRUE(maker.Make(kTenant, kPartition, opened_, kFirst, cache_, second));
  EXPECT_EQ(second.data, made.data) << "the same bytes on every attempt";
}

TEST_F(MakerTest, AMessageEnclosesFilesOfItsOwnBehindThoseOfItsTemplate) {
  const uint64_t id = schema::PackMessageId({kPartition, 5});
  const std::string terms = "%PDF terms", invoice = "%PDF invoice";
  messages::v1::HeldForm held;
  held.mutable_form()->set_from("Shop <receipts@shop.example>");
  auto& version = *held.mutable_form()->mutable_template_version();
  version.set_subject("Your order");
  version.set_text("Thanks");
  auto& used = *version.add_assets();
  used.set_asset(schema::AssetDigest(schema::AssetId(terms)));
  used.set_content_type("application/pdf");
  used.set_file_name("Terms.pdf");
  used.set_use(templates::v1::UsedAsset::ATTACHED);
  messages::v1::MessageContent content;
  auto& own = *content.add_attachments();
  own.set_digest(schema::AssetDigest(schema::AssetId(invoice)));
  own.set_content_type("application/pdf");
  own.set_file_name("Invoice.pdf");
  own.set_size(invoice.size());
  own.set_blob("the blob");
  messages::v1::Message message;
  message.set_form_id(3);
  message.set_attachments(1);
  const auto key = *keys_.ring->GetOrCreate(kTenant, "contact");
  const std::string sealed = schema::Seal(kTenant, key, "message", content.SerializeAsString(), keys_.entropy);
  message.set_content(sealed);
  const auto save = [&] {
    cache_.Begin();
    state::Table<messages::v1::HeldForm>(cache_).Edit(state::Key(kTenant, uint64_t{3})) = held;
    state::Table<messages::v1::Message>(cache_).Edit(state::Key(kTenant, id)) = message;
    cache_.Commit();
  };
  save();
  opened_.set_campaign_id(id);
  opened_.set_ordinal(0);
  ManualExecutor disk;
  std::vector<std::string> read;
  auto tails = std::make_shared<EncodedTails>(
      [&](TenantId, const mime::Item& item) -> Result<std::string> {
        read.push_back(item.blob);
        return item.blob.empty() ? terms : invoice;
      },
      disk);
  const auto make = [&](const std::string* said) {
    Maker maker("https://t.example", {}, *keys_.ring, tails);
    const mime::Plan* plan = maker.Lacks(kTenant, id, 0, cache_, said);
    Made made;
    EXPECT_NE(plan, nullptr);
    if (plan == nullptr) return made;
    Tail loaded;
    tails->Load(kTenant, *plan, disk, [&](Result<Tail> tail) { loaded = tail.value(); });
    disk.Run();
    EXPECT_TRUE(maker.Make(kTenant, kPartition, opened_, kFirst, cache_, made, loaded, said));
    return made;
  };
  const Made first = make(nullptr);
  EXPECT_EQ(read, (std::vector<std::string>{"", "the blob"}));
  ASSERT_NE(first.tail, nullptr);
  EXPECT_LT(first.tail->find("Terms.pdf"), first.tail->find("Invoice.pdf"));
  EXPECT_NE(first.data.find("Content-Type: multipart/mixed"), std::string::npos) << first.data;
  EXPECT_EQ(MailDigest(first), schema::AssetDigest(schema::AssetId(first.data + *first.tail)));
  const Made second = make(nullptr);
  EXPECT_EQ(second.data + *second.tail, first.data + *first.tail) << "the same bytes on every attempt";
  // Settled: the state has no content any more, and the journal does.
  message.clear_content();
  save();
  const Made later = make(&sealed);
  EXPECT_EQ(MailDigest(later), MailDigest(first));
  Maker maker("https://t.example", {}, *keys_.ring, tails);
  Made unmade;
  EXPECT_EQ(maker.Make(kTenant, kPartition, opened_, kFirst, cache_, unmade, nullptr, &sealed).error().code, Code::kRetry);
  ASSERT_TRUE(keys_.ring->Destroy(kTenant, "contact"));
  EXPECT_EQ(maker.Lacks(kTenant, id, 0, cache_, &sealed), nullptr);
  EXPECT_EQ(maker.Make(kTenant, kPartition, opened_, kFirst, cache_, unmade, nullptr, &sealed).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace maily::smtp
