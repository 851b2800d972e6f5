// Uploads, what is refused of them, the public address, and the sweep.
#include "api/assets.h"

#include "api/asset_sweep.h"
#include "streams/adapters/sim/sim_blobs.h"
#include "tests/api/client.h"

namespace maily::api {
namespace {

const std::string kPng = std::string("\x89PNG\r\n\x1A\n", 8) + "picture";

class AssetsTest : public ApiTest {
 protected:
  AssetsTest() : store_(blobs_, *world_.keyring, world_.scheduler.clock(), world_.scheduler.entropy()) {
    dependencies_.assets = {.store = &store_, .bytes_max = 1000, .mail_bytes_max = 10'000, .types = {"image/png", "application/pdf"}};
    dependencies_.tracking_base_url = "https://t.example";
    dependencies_.warnings_of = [](std::string_view html) {
      return html.empty() ? std::vector<TemplateWarning>()
                          : std::vector<TemplateWarning>{{"missing_alt", "html:1:1", "This image has no alt."}};
    };
    router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
  }
  // What was posted reaches the store before it goes.
  ~AssetsTest() override { world_.scheduler.RunFor(Seconds(1)); }

  Said Upload(const std::string& name, const std::string& bytes, const std::string& type = "image/png", http::Headers headers = {}) {
    headers.Add("content-type", type);
    return Ask(Method::kPost, "/v1/assets?name=" + name, bytes, std::move(headers));
  }
  Said Save(const std::string& html) {
    return Post("/v1/templates", {{"name", "news"}, {"subject", "s"}, {"html", html + "{{ unsubscribe_url }} {{ postal_address }}"}});
  }
  AssetSweep::Round SweepNow(Duration age) {
    AssetSweep sweep(dependencies_, {.mine = [] { return false; }, .age = age});
    std::optional<AssetSweep::Round> round;
    sweep.Sweep([&](const AssetSweep::Round& one) { round = one; });
    EXPECT_TRUE(world_.Until([&] { return round.has_value(); }));
    return round.value_or(AssetSweep::Round{});
  }

  sim::SimBlobs blobs_{world_.scheduler};
  schema::AssetStore store_;
};

TEST_F(AssetsTest, AnUploadIsServedForEverUnderItsHash) {
  const Said made = Upload("logo.png", kPng, "image/png; charset=binary");
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string id = schema::AssetId(kPng);
  EXPECT_EQ(made.body["id"], id);
  EXPECT_EQ(made.body["url"], "https://t.example/a/1/" + id);
  EXPECT_FALSE(made.body.contains("blob"));
  const Said again = Upload("logo.png", kPng);
  EXPECT_EQ(again.status, 200);
  EXPECT_TRUE(world_.Until([&] { return blobs_.content().size() == 1; })) << "the second copy is not kept";

  as_ = "nobody's";
  const Said got = Ask(Method::kGet, "/a/1/" + id);
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.response.body, kPng);
  EXPECT_EQ(got.response.headers["content-type"], "image/png");
  EXPECT_EQ(got.response.headers["cache-control"], "public, max-age=31536000, immutable");
  EXPECT_EQ(got.response.headers["etag"], "\"" + id + "\"");
  EXPECT_EQ(got.response.headers["x-content-type-options"], "nosniff");
  EXPECT_EQ(got.response.headers["content-disposition"], "");
  http::Headers known;
  known.Add("if-none-match", "\"" + id + "\"");
  const Said same = Ask(Method::kGet, "/a/1/" + id, "", known);
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.response.body, "");
  for (const std::string& none : {"/a/2/" + id, "/a/1/" + schema::AssetId("x"), "/a/1/x" + id.substr(1), "/a/x/" + id, "/a/-1/" + id}) {
    const Said missing = Ask(Method::kGet, none);
    EXPECT_EQ(missing.status, 404) << none;
    EXPECT_EQ(missing.response.headers["cache-control"], "no-store");
  }
}

TEST_F(AssetsTest, ServingNeedsNoReadModel) {
  const Said made = Upload("list.pdf", "%PDF-1.7", "application/pdf");
  ASSERT_EQ(made.status, 201);
  world_.views->SetLive("campaigns", "");
  EXPECT_EQ(Get("/v1/assets").status, 503);
  const Said got = Ask(Method::kGet, "/a/1/" + schema::AssetId("%PDF-1.7"));
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.response.headers["content-disposition"], "attachment");
}

TEST_F(AssetsTest, WhatIsNotTakenIsRefusedWithItsReasonAndLeavesNothing) {
  EXPECT_EQ(Upload("logo.png", std::string(1001, 'x')).status, 413);
  EXPECT_EQ(Upload("logo.png", std::string(1001, 'x')).body["code"], "body_too_large");
  EXPECT_EQ(Upload("logo.png", "").status, 422);
  const Said type = Upload("logo.svg", "<svg>", "image/svg+xml");
  EXPECT_EQ(type.status, 422);
  EXPECT_EQ(type.body["code"], "asset_type_refused");
  EXPECT_NE(type.body["details"][0]["hint"].get<std::string>().find("image/png, application/pdf"), std::string::npos);
  EXPECT_EQ(Upload("logo.png", "GIF89a not a png").body["code"], "asset_type_refused");
  EXPECT_EQ(Upload("logo.png", kPng, "").status, 422);
  EXPECT_EQ(Upload("a%20b", kPng).status, 422);
  EXPECT_EQ(Ask(Method::kPost, "/v1/assets", kPng).status, 422);
  EXPECT_TRUE(blobs_.content().empty());
  http::Headers headers;
  headers.Add("content-type", "image/png");
  EXPECT_EQ(Ask(Method::kPost, "/v1/assets?name=logo.png&dry_run=true", kPng, headers).status, 200);
  EXPECT_TRUE(blobs_.content().empty());
  blobs_.faults().put_fails = 1;
  EXPECT_EQ(Upload("logo.png", kPng).status, 503);
}

TEST_F(AssetsTest, AnIdempotencyKeyGivesTheFirstAnswer) {
  http::Headers key;
  key.Add("idempotency-key", "k1");
  const Said first = Upload("logo.png", kPng, "image/png", key);
  EXPECT_EQ(first.status, 201);
  EXPECT_EQ(Upload("logo.png", kPng, "image/png", key).body["id"], first.body["id"]);
  EXPECT_EQ(Upload("logo.png", kPng + "x", "image/png", key).status, 422);
}

TEST_F(AssetsTest, AUsedOneCannotBeDeletedAndAnUnusedOneIsGoneAtOnce) {
  const Said used = Upload("logo.png", kPng);
  const Said unused = Upload("sky.png", kPng + "2");
  const Said saved = Save("<img src=\"cid:logo.png\">");
  ASSERT_EQ(saved.status, 201) << saved.body;
  EXPECT_EQ(saved.body["warnings"][0]["code"], "missing_alt");
  const std::string used_at = "/v1/assets/" + used.body["id"].get<std::string>();
  const std::string unused_at = "/v1/assets/" + unused.body["id"].get<std::string>();
  const Said refused = Ask(Method::kDelete, used_at);
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(refused.body["code"], "asset_in_use");
  EXPECT_EQ(Ask(Method::kGet, "/a/1/" + unused.body["id"].get<std::string>()).status, 200);
  const Said deleted = Ask(Method::kDelete, unused_at);
  EXPECT_EQ(deleted.status, 204);
  EXPECT_TRUE(world_.Until([&] { return blobs_.content().size() == 1; }));
  EXPECT_EQ(Ask(Method::kGet, "/a/1/" + unused.body["id"].get<std::string>()).status, 404);
  EXPECT_EQ(Ask(Method::kDelete, unused_at).status, 404);

  EXPECT_EQ(Ask(Method::kPost, used_at + ":archive").status, 200);
  const Said archived = Save("<img src=\"cid:logo.png\"><b>");
  EXPECT_EQ(archived.status, 422);
  EXPECT_EQ(archived.body["details"][0]["path"], "html:1:11");
  Show(Ask(Method::kPost, used_at + ":archive"));
  EXPECT_EQ(Get("/v1/assets").body["items"].size(), 0u);
  EXPECT_EQ(Get("/v1/assets?archived=true").body["items"].size(), 1u);
  Show(Ask(Method::kPost, used_at + ":restore"));
  const Said shown = Get(used_at);
  EXPECT_EQ(shown.status, 200);
  EXPECT_EQ(shown.body["used_by"][0]["how"], "related");
  EXPECT_EQ(shown.body["archived"], false);
  const Said of_template = Get("/v1/templates/" + saved.body["id"].dump());
  EXPECT_EQ(of_template.body["assets"][0]["name"], "logo.png");
  EXPECT_EQ(of_template.body["text_made"], true);
  EXPECT_EQ(Get("/v1/assets/1").status, 404);
}

TEST_F(AssetsTest, AnotherTenantSeesNothingOfIt) {
  const Said made = Upload("logo.png", kPng);
  const std::string at = "/v1/assets/" + made.body["id"].get<std::string>();
  Show(made);
  as_ = NewKey(TenantId(2), "admin");
  EXPECT_EQ(Get(at).status, 404);
  EXPECT_EQ(Get("/v1/assets?archived=true").body["items"].size(), 0u);
  EXPECT_EQ(Ask(Method::kDelete, at).status, 404);
  EXPECT_EQ(Save("<img src=\"cid:logo.png\">").status, 422);
}

TEST_F(AssetsTest, AttachmentsAreReadFromTheBodyAndTheMailHasALimit) {
  dependencies_.assets.mail_bytes_max = 6'000;
  router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
  Upload("list.pdf", "%PDF-1.7", "application/pdf");
  const json body{{"name", "n"},
                  {"subject", "s"},
                  {"text", "{{ unsubscribe_url }} {{ postal_address }}"},
                  {"attachments", {{{"asset", "list.pdf"}, {"file_name", "Preise.pdf"}}}}};
  const Said saved = Post("/v1/templates", body);
  ASSERT_EQ(saved.status, 201) << saved.body;
  Show(saved);
  EXPECT_EQ(Get("/v1/templates/" + saved.body["id"].dump()).body["assets"][0]["file_name"], "Preise.pdf");
  json wrong = body;
  wrong["attachments"][0]["fil_name"] = "x";
  EXPECT_EQ(Post("/v1/templates", wrong).status, 422);
  Upload("list.pdf", "%PDF-" + std::string(900, 'x'), "application/pdf");
  const Said large = Post("/v1/templates", body);
  EXPECT_EQ(large.status, 422);
  EXPECT_EQ(large.body["code"], "mail_too_large");
}

TEST_F(AssetsTest, WithoutAPlaceItSaysSo) {
  dependencies_.assets.store = nullptr;
  router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
  EXPECT_EQ(Upload("logo.png", kPng).status, 501);
  EXPECT_EQ(Ask(Method::kGet, "/a/1/" + schema::AssetId(kPng)).status, 404);
}

TEST_F(AssetsTest, TheSweepTakesWhatNobodyNamesAndNothingElse) {
  const Said made = Upload("logo.png", kPng);
  Show(made);
  const std::string named = blobs_.content().begin()->first;
  const std::string orphan = *store_.Put(SimApi::kTenant, "image/png", kPng + "lost");
  const std::string copy = *store_.Put(SimApi::kTenant, "image/png", kPng);
  EXPECT_EQ(SweepNow(Hours(24)).removed, 0u) << "they are young";
  world_.scheduler.RunFor(Hours(2));
  const AssetSweep::Round round = SweepNow(Hours(1));
  EXPECT_EQ(round.removed, 2u);
  EXPECT_TRUE(round.complete);
  EXPECT_EQ(blobs_.content().size(), 1u);
  EXPECT_TRUE(blobs_.content().contains(named));
  EXPECT_FALSE(blobs_.content().contains(orphan) || blobs_.content().contains(copy));
}

TEST_F(AssetsTest, TheSweepDoesNotBelieveAReadModelThatIsNotThere) {
  Show(Upload("logo.png", kPng));
  world_.scheduler.RunFor(Hours(2));
  world_.views->SetLive("campaigns", "");
  const AssetSweep::Round round = SweepNow(Hours(1));
  EXPECT_EQ(round.seen, 1u);
  EXPECT_EQ(round.removed, 0u);
  EXPECT_EQ(blobs_.content().size(), 1u);
}

}  // namespace
}  // namespace maily::api
