// Tests suppressions as clients see them: of addresses and domains, for kinds of mails, why and by whom, and after an erasure.
#include "schemas/keys.h"
#include "tests/api/client.h"

namespace maily::api {
namespace {

class SuppressionsTest : public ApiTest {
 protected:
  Said Check(const std::string& email) { return Get("/v1/suppressions:check?email=" + email); }
  std::vector<std::string> Listed(const std::string& query) {
    std::vector<std::string> listed;
    const Said said = Get("/v1/suppressions" + query);
    EXPECT_EQ(said.status, 200) << said.body;
    for (const json& item : said.body["items"]) {
      listed.push_back(item["email"].is_string()    ? item["email"].get<std::string>()
                       : item["domain"].is_string() ? "@" + item["domain"].get<std::string>()
                                                    : "?");
    }
    return listed;
  }
  std::string ContactKey(const std::string& email) { return schema::ContactKey(*world_.keyring->Tenant(SimApi::kTenant).value(), email); }
};

using Texts = std::vector<std::string>;

TEST_F(SuppressionsTest, AnEntrySaysWhyByWhomAndForWhichMails) {
  const Said added =
      Post("/v1/suppressions", {{"email", "Ann@Example.com"}, {"reason", "complaint"}, {"stream", "marketing"}, {"note", "by phone"}});
  ASSERT_EQ(added.status, 200) << added.body;
  EXPECT_EQ(added.body["stream"], "marketing");
  Show(added);
  const json item = Get("/v1/suppressions?email=ann%40example.com").body["items"][0];
  EXPECT_EQ(item["email"], "Ann@Example.com");
  EXPECT_EQ(item["reason"], "complaint");
  EXPECT_EQ(item["stream"], "marketing");
  EXPECT_EQ(item["note"], "by phone");
  EXPECT_EQ(item["source"], "operator");
  EXPECT_TRUE(item["added_by"].get<std::string>().starts_with("key:")) << item;
  EXPECT_TRUE(item["domain"].is_null());
  EXPECT_EQ(item["contact_key"].get<std::string>().size(), 32u);
}

TEST_F(SuppressionsTest, ADomainIsAddedOnceAndLiftedForAReason) {
  const Said added = Post("/v1/suppressions", {{"domain", "@Bücher.example"}, {"reason", "blocked"}});
  ASSERT_EQ(added.status, 200) << added.body;
  EXPECT_EQ(added.body["domain"], "xn--bcher-kva.example");
  Show(added);
  const Said check = Check("ann%40b%C3%BCcher.example");
  EXPECT_EQ(check.body["suppressed"], true);
  EXPECT_EQ(check.body["streams"], (json{{"marketing", true}, {"transactional", true}}));
  EXPECT_EQ(check.body["entries"][0]["domain"], "xn--bcher-kva.example");
  EXPECT_EQ(check.body["entries"][0]["reason"], "blocked");
  EXPECT_TRUE(check.body["entries"][0]["email"].is_null());
  EXPECT_EQ(Ask(Method::kDelete, "/v1/suppressions?domain=b%C3%BCcher.example").status, 422);
  const Said lifted = Ask(Method::kDelete, "/v1/suppressions?domain=b%C3%BCcher.example&reason=mistake");
  EXPECT_EQ(lifted.status, 204);
  Show(lifted);
  EXPECT_EQ(Check("ann%40b%C3%BCcher.example").body["suppressed"], false);
  EXPECT_EQ(Ask(Method::kDelete, "/v1/suppressions?domain=b%C3%BCcher.example&reason=mistake").status, 204);
}

TEST_F(SuppressionsTest, ACheckNamesEveryEntryAndWhichMailsItStops) {
  Show(Post("/v1/suppressions", {{"email", "ann@example.com"}, {"stream", "marketing"}}));
  const Said one = Check("ann%40example.com");
  EXPECT_EQ(one.body["streams"], (json{{"marketing", true}, {"transactional", false}}));
  Show(Post("/v1/suppressions", {{"domain", "example.com"}, {"stream", "transactional"}}));
  const Said both = Check("ann%40example.com");
  EXPECT_EQ(both.body["streams"], (json{{"marketing", true}, {"transactional", true}}));
  ASSERT_EQ(both.body["entries"].size(), 2u);
  EXPECT_EQ(both.body["entries"][0]["email"], "ann@example.com");
  EXPECT_EQ(both.body["entries"][1]["domain"], "example.com");
  const Said nobody = Check("ann%40example.org");
  EXPECT_EQ(nobody.status, 200);
  EXPECT_EQ(nobody.body["suppressed"], false);
  EXPECT_EQ(Check("nonsense").status, 422);
}

TEST_F(SuppressionsTest, AListIsFilteredAndPagedInTheOrderOfTime) {
  Show(Post("/v1/suppressions", {{"email", "a@one.example"}, {"reason", "complaint"}}));
  world_.scheduler.RunFor(Seconds(5));
  Show(Post("/v1/suppressions", {{"email", "b@two.example"}}));
  const std::string since = Get("/v1/suppressions?email=b%40two.example").body["items"][0]["added_at"];
  world_.scheduler.RunFor(Seconds(5));
  Show(Post("/v1/suppressions", {{"domain", "one.example"}, {"reason", "blocked"}}));
  EXPECT_EQ(Listed(""), (Texts{"a@one.example", "b@two.example", "@one.example"}));
  EXPECT_EQ(Listed("?reason=complaint"), Texts{"a@one.example"});
  EXPECT_EQ(Listed("?domain=One.example"), (Texts{"a@one.example", "@one.example"}));
  EXPECT_EQ(Listed("?domain=one.example&reason=blocked"), Texts{"@one.example"});
  EXPECT_EQ(Listed("?since=" + since), (Texts{"b@two.example", "@one.example"}));
  const Said first = Get("/v1/suppressions?page_size=2");
  ASSERT_TRUE(first.body.contains("next_page_token"));
  EXPECT_EQ(Listed("?page_size=2&page_token=" + first.body["next_page_token"].get<std::string>()), Texts{"@one.example"});
  // A cursor is good for what it was given out for.
  EXPECT_EQ(Get("/v1/suppressions?reason=blocked&page_token=" + first.body["next_page_token"].get<std::string>()).status, 400);
  for (const char* wrong : {"?reason=because", "?since=yesterday", "?domain=no%20domain"})
    EXPECT_EQ(Get(std::string("/v1/suppressions") + wrong).status, 422) << wrong;
}

TEST_F(SuppressionsTest, ABatchTakesAddressesAndDomainsAndSaysAllThatIsWrong) {
  const json batch{
      {"suppressions", {{{"email", "a@one.example"}, {"source", "import"}}, {{"domain", "two.example"}}, {{"email", "A@one.example"}}}}};
  const Said said = Post("/v1/suppressions:batch", batch);
  ASSERT_EQ(said.status, 200) << said.body;
  EXPECT_EQ(said.body, (json{{"suppressions", 3}, {"added", 2}, {"unchanged", 1}}));
  Show(said);
  EXPECT_EQ(Post("/v1/suppressions:batch", batch).body["unchanged"], 3);
  EXPECT_EQ(Get("/v1/suppressions?email=a%40one.example").body["items"][0]["source"], "import");
  const Said wrong = Post("/v1/suppressions:batch", {{"suppressions",
                                                      {{{"email", "a@one.example"}, {"domain", "one.example"}},
                                                       {{"reason", "because"}, {"domain", "no domain"}},
                                                       {{"email", "x@one.example"}, {"stream", "weekly"}, {"source", "me"}},
                                                       json::object()}}});
  EXPECT_EQ(wrong.status, 422);
  std::set<std::string> codes;
  for (const json& detail : wrong.body["details"])
    codes.insert(detail["path"].get<std::string>() + " " + detail["code"].get<std::string>());
  EXPECT_EQ(codes, (std::set<std::string>{"/suppressions/0/domain twice", "/suppressions/1/domain invalid_domain",
                                          "/suppressions/1/reason unknown_reason", "/suppressions/2/stream unknown_stream",
                                          "/suppressions/2/source unknown_source", "/suppressions/3/email missing"}));
}

TEST_F(SuppressionsTest, WhatOfABatchIsNotDecidedInTimeIsCountedAndHolds) {
  world_.log.options().fate = [](TopicPartition at, std::string_view) {
    return at.topic == Topic::kJournal ? sim::Fate::kHold : sim::Fate::kStore;
  };
  const json batch{{"suppressions", {{{"email", "a@one.example"}}, {{"domain", "two.example"}}}}};
  EXPECT_EQ(Post("/v1/suppressions:batch", batch).body, (json{{"suppressions", 2}, {"added", 0}, {"unchanged", 0}, {"pending", 2}}));
  world_.log.options().fate = nullptr;
  for (size_t i = world_.log.held(); i-- > 0;) world_.log.Release(i, sim::SimLog::Answer::kAcknowledge);
  world_.scheduler.RunFor(Seconds(5));
  EXPECT_EQ(Post("/v1/suppressions:batch", batch).body["unchanged"], 2);
}

TEST_F(SuppressionsTest, WhoseKeysAreDestroyedStaysSuppressedAndGetsNothingWhenImportedAgain) {
  ASSERT_EQ(Ask(Method::kPut, "/v1/settings", R"({"senders":["news@example.com"],"postal_address":"1 Main St"})").status, 200);
  ASSERT_EQ(Post("/v1/templates", {{"name", "t"}, {"subject", "s"}, {"text", "{{ unsubscribe_url }} {{ postal_address }}"}}).status, 201);
  Show(Post("/v1/contacts", {{"email", "ann@example.com"}}));
  Show(Post("/v1/contacts", {{"email", "bob@example.com"}}));
  Show(Post("/v1/suppressions", {{"email", "ann@example.com"}, {"reason", "unsubscribed"}, {"note", "asked"}}));
  ASSERT_EQ(world_.keyring->Destroy(SimApi::kTenant, ContactKey("ann@example.com")).value(), 1u);
  Show(Post("/v1/contacts", {{"email", "Ann@Example.com"}}));
  const Said check = Check("ann%40example.com");
  EXPECT_EQ(check.body["suppressed"], true);
  EXPECT_EQ(check.body["entries"][0]["reason"], "unsubscribed");
  Show(Post("/v1/campaigns", {{"name", "c"}, {"template_id", 1}, {"from", "news@example.com"}}));
  ASSERT_EQ(Ask(Method::kPost, "/v1/campaigns/1:launch").status, 200);
  json skips;
  EXPECT_TRUE(world_.Until([&] {
    skips = Get("/v1/campaigns/1/skips").body["items"];
    return !skips.empty();
  }));
  EXPECT_NE(skips.dump().find("suppressed"), std::string::npos) << skips;
}

}  // namespace
}  // namespace maily::api
