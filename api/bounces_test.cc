// Tests the review of refusals as clients see it: what other rules would say, page by page, and what a correction does.
#include "maily/sends/v1/commands.pb.h"
#include "schemas/keys.h"
#include "schemas/types.h"
#include "tests/api/client.h"

namespace maily::api {
namespace {

namespace sends = maily::sends::v1;

class BounceReviewTest : public ApiTest {
 protected:
  void SetUp() override {
    ASSERT_EQ(Ask(Method::kPut, "/v1/settings", R"({"senders":["news@example.com"],"postal_address":"1 Main St"})").status, 200);
    ASSERT_EQ(Post("/v1/templates", {{"name", "t"}, {"subject", "s"}, {"text", "{{ unsubscribe_url }} {{ postal_address }}"}}).status, 201);
    for (const char* email : {"ann@example.com", "bob@example.com", "cat@example.com", "dan@example.com"}) {
      const Said made = Post("/v1/contacts", {{"email", email}});
      Show(made);
      people_[email] = std::stoull(made.body["id"].get<std::string>());
    }
    Show(Post("/v1/campaigns", {{"name", "c"}, {"template_id", 1}, {"from", "news@example.com"}}));
    ASSERT_EQ(Ask(Method::kPost, "/v1/campaigns/1:launch").status, 200);
    world_.tasks->Post([this] {
      for (auto& [partition, credits] : world_.credits) credits->Grant(schema::RelayCredits(TenantId(1)), 10);
    });
    ASSERT_TRUE(world_.Until([&] { return Get("/v1/campaigns/1/sends?status=open").body["items"].size() == 4; }));
    Refused("ann@example.com", 550, "5.1.1", "no such user", "rcpt");
    Refused("bob@example.com", 552, "5.2.2", "mailbox full", "rcpt");
    Refused("cat@example.com", 550, "5.1.1", "no such user", "");  // as the oldest events have it: nobody knows at which stage
    Refused("dan@example.com", 554, "5.7.1", "spam", "dot");
  }
  void Refused(const std::string& email, uint32_t code, const std::string& enhanced, const std::string& text, const std::string& stage) {
    const schema::ContactId id = schema::UnpackContactId(people_[email]);
    sends::RecordAttempt result;
    result.set_campaign_id(1);
    result.set_ordinal(id.ordinal);
    result.set_attempt(1);
    result.set_result(sends::BOUNCED);
    result.set_reply_code(code);
    result.set_enhanced_code(enhanced);
    result.set_reply_text(text);
    result.set_stage(stage);
    gateway::Order order = gateway::PlainOrder(result, "");
    order.partition = id.partition;
    std::optional<gateway::Verdict> verdict;
    world_.gateway->Submit({SimApi::kTenant, "test", {}}, order, Seconds(60), [&](gateway::Verdict v) { verdict = std::move(v); });
    ASSERT_TRUE(world_.Until([&] { return verdict.has_value(); }));
    ASSERT_TRUE(verdict->at && world_.Fresh({*verdict->at}));
  }
  // Tomorrow's rules: 5.1.1 is a full mailbox, and spam has another name.
  void RulesChange() {
    dependencies_.judge = [](const inbound::Refusal& refusal) -> inbound::Judgement {
      if (refusal.enhanced == "5.1.1") return {false, "mailbox_full", "tomorrow.full"};
      if (refusal.enhanced == "5.7.1") return {false, "policy", "tomorrow.spam"};
      return inbound::JudgeRefusal(refusal);
    };
    router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
  }
  json Review(const std::string& query = "") {
    const Said said = Get("/v1/bounces/review" + query);
    EXPECT_EQ(said.status, 200) << said.body;
    return said.body;
  }
  bool Suppressed(const std::string& email) { return Get("/v1/suppressions:check?email=" + email).body["suppressed"]; }
  json SendOf(const std::string& email) { return Get("/v1/campaigns/1/sends/" + std::to_string(people_[email])).body; }

  std::map<std::string, uint64_t> people_;
};

TEST_F(BounceReviewTest, TheRulesOfTheDayAgreeWithThemselves) {
  const json review = Review();
  EXPECT_EQ(review["reviewed"], 3);
  EXPECT_EQ(review["not_reviewed"], 1);
  EXPECT_EQ(review["changed"], 0);
  EXPECT_TRUE(review["diff"].empty() && review["items"].empty());
  const Said applied = Post("/v1/bounces/review:apply", {{"why", "nothing"}});
  EXPECT_EQ(applied.body["corrected"], 0) << applied.body;
}

TEST_F(BounceReviewTest, WhatOtherRulesSayIsShownAndChangesNothing) {
  RulesChange();
  const json review = Review("?campaign_id=1");
  EXPECT_EQ(review["changed"], 2);
  ASSERT_EQ(review["diff"].size(), 2u);
  json ann;
  for (const json& item : review["items"]) {
    if (item["contact_id"] == std::to_string(people_["ann@example.com"])) ann = item;
  }
  EXPECT_EQ(ann["was"], (json{{"class", "hard"}, {"reason", "invalid_address"}, {"rule", "address.proven"}}));
  EXPECT_EQ(ann["now"], (json{{"class", "soft"}, {"reason", "mailbox_full"}, {"rule", "tomorrow.full"}}));
  EXPECT_EQ(ann["reply_text"], "no such user");
  EXPECT_EQ(ann["stage"], "rcpt");
  EXPECT_EQ(ann["campaign_id"], 1);
  const Said dry = Post("/v1/bounces/review:apply?dry_run=true", {{"why", "new rules"}});
  ASSERT_EQ(dry.status, 200) << dry.body;
  EXPECT_EQ(dry.body["changed"], 2);
  EXPECT_EQ(dry.body["dry_run"], true);
  EXPECT_EQ(Review()["changed"], 2);
  EXPECT_TRUE(Suppressed("ann@example.com"));
}

TEST_F(BounceReviewTest, ACorrectionIsANewEventAndLiftsWhatAWrongBounceSuppressed) {
  ASSERT_TRUE(Suppressed("ann@example.com"));
  RulesChange();
  const Said applied = Post("/v1/bounces/review:apply", {{"why", "the rules of November"}});
  ASSERT_EQ(applied.status, 200) << applied.body;
  EXPECT_EQ(applied.body["corrected"], 2);
  EXPECT_EQ(applied.body["suppressions_lifted"], 1);
  EXPECT_EQ(applied.body["suppressions_kept"], 0);
  Show(applied);
  EXPECT_FALSE(Suppressed("ann@example.com"));
  EXPECT_TRUE(Suppressed("cat@example.com"));
  const json send = SendOf("ann@example.com");
  EXPECT_EQ(send["status"], "bounced");
  EXPECT_EQ(send["bounce_rule"], "tomorrow.full");
  ASSERT_EQ(send["history"].size(), 3u);
  EXPECT_EQ(send["history"][1]["rule"], "address.proven");  // what was said then stays
  EXPECT_EQ(send["history"][2]["kind"], "bounce_reclassified");
  EXPECT_EQ(send["history"][2]["detail"], "the rules of November");
  EXPECT_EQ(Review()["changed"], 0);
  EXPECT_EQ(Post("/v1/bounces/review:apply", {{"why", "again"}}).body["corrected"], 0);
  // The rules may change their mind; nobody is suppressed for a mail of long ago.
  dependencies_.judge = inbound::JudgeRefusal;
  router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
  const Said back = Post("/v1/bounces/review:apply", {{"why", "the rules of October"}});
  EXPECT_EQ(back.body["corrected"], 2) << back.body;
  Show(back);
  EXPECT_FALSE(Suppressed("ann@example.com"));
  EXPECT_EQ(SendOf("ann@example.com")["bounce_rule"], "address.proven");
}

TEST_F(BounceReviewTest, WhomSomebodyElseSuppressesTooStaysSuppressed) {
  ASSERT_EQ(Post("/v1/suppressions", {{"email", "ann@example.com"}, {"reason", "manual"}}).status, 200);
  RulesChange();
  const Said applied = Post("/v1/bounces/review:apply", {{"why", "new rules"}});
  EXPECT_EQ(applied.body["suppressions_lifted"], 0) << applied.body;
  EXPECT_EQ(applied.body["suppressions_kept"], 1);
  Show(applied);
  EXPECT_TRUE(Suppressed("ann@example.com"));
}

TEST_F(BounceReviewTest, ItIsPagedAndFiltered) {
  RulesChange();
  uint64_t seen = 0;
  uint64_t changed = 0;
  std::string token;
  for (int pages = 0; pages < 5; ++pages) {
    const json page = Review("?page_size=1" + (token.empty() ? "" : "&page_token=" + token));
    seen += page["reviewed"].get<uint64_t>() + page["not_reviewed"].get<uint64_t>();
    changed += page["changed"].get<uint64_t>();
    if (!page.contains("next_page_token")) break;
    token = page["next_page_token"];
  }
  EXPECT_EQ(seen, 4u);
  EXPECT_EQ(changed, 2u);
  EXPECT_EQ(Get("/v1/bounces/review?campaign_id=2&page_token=" + token).status, 400);
  EXPECT_EQ(Post("/v1/bounces/review:apply", {{"why", "w"}, {"page_token", "x" + token}}).status, 400);
  EXPECT_EQ(Review("?campaign_id=2")["reviewed"], 0);
  EXPECT_EQ(Review("?since=2100-01-01T00%3A00%3A00Z")["reviewed"], 0);
  EXPECT_EQ(Get("/v1/bounces/review?since=yesterday").status, 422);
  EXPECT_EQ(Get("/v1/bounces/review?campaign_id=x").status, 422);
  EXPECT_EQ(Get("/v1/bounces/review?page_size=0").status, 422);
  EXPECT_EQ(Post("/v1/bounces/review:apply", json::object()).status, 422);
  EXPECT_EQ(Post("/v1/bounces/review:apply", {{"why", "w"}, {"since", "yesterday"}}).status, 422);
  // A page is corrected by itself.
  const Said first = Post("/v1/bounces/review:apply", {{"why", "w"}, {"page_size", 1}});
  EXPECT_LE(first.body["corrected"].get<int>(), 1);
  EXPECT_TRUE(first.body.contains("next_page_token"));
}

}  // namespace
}  // namespace maily::api
