// Tests the check of a sending domain as clients see it, and what a launch of a live instance makes of it.
#include "tests/api/client.h"

namespace maily::api {
namespace {

class DomainsTest : public ApiTest {
 protected:
  DomainsTest() {
    dependencies_.tracking_base_url = "https://192.0.2.9";
    dependencies_.live = true;
    router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
  }
  // What the tests' only key says.
  void Publish() {
    zone_.SetTxt("m1r._domainkey.example.com", {"p=AA; v=DKIM1"});
    zone_.SetTxt("bounces.example.com", {"v=spf1 a -all"});
    zone_.SetTxt("_dmarc.example.com", {"v=DMARC1; p=none"});
    zone_.SetMx("bounces.example.com", {{10, "in.example.com"}});
    zone_.SetAddresses("in.example.com", {"192.0.2.7"});
  }
};

TEST_F(DomainsTest, ACheckAnswersWithALineForEachRuleAndIsShown) {
  EXPECT_EQ(Post("/v1/domains/example.com:check", json::object()).status, 404);
  ASSERT_EQ(Post("/v1/domains", {{"name", "example.com"}}).status, 201);
  const Said first = Ask(Method::kPost, "/v1/domains/Example.COM:check");
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.body["passed"], false);
  EXPECT_EQ(first.body["name"], "example.com");
  EXPECT_EQ(first.body["lines"][0]["rule"], "dkim:m1r");
  EXPECT_EQ(first.body["lines"][0]["fix"], "publish one TXT at m1r._domainkey.example.com: \"v=DKIM1; p=AA\"");
  Publish();
  const Said second = Ask(Method::kPost, "/v1/domains/example.com:check");
  EXPECT_EQ(second.body["passed"], true) << second.body;
  Show(second);
  const Said shown = Get("/v1/domains/example.com");
  EXPECT_EQ(shown.body["passed"], true);
  EXPECT_EQ(shown.body["check"].size(), second.body["lines"].size());
}

TEST_F(DomainsTest, ADnsThatDoesNotAnswerCostsLessThanFifteenSeconds) {
  ASSERT_EQ(Post("/v1/domains", {{"name", "example.com"}}).status, 201);
  Publish();
  zone_.SetLatency("_dmarc.example.com", Seconds(600));
  const Duration begin = world_.scheduler.clock().Steady();
  const Said said = Ask(Method::kPost, "/v1/domains/example.com:check");
  EXPECT_EQ(said.status, 200);
  EXPECT_EQ(said.body["passed"], false);
  EXPECT_LT((world_.scheduler.clock().Steady() - begin).us, Seconds(15).us);
}

TEST_F(DomainsTest, ALiveInstanceLaunchesOnceTheCheckPassed) {
  ASSERT_EQ(Ask(Method::kPut, "/v1/settings", R"({"senders":["news@example.com"],"postal_address":"1 Main St"})").status, 200);
  ASSERT_EQ(Post("/v1/templates", {{"name", "t"}, {"subject", "s"}, {"text", "{{ unsubscribe_url }} {{ postal_address }}"}}).status, 201);
  Show(Post("/v1/contacts", {{"email", "ann@example.com"}}));
  ASSERT_EQ(Post("/v1/campaigns", {{"name", "c"}, {"template_id", 1}, {"from", "news@example.com"}}).status, 201);
  const auto launch = [this] { return Ask(Method::kPost, "/v1/campaigns/1:launch"); };
  EXPECT_EQ(launch().body["code"], "domain_missing");
  ASSERT_EQ(Post("/v1/domains", {{"name", "example.com"}}).status, 201);
  const Said unchecked = launch();
  EXPECT_EQ(unchecked.status, 422);
  EXPECT_EQ(unchecked.body["code"], "domain_unchecked");
  EXPECT_EQ(unchecked.body["details"][0]["path"], "/from");
  Publish();
  ASSERT_EQ(Ask(Method::kPost, "/v1/domains/example.com:check").body["passed"], true);
  EXPECT_EQ(launch().status, 200);
}

TEST_F(ApiTest, WithoutADnsThereIsNoCheckOfDomains) {
  dependencies_.resolver = nullptr;
  router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
  const Said said = Ask(Method::kPost, "/v1/domains/example.com:check");
  EXPECT_EQ(said.status, 501);
  EXPECT_EQ(said.body["code"], "not_implemented");
}

}  // namespace
}  // namespace maily::api
