// Files that messages enclose, and their mails made again.
#include "api/attachments.h"

#include "api/asset_sweep.h"
#include "maily/sends/v1/commands.pb.h"
#include "schemas/message_id.h"
#include "streams/adapters/sim/sim_blobs.h"
#include "streams/base/base64.h"
#include "tests/api/client.h"

namespace maily::api {
namespace {

const std::string kPdf = "%PDF-1.7 invoice of Ann";

class AttachmentsTest : public ApiTest {
 protected:
  AttachmentsTest()
      : store_(blobs_, *world_.keyring, world_.scheduler.clock(), world_.scheduler.entropy()),
        attachments_(blobs_, *world_.keyring, world_.scheduler.clock(), world_.scheduler.entropy()) {
    dependencies_.assets = {.store = &store_,
                            .attachments = &attachments_,
                            .bytes_max = 3000,
                            .mail_bytes_max = 20'000,
                            .types = {"image/png", "application/pdf"}};
    dependencies_.remake_mail = [this](const SentMailSource& source) -> Result<SentMail> {
      asked_ = source;
      return remade_;
    };
    router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
    EXPECT_EQ(Ask(Method::kPut, "/v1/settings", json{{"senders", {"a@shop.example"}}, {"postal_address", "1 Main St"}}.dump()).status, 200);
    EXPECT_EQ(Post("/v1/templates", {{"name", "receipt"}, {"subject", "s"}, {"text", "Thanks"}, {"message_class", "transactional"}}).status,
              201);
  }
  ~AttachmentsTest() override { world_.scheduler.RunFor(Seconds(1)); }

  static json File(const std::string& bytes, const std::string& name = "Invoice 7.pdf", const std::string& type = "application/pdf") {
    return {{"content", ToBase64(bytes)}, {"content_type", type}, {"file_name", name}};
  }
  static json Message(const json& attachments, const std::string& to = "ann@shop.example") {
    return {{"to", to}, {"template", "receipt"}, {"attachments", attachments}};
  }
  // Of the blobs of attachments.
  std::vector<std::string> Stored() {
    std::vector<std::string> names;
    for (const auto& [name, bytes] : blobs_.content()) {
      if (name.starts_with("attachments/")) names.push_back(name);
    }
    return names;
  }
  AssetSweep::Round SweepNow(Duration age) {
    AssetSweep sweep(dependencies_, {.mine = [] { return false; }, .age = age, .attachment_age = age});
    std::optional<AssetSweep::Round> round;
    sweep.Sweep([&](const AssetSweep::Round& one) { round = one; });
    EXPECT_TRUE(world_.Until([&] { return round.has_value(); }));
    return round.value_or(AssetSweep::Round{});
  }
  // The message of that id is sent, and received.
  void Deliver(const std::string& id) {
    for (auto& [partition, credits] : world_.credits) credits->Grant(schema::MessageCredits(schema::RelayCredits(SimApi::kTenant)), 1);
    world_.scheduler.RunFor(Seconds(5));
    sends::v1::RecordAttempt record;
    record.set_campaign_id(std::stoull(id));
    record.set_attempt(1);
    record.set_result(sends::v1::DELIVERED);
    gateway::Order order = gateway::PlainOrder(record, "");
    order.partition = schema::UnpackMessageId(record.campaign_id()).partition;
    std::optional<gateway::Verdict> verdict;
    world_.gateway->Submit({SimApi::kTenant, "test", {}}, order, Seconds(60), [&](gateway::Verdict v) { verdict = std::move(v); });
    EXPECT_TRUE(world_.Until([&] { return verdict.has_value(); }));
    EXPECT_EQ(verdict->outcome, gateway::Outcome::kDone) << verdict->answer;
  }
  // Where a refusal says that it is wrong.
  static std::string PathOf(const Said& said) {
    return said.body["details"].empty() ? "" : said.body["details"][0]["path"].get<std::string>();
  }

  sim::SimBlobs blobs_{world_.scheduler};
  schema::AssetStore store_;
  schema::AttachmentStore attachments_;
  SentMailSource asked_;
  SentMail remade_;
};

TEST_F(AttachmentsTest, AFileIsSealedInItsBlobBeforeTheAnswer) {
  http::Headers type;
  type.Add("content-type", "application/pdf");
  ASSERT_EQ(Ask(Method::kPost, "/v1/assets?name=terms.pdf", "%PDF-terms", type).status, 201);
  const Said posted = Post("/v1/messages", Message(json::array({json{{"asset", "terms.pdf"}, {"file_name", "Terms.pdf"}}, File(kPdf)})));
  ASSERT_EQ(posted.status, 202) << posted.body;
  const auto stored = Stored();
  ASSERT_EQ(stored.size(), 1u);
  EXPECT_EQ(attachments_.Get(SimApi::kTenant, stored[0]).value(), kPdf);
  EXPECT_EQ(blobs_.content().at(stored[0]).find("invoice"), std::string::npos);
  Show(posted);
  EXPECT_EQ(Get("/v1/messages/" + posted.body["id"].get<std::string>()).body["attachments"], 2);
  // What a message enclosed is not deleted.
  const Said deleted = Ask(Method::kDelete, "/v1/assets/" + schema::AssetId("%PDF-terms"));
  EXPECT_EQ(deleted.status, 409) << deleted.body;
  EXPECT_EQ(deleted.body["code"], "asset_in_use");
  // Whoever it is of has a key, and nothing else opens it.
  const auto address = schema::ParseAddress("ann@shop.example");
  ASSERT_TRUE(
      world_.keyring->Destroy(SimApi::kTenant, schema::ContactKey(*world_.keyring->Tenant(SimApi::kTenant).value(), address->normalised)));
  EXPECT_EQ(attachments_.Get(SimApi::kTenant, stored[0]).error().code, Code::kNotFound);
}

TEST_F(AttachmentsTest, AnIdempotencyKeyGivesTheFirstAnswerWhereverItsFilesAre) {
  http::Headers key;
  key.Add("idempotency-key", "k1");
  const Said first = Post("/v1/messages", Message(json::array({File(kPdf)})), key);
  ASSERT_EQ(first.status, 202) << first.body;
  world_.scheduler.RunFor(Seconds(5));
  const Said again = Post("/v1/messages", Message(json::array({File(kPdf)})), key);
  EXPECT_EQ(again.status, 202) << again.body;
  EXPECT_EQ(again.body["id"], first.body["id"]);
  EXPECT_EQ(Post("/v1/messages", Message(json::array({File(kPdf + "x")})), key).status, 422) << "another file";
  EXPECT_EQ(Post("/v1/messages", Message(json::array({File(kPdf, "Other.pdf")})), key).status, 422);
}

TEST_F(AttachmentsTest, WhatIsNotTakenIsRefusedWithItsPlaceAndLeavesNothing) {
  const auto refused = [this](const json& attachments, int status, const std::string& path, const std::string& code) {
    const Said said = Post("/v1/messages", Message(attachments));
    EXPECT_EQ(said.status, status) << said.body;
    EXPECT_EQ(PathOf(said), path) << said.body;
    const std::string told = status == 413 ? said.body["code"].get<std::string>() : said.body["details"][0]["code"].get<std::string>();
    EXPECT_EQ(told, code) << said.body;
  };
  const json fine = File(kPdf);
  refused(json::array({fine, File(std::string("%PDF-") + std::string(3000, 'x'))}), 413, "/attachments/1/content", "body_too_large");
  json many = json::array();
  for (int i = 0; i < 6; ++i) many.push_back(File(std::string("%PDF-") + std::string(2900, 'x')));
  refused(many, 413, "/attachments", "body_too_large");
  many = json::array();
  for (int i = 0; i < 11; ++i) many.push_back(fine);
  refused(many, 422, "/attachments", "too_many");
  refused(json::array({File("not a PDF")}), 422, "/attachments/0/content", "asset_type_refused");
  refused(json::array({File(kPdf, "a.pdf", "image/svg+xml")}), 422, "/attachments/0/content_type", "asset_type_refused");
  refused(json::array({File(kPdf, "../a.pdf")}), 422, "/attachments/0/file_name", "invalid_name");
  json wrong = fine;
  wrong["content"] = "JVBERi0";
  refused(json::array({wrong}), 422, "/attachments/0/content", "invalid_base64");
  refused(json::array({json{{"asset", "terms.pdf"}, {"content", "JVBERi0xLjcK"}}}), 422, "/attachments/0/asset", "missing");
  refused(json::array({json::object()}), 422, "/attachments/0/asset", "missing");
  wrong = fine;
  wrong["fil_name"] = "x";
  refused(json::array({wrong}), 422, "/attachments/0/fil_name", "unknown_field");
  EXPECT_TRUE(Stored().empty());
  // Known to the home alone.
  refused(json::array({json{{"asset", "nothing.pdf"}}}), 422, "/attachments", "asset_missing");
  json nearly = json::array();
  for (int i = 0; i < 3; ++i) nearly.push_back(File(std::string("%PDF-") + std::string(2900, 'x')));
  const Said large = Post("/v1/messages", Message(nearly));
  EXPECT_EQ(large.status, 202) << large.body;
  dependencies_.assets.mail_bytes_max = 16'000;  // they fit, with the rest of the mail they do not
  router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
  EXPECT_EQ(Post("/v1/messages", Message(nearly)).body["code"], "mail_too_large");
}

TEST_F(AttachmentsTest, ADryRunAndAPlaceThatIsFullLeaveNothing) {
  EXPECT_EQ(Post("/v1/messages?dry_run=true", Message(json::array({File(kPdf)}))).status, 200);
  EXPECT_TRUE(blobs_.content().empty());
  blobs_.faults().put_fails = 1;
  EXPECT_EQ(Post("/v1/messages", Message(json::array({File(kPdf)}))).status, 503);
  dependencies_.assets.attachments = nullptr;
  router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
  EXPECT_EQ(Post("/v1/messages", Message(json::array({File(kPdf)}))).status, 501);
  EXPECT_EQ(Post("/v1/messages", {{"to", "ann@shop.example"}, {"template", "receipt"}}).status, 202);
}

TEST_F(AttachmentsTest, TheSweepTakesWhatNoMessageNeedsAnyMore) {
  const Said pending = Post("/v1/messages", Message(json::array({File(kPdf)})));
  ASSERT_EQ(pending.status, 202);
  const auto needed = Stored();
  ASSERT_EQ(Post("/v1/suppressions", {{"email", "bob@shop.example"}}).status, 200);
  const Said settled = Post("/v1/messages", Message(json::array({File(kPdf), File(kPdf)}), "bob@shop.example"));
  EXPECT_EQ(settled.status, 200) << settled.body;
  const auto key = world_.keyring->GetOrCreate(SimApi::kTenant, "cid").value();
  const std::string orphan = *attachments_.Put(SimApi::kTenant, PartitionId(0), key, "of a request that was cut off");
  ASSERT_EQ(Stored().size(), 4u);
  EXPECT_EQ(SweepNow(Hours(24)).removed, 0u) << "they are young";
  world_.scheduler.RunFor(Hours(2));
  const AssetSweep::Round round = SweepNow(Hours(1));
  EXPECT_EQ(round.removed, 3u);
  EXPECT_TRUE(round.complete);
  EXPECT_EQ(Stored(), needed);
  EXPECT_FALSE(blobs_.content().contains(orphan));
  EXPECT_EQ(SweepNow(Hours(1)).removed, 0u);
  Deliver(pending.body["id"]);
  EXPECT_EQ(SweepNow(Hours(1)).removed, 1u);
  EXPECT_TRUE(Stored().empty());
}

TEST_F(AttachmentsTest, AMailThatWasNotSentCannotBeMadeAgain) {
  const Said posted = Post("/v1/messages", Message(json::array({File(kPdf)})));
  const std::string at = "/v1/messages/" + posted.body["id"].get<std::string>() + "/mail";
  const Said none = Get(at);
  EXPECT_EQ(none.status, 409);
  EXPECT_EQ(none.body["code"], "mail_not_sent");
  EXPECT_EQ(Get("/v1/messages/1/mail").status, 404);
  EXPECT_EQ(Get("/v1/messages/4611686018427387999/mail").status, 404);
  EXPECT_EQ(Get("/v1/campaigns/1/sends/1/mail").status, 404);
  as_ = NewKey(SimApi::kTenant, "read");
  EXPECT_EQ(Get(at).status, 403) << "its links are live";
  as_ = "";
  dependencies_.remake_mail = {};
  router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
  EXPECT_EQ(Get(at).status, 501);
}

TEST_F(AttachmentsTest, AMailIsMadeAgainOfWhatTheJournalSaysAndComparedByItsHash) {
  const Said posted = Post("/v1/messages", Message(json::array({File(kPdf)})));
  for (auto& [partition, credits] : world_.credits) credits->Grant(schema::MessageCredits(schema::RelayCredits(SimApi::kTenant)), 1);
  const std::string at = "/v1/messages/" + posted.body["id"].get<std::string>();
  world_.scheduler.RunFor(Seconds(5));
  ASSERT_EQ(Get(at).body["status"], "open");
  remade_ = {.cannot = {}, .why = {}, .recorded = {}, .bytes = "Subject: s\r\n", .digest = schema::AssetDigest(schema::AssetId("a"))};
  const Said open = Get(at + "/mail");
  ASSERT_EQ(open.status, 200) << open.body;
  EXPECT_TRUE(open.body["same"].is_null() && open.body["sent_sha256"].is_null());
  EXPECT_EQ(open.body["sha256"], schema::AssetId("a"));
  EXPECT_EQ(open.body["attempt"], 1);
  EXPECT_EQ(open.body["mail"], "Subject: s\r\n");
  EXPECT_TRUE(open.body["contact_id"].is_null());
  EXPECT_FALSE(asked_.ended);
  EXPECT_TRUE(asked_.accepted);
  EXPECT_LT(*asked_.accepted, asked_.opened);
  remade_.recorded = remade_.digest;
  EXPECT_EQ(Get(at + "/mail").body["same"], true);
  remade_.recorded = schema::AssetDigest(schema::AssetId("b"));
  const Said other = Get(at + "/mail");
  EXPECT_EQ(other.body["same"], false);
  EXPECT_NE(other.body["why"].get<std::string>().find("tracking_base_url"), std::string::npos);
  for (const auto& [code, status] : std::vector<std::pair<std::string, int>>{
           {"mail_erased", 410}, {"mail_files_gone", 410}, {"led_elsewhere", 503}, {"mail_not_made", 409}}) {
    remade_ = {.cannot = code, .why = "so it is", .recorded = {}, .bytes = {}, .digest = {}};
    const Said refused = Get(at + "/mail");
    EXPECT_EQ(refused.status, status) << refused.body;
    EXPECT_EQ(refused.body["code"], code);
  }
}

}  // namespace
}  // namespace maily::api
