// ?dry_run=true on every route that takes it: what is asked is checked, and no log gets longer.
#include <algorithm>

#include "api/routes.h"
#include "streams/adapters/sim/sim_blobs.h"
#include "tests/api/client.h"

namespace maily::api {
namespace {

class DryRunTest : public ApiTest {
 protected:
  DryRunTest() {
    dependencies_.assets = {.store = &store_, .attachments = &attachments_, .types = {"image/png", "application/pdf"}};
    router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
    EXPECT_EQ(Ask(Method::kPut, "/v1/settings", R"({"senders":["news@shop.example.com"],"postal_address":"1 Main Street"})").status, 200);
    EXPECT_EQ(Post("/v1/lists", {{"name", "people"}}).status, 201);
    const Said bob = Post("/v1/contacts", {{"email", "bob@example.com"}, {"lists", {1}}});
    EXPECT_EQ(bob.status, 201);
    bob_ = bob.body["id"];
    EXPECT_EQ(Post("/v1/contacts", {{"email", "cara@example.com"}}).status, 201);         // into whom another is merged
    EXPECT_EQ(Post("/v1/consent-texts", {{"name", "t"}, {"text", "test"}}).status, 201);  // that of the examples
    EXPECT_EQ(Post("/v1/templates", {{"name", "t"}, {"subject", "s"}, {"text", "{{ unsubscribe_url }} {{ postal_address }}"}}).status, 201);
    EXPECT_EQ(Post("/v1/campaigns", {{"name", "c"}, {"template_id", 1}, {"from", "news@shop.example.com"}}).status, 201);
    EXPECT_EQ(Post("/v1/domains", {{"name", "example.com"}}).status, 201);
    world_.scheduler.RunFor(Seconds(5));
  }

  std::vector<uint64_t> Ends() {
    world_.scheduler.RunFor(Seconds(1));
    std::vector<uint64_t> all;
    for (const Topic topic : kTopics) {
      for (uint16_t p = 0; p < SimApi::kPartitions; ++p) all.push_back(world_.log.Ends({topic, PartitionId(p)}).written.value());
    }
    return all;
  }

  std::string bob_;
  sim::SimBlobs blobs_{world_.scheduler};
  schema::AssetStore store_{blobs_, *world_.keyring, world_.scheduler.clock(), world_.scheduler.entropy()};
  schema::AttachmentStore attachments_{blobs_, *world_.keyring, world_.scheduler.clock(), world_.scheduler.entropy()};
};

TEST_F(DryRunTest, EveryRouteThatTakesItAppendsNothing) {
  const std::vector<uint64_t> before = Ends();
  size_t routes = 0;
  for (const RouteRow& row : Routes()) {
    if (!TakesDryRun(row)) continue;
    if (row.pattern.starts_with("/v1/imports/{id}:")) continue;  // of an import that is there: tests/e2e/imports.py
    ++routes;
    std::string target(row.pattern);
    if (const size_t id = target.find("{id}"); id != std::string::npos)
      target.replace(id, 4, target.starts_with("/v1/assets/") ? std::string(64, 'a') : target.starts_with("/v1/contacts/") ? bob_ : "1");
    if (const size_t site = target.find("{site}"); site != std::string::npos) target.replace(site, 6, "google.com");
    if (const size_t name = target.find("{name}"); name != std::string::npos) target.replace(name, 6, "example.com");
    const bool in_query = row.example.starts_with('?');
    target += (in_query ? std::string(row.example) + "&" : "?") + "dry_run=true";
    const bool file = row.also == kFileBody;
    const std::string body(file ? "\x89PNG\r\n\x1A\n" : in_query ? "" : row.example);
    for (http::Headers headers : {http::Headers(), http::Headers{{"idempotency-key", "dry"}}}) {
      if (file) headers.Add("content-type", "image/png");
      if (row.method == Method::kPatch) headers.Add("if-match", "*");
      const Said said = Ask(row.method, target, body, headers);
      EXPECT_EQ(said.status, 200) << target << said.body;
      EXPECT_EQ(said.body["dry_run"], true) << target << said.body;
      EXPECT_TRUE(said.body["commands"].is_array()) << target << said.body;
      if (row.uses == "ResolveUnknown" || row.uses == "ReclassifyBounce") continue;  // nothing is in doubt, or was refused
      const auto is_used = [&row](const json& command) { return command["type"].get<std::string>().ends_with(row.uses); };
      EXPECT_TRUE(std::ranges::any_of(said.body["commands"], is_used)) << said.body;
    }
    EXPECT_EQ(Ends(), before) << target;
  }
  EXPECT_GE(routes, 16u);
  EXPECT_TRUE(blobs_.content().empty());
  // The Idempotency-Key of a dry run is free.
  EXPECT_EQ(Post("/v1/lists", {{"name", "dry"}}, {{"idempotency-key", "dry"}}).status, 201);
}

TEST_F(DryRunTest, WhatIsCheckedBeforeTheAppendIsRefused) {
  const std::vector<uint64_t> before = Ends();
  EXPECT_EQ(Post("/v1/contacts?dry_run=true", {{"email", "nobody"}}).status, 422);
  EXPECT_EQ(Post("/v1/contacts?dry_run=true", {{"email", "ann@example.com"}, {"lists", {77}}}).status, 422);
  EXPECT_EQ(Post("/v1/lists/77/members?dry_run=true", {{"email", "bob@example.com"}}).status, 404);
  EXPECT_EQ(Post("/v1/lists?dry_run=true", {{"name", "x"}}, {{"idempotency-key", "two words"}}).status, 400);
  EXPECT_EQ(Post("/v1/lists?dry_run=perhaps", {{"name", "x"}}).status, 422);
  EXPECT_EQ(Post("/v1/events?dry_run=true", {{"id", "1"}, {"type", "visit"}}).body["code"], "invalid_parameter");
  as_ = NewKey(SimApi::kTenant, "read");
  const std::vector<uint64_t> with_key = Ends();
  EXPECT_EQ(Post("/v1/lists?dry_run=true", {{"name", "x"}}).status, 403);
  EXPECT_EQ(Ends(), with_key);
  EXPECT_NE(with_key, before);  // of that key: what was appended is seen
}

TEST_F(DryRunTest, ADryRunOfManySaysHowMany) {
  const json two{{"suppressions", {{{"email", "a@b.example"}}, {{"email", "A@b.example"}}}}};
  const Said said = Post("/v1/suppressions:batch?dry_run=true", two);
  ASSERT_EQ(said.body["commands"].size(), 1u) << said.body;
  EXPECT_EQ(said.body["commands"][0]["count"], 2);
  EXPECT_EQ(said.body["commands"][0]["type"], "maily.suppressions.v1.AddSuppression");
  const Said keyed = Post("/v1/suppressions:batch?dry_run=true", two, {{"idempotency-key", "k"}});
  EXPECT_EQ(keyed.body["commands"].size(), 2u) << keyed.body;  // the key's own too
}

}  // namespace
}  // namespace maily::api
