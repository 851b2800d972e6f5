// Tests of the routes as clients see them, through the real gateway, tasks and read models in one seeded thread.
#include <set>

#include "api/routes.h"
#include "tests/api/client.h"

namespace maily::api {
namespace {

std::set<std::string> Paths(const Said& said) {
  std::set<std::string> paths;
  for (const json& detail : said.body["details"]) paths.insert(detail["path"].get<std::string>());
  return paths;
}

TEST_F(ApiTest, BadJsonGetsAProblemThatNamesThePath) {
  const auto post = [this](const std::string& body) { return Ask(Method::kPost, "/v1/contacts", body); };
  EXPECT_EQ(post("{\"email\":").status, 400);
  EXPECT_EQ(post("").status, 400);
  EXPECT_EQ(post(std::string(100, '[') + std::string(100, ']')).body["code"], "json_too_deep");
  EXPECT_EQ(post(R"({"email":"a@b.example","email":"c@d.example"})").body["code"], "duplicate_key");
  EXPECT_EQ(post("[]").status, 422);
  const Said said = post(R"({"email":5,"emial":"x","attributes":{"first_name":{"a":1},"Bad Name":"x"},"lists":[1,"two",-1]})");
  EXPECT_EQ(said.status, 422);
  EXPECT_EQ(Paths(said),
            (std::set<std::string>{"/email", "/emial", "/attributes/first_name", "/attributes/Bad Name", "/lists/1", "/lists/2"}));
  EXPECT_NE(said.body.dump().find("did you mean email?"), std::string::npos);
  EXPECT_EQ(said.body["traceId"].get<std::string>().size(), 32u);
  EXPECT_EQ(post(R"({"email":"Ann <ann@example.com>"})").body["details"][0]["code"], "invalid_address");
  EXPECT_EQ(Ask(Method::kPost, "/v1/contacts", "x=1", {{"content-type", "application/x-www-form-urlencoded"}}).status, 415);
  EXPECT_EQ(Ask(Method::kPost, "/v1/contacts", "{}", {{"content-encoding", "gzip"}}).status, 415);
  EXPECT_EQ(Paths(Post("/v1/campaigns", {{"name", "c"}, {"template_id", "1"}, {"arms", {{{"name", "a"}, {"weight", 0}}, 5}}})),
            (std::set<std::string>{"/template_id", "/from", "/arms/0/weight", "/arms/0", "/arms/1"}));
}

TEST_F(ApiTest, WhoMayDoWhatComesFromTheKey) {
  EXPECT_EQ(Ask(Method::kGet, "/v1/contacts", "", {{"authorization", "Bearer mk_wrong_key"}}).status, 401);
  EXPECT_EQ(Ask(Method::kGet, "/v1/contacts", "", {{"authorization", ""}}).status, 401);
  EXPECT_TRUE(Ask(Method::kGet, "/v1/contacts", "", {{"authorization", ""}}).response.headers.Find("www-authenticate"));
  as_ = NewKey(SimApi::kTenant, "ingest");
  EXPECT_EQ(Get("/v1/contacts").status, 403);
  EXPECT_EQ(Post("/v1/contacts", {{"email", "a@b.example"}}).status, 403);
  EXPECT_EQ(Post("/v1/events", {{"id", "1"}, {"type", "visit"}, {"contact", {{"email", "nobody@b.example"}}}}).status, 422);
  as_ = NewKey(SimApi::kTenant, "read");
  EXPECT_EQ(Get("/v1/contacts").status, 200);
  EXPECT_EQ(Post("/v1/lists", {{"name", "l"}}).status, 403);
  as_.clear();
  // Revoked: refused within a second.
  const Said made = Post("/v1/keys", {{"label", "shop"}, {"scopes", {"read"}}});
  ASSERT_EQ(made.status, 201) << made.body;
  Show(made);
  as_ = made.body["key"];
  EXPECT_EQ(Get("/v1/lists").status, 200);
  as_.clear();
  EXPECT_EQ(Ask(Method::kDelete, "/v1/keys/" + made.body["id"].get<std::string>()).status, 204);
  EXPECT_EQ(Ask(Method::kDelete, "/v1/keys/" + made.body["id"].get<std::string>()).status, 204);
  world_.scheduler.RunFor(Seconds(1));
  as_ = made.body["key"];
  EXPECT_EQ(Get("/v1/lists").status, 401);
}

TEST_F(ApiTest, AnotherTenantSeesNothing) {
  const Said contact = Post("/v1/contacts", {{"email", "ann@example.com"}, {"attributes", {{"first_name", "Ann"}}}});
  const Said list = Post("/v1/lists", {{"name", "mine"}});
  Show(contact);
  Show(list);
  const std::string path = "/v1/contacts/" + contact.body["id"].get<std::string>();
  const Said mine = Get(path);
  EXPECT_EQ(mine.status, 200);
  EXPECT_EQ(mine.body["email"], "ann@example.com");
  EXPECT_EQ(mine.body["attributes"]["first_name"], "Ann");
  as_ = NewKey(TenantId(2), "admin");
  const Said theirs = Get(path);
  const Said nobodys = Get("/v1/contacts/999999");
  EXPECT_EQ(theirs.status, 404);
  json a = theirs.body;
  json b = nobodys.body;
  a.erase("instance");
  b.erase("instance");
  EXPECT_EQ(a, b);
  EXPECT_TRUE(Get("/v1/contacts?email=ann@example.com").body["items"].empty());
  EXPECT_TRUE(Get("/v1/lists").body["items"].empty());
  EXPECT_EQ(Get("/v1/contacts?min=" + contact.token()).status, 400);  // a token of another tenant
  EXPECT_EQ(Post("/v1/tenants", {{"name", "more"}}).status, 403);     // the operator's alone
  EXPECT_EQ(Get("/v1/tenants").status, 403);
}

TEST_F(ApiTest, AnIdempotencyKeyGetsTheFirstAnswerWhateverItWas) {
  const auto twice = [this](Method method, const std::string& path, const json& body) {
    const http::Headers key{{"idempotency-key", "k" + path}};
    const std::string text = body.is_null() ? "" : body.dump();
    const Said first = Ask(method, path, text, key);
    const Said again = Ask(method, path, text, key);
    EXPECT_EQ(again.status, first.status) << path << first.body << again.body;
    EXPECT_EQ(again.body, first.body) << path;
    EXPECT_EQ(again.response.headers.Find("location"), first.response.headers.Find("location")) << path;
    return first.status;
  };
  EXPECT_EQ(twice(Method::kPost, "/v1/lists", {{"name", "people"}}), 201);
  const json template_body{{"name", "t"}, {"subject", "s"}, {"text", "{{ unsubscribe_url }} {{ postal_address }}"}};
  EXPECT_EQ(Post("/v1/templates", template_body).status, 201);
  EXPECT_EQ(twice(Method::kPost, "/v1/templates", template_body), 200);  // unchanged
  EXPECT_EQ(Post("/v1/campaigns", {{"name", "c"}, {"template_id", 1}, {"from", "news@shop.example.com"}}).status, 201);
  EXPECT_EQ(twice(Method::kPost, "/v1/campaigns/1:pause", nullptr), 409);
  EXPECT_EQ(twice(Method::kPost, "/v1/tenants", {{"name", "Not A Name"}}), 422);
  EXPECT_EQ(twice(Method::kPost, "/v1/keys", {{"label", "shop"}, {"scopes", {"read"}}}), 201);
  EXPECT_EQ(twice(Method::kPost, "/v1/contacts", {{"email", "ann@example.com"}}), 201);
  EXPECT_EQ(twice(Method::kPost, "/v1/suppressions:batch", {{"suppressions", {{{"email", "a@b.example"}}, {{"email", "c@d.example"}}}}}),
            200);
}

TEST_F(ApiTest, ASecondRequestUnderAKeyThatIsUnderWayIsToldSo) {
  for (const std::string path : {"/v1/lists", "/v1/suppressions:batch"}) {
    const json body = path == "/v1/lists" ? json{{"name", "once"}} : json{{"suppressions", {{{"email", "a@b.example"}}}}};
    const http::Headers of_path{{"idempotency-key", "busy" + path}};
    const auto first = Begin(Method::kPost, path, body.dump(), of_path);
    const Said second = Post(path, body, of_path);
    EXPECT_EQ(second.status, 409) << path;
    EXPECT_EQ(second.body["code"], "request_under_way");
    EXPECT_EQ(second.response.headers.Find("retry-after"), "1");
    const Said answered = Finish(first);
    EXPECT_LT(answered.status, 300) << answered.body;
    EXPECT_EQ(Post(path, body, of_path).body, answered.body) << "the key is free again, and has its answer";
  }
}

TEST_F(ApiTest, AKeyIsFreeAsSoonAsItsAnswerIsOnItsWay) {
  const json body{{"name", "once"}};
  const http::Headers of_key{{"idempotency-key", "quick"}};
  Begun again;
  const auto first =
      Begin(Method::kPost, "/v1/lists", body.dump(), of_key, [&] { again = Begin(Method::kPost, "/v1/lists", body.dump(), of_key); });
  const Said made = Finish(first);
  EXPECT_EQ(made.status, 201) << made.body;
  ASSERT_TRUE(again);
  EXPECT_EQ(Finish(again).body, made.body);
}

TEST_F(ApiTest, AnIdempotencyKeyWithAnotherRequestIsRefusedWhoeverThatIsAbout) {
  const http::Headers key{{"idempotency-key", "once"}};
  EXPECT_EQ(Post("/v1/contacts", {{"email", "ann@example.com"}}, key).status, 201);
  for (int i = 0; i < 20; ++i) {  // contacts of every partition
    const Said other = Post("/v1/contacts", {{"email", fmt::format("p{}@example.com", i)}}, key);
    EXPECT_EQ(other.status, 422) << i;
    EXPECT_EQ(other.body["code"], "idempotency_key_reused");
  }
  EXPECT_EQ(Post("/v1/suppressions", {{"email", "ann@example.com"}}, key).status, 422);
  EXPECT_EQ(Post("/v1/lists", {{"name", "l"}}, key).status, 422);
  EXPECT_EQ(Post("/v1/suppressions:batch", {{"suppressions", {{{"email", "a@b.example"}}}}}, key).status, 422);
  const http::Headers home{{"idempotency-key", "home"}};
  EXPECT_EQ(Post("/v1/lists", {{"name", "l"}}, home).status, 201);
  EXPECT_EQ(Post("/v1/contacts", {{"email", "bob@example.com"}}, home).status, 422);
  // Keys are their tenant's own.
  as_ = NewKey(TenantId(2), "admin");
  EXPECT_EQ(Post("/v1/contacts", {{"email", "ann@example.com"}}, key).status, 201);
}

TEST_F(ApiTest, AQueryParameterThatNobodyReadsIsRefused) {
  const Said typo = Get("/v1/contacts?emial=ann@example.com");
  EXPECT_EQ(typo.status, 422);
  EXPECT_EQ(Paths(typo), std::set<std::string>{"emial"});
  EXPECT_NE(typo.body.dump().find("did you mean email?"), std::string::npos);
  EXPECT_EQ(Get("/v1/keys?page_size=0").status, 422);
  EXPECT_EQ(Get("/v1/keys?page_size=1001").status, 422);
  EXPECT_EQ(Get("/v1/lists?strict=yes").status, 422);
  EXPECT_EQ(Get("/v1/campaigns/1/sends?status=sent").status, 422);
  EXPECT_EQ(Get("/v1/campaigns/1/sends?status=delivered&reason=&page_size=5").status, 200);
  EXPECT_EQ(Post("/v1/lists?dryrun=true", {{"name", "l"}}).status, 422);
  EXPECT_EQ(Post("/v1/lists?dry_run=yes", {{"name", "l"}}).status, 422);
  EXPECT_EQ(Post("/v1/events?dry_run=true", {{"id", "1"}, {"type", "visit"}}).status, 422);  // events have none
  EXPECT_TRUE(Get("/v1/lists").body["items"].empty());
}

TEST_F(ApiTest, AContactCannotJoinAListThatIsNotThere) {
  EXPECT_EQ(Post("/v1/lists", {{"name", "people"}}).status, 201);
  EXPECT_EQ(Post("/v1/contacts", {{"email", "ann@example.com"}, {"lists", {1}}}).status, 201);  // made just now
  const Said missing = Post("/v1/contacts", {{"email", "bob@example.com"}, {"lists", {1, 7, 8}}});
  EXPECT_EQ(missing.status, 422);
  EXPECT_EQ(Paths(missing), (std::set<std::string>{"/lists/1", "/lists/2"}));
  EXPECT_EQ(Post("/v1/contacts", {{"email", "bob@example.com"}}).status, 201);  // nothing was made of it
}

TEST_F(ApiTest, AnUpsertMergesAndARepeatGetsTheFirstAnswer) {
  const json body{{"email", "Ann@Example.com"}, {"attributes", {{"first_name", "Ann"}, {"city", "Rome"}}}};
  const Said first = Post("/v1/contacts", body, {{"idempotency-key", "\"k1\""}});
  EXPECT_EQ(first.status, 201) << first.body;
  EXPECT_EQ(first.response.headers["location"], "/v1/contacts/" + first.body["id"].get<std::string>());
  const Said again = Post("/v1/contacts", body, {{"idempotency-key", "k1"}});
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(again.body, first.body);
  const Said other = Post("/v1/contacts", {{"email", "ann@example.com"}}, {{"idempotency-key", "k1"}});
  EXPECT_EQ(other.status, 422);
  EXPECT_EQ(other.body["code"], "idempotency_key_reused");
  EXPECT_EQ(Post("/v1/contacts", body, {{"idempotency-key", "two words"}}).status, 400);
  EXPECT_EQ(Post("/v1/contacts", body).body["result"], "unchanged");
  const Said merged = Post("/v1/contacts", {{"email", "ann@EXAMPLE.com"}, {"attributes", {{"first_name", nullptr}, {"age", "7"}}}});
  EXPECT_EQ(merged.status, 200);
  EXPECT_EQ(merged.body["result"], "updated");
  Show(merged);
  const json shown = Get("/v1/contacts?email=ann%40example.com").body["items"][0];
  EXPECT_EQ(shown["attributes"], (json{{"age", "7"}, {"city", "Rome"}}));
  EXPECT_EQ(shown["email"], "Ann@Example.com");  // as first spelled
}

TEST_F(ApiTest, ReadsSayWhetherTheyShowTheWrite) {
  const Said said = Post("/v1/lists", {{"name", "l"}});
  ASSERT_EQ(said.status, 201) << said.body;
  const Said fresh = Get("/v1/lists?min=" + said.token() + "&wait_ms=5000");
  EXPECT_EQ(fresh.response.headers["maily-applied"], "true");
  EXPECT_EQ(fresh.body["items"][0]["id"], said.body["id"]);
  // A command that no log holds yet.
  const auto& keys = *world_.keyring->Tenant(SimApi::kTenant).value();
  const std::string never =
      gateway::EncodeToken(std::vector<CommandAt>{{PartitionId(0), world_.log.settings().generation, Offset(1'000'000), 0}}, keys);
  const Said stale = Get("/v1/lists?min=" + never + "&wait_ms=10");
  EXPECT_EQ(stale.status, 200);
  EXPECT_EQ(stale.response.headers["maily-applied"], "false");
  EXPECT_EQ(Get("/v1/lists?strict=true&wait_ms=10&min=" + never).status, 412);
  const Said missing = Get("/v1/lists/99?wait_ms=10&min=" + never);  // what is not there yet is not what will never be
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.response.headers["maily-applied"], "false");
  EXPECT_EQ(Get("/v1/lists?min=forged").status, 400);
  EXPECT_EQ(Get("/v1/lists?min=" + never + "&wait_ms=never").status, 422);
}

TEST_F(ApiTest, ContactsWaitForTheViewsOnlyAfterARegistration) {
  Show(Post("/v1/attributes", {{"name", "age"}, {"type", "integer"}, {"personal", false}}));
  const std::string group = world_.views->GroupOf("attributes");
  const std::string database = world_.views->live(group);
  size_t stopped = 0;
  for (const auto& one : world_.groups) one->Stop([&stopped] { ++stopped; });
  ASSERT_TRUE(world_.Until([&] { return stopped == world_.groups.size(); }));
  world_.groups.clear();
  world_.views->SetLive(group, database);  // as it is, it does not move any more
  EXPECT_EQ(Post("/v1/lists", {{"name", "decided in the tenant's home"}}).status, 201);
  const json body{{"email", "ann@example.com"}, {"attributes", {{"age", 7}}}};
  EXPECT_EQ(Post("/v1/contacts", body).status, 201);
  ASSERT_EQ(Post("/v1/attributes", {{"name", "city"}, {"type", "text"}}).status, 201);
  const Said said = Post("/v1/contacts", body);
  EXPECT_EQ(said.status, 503);
  EXPECT_NE(said.body["message"].get<std::string>().find("attributes are not up to date"), std::string::npos);
}

TEST_F(ApiTest, PagesShowEachRowOnceWhileOthersAreAdded) {
  Said last;
  for (int i = 0; i < 25; ++i) last = Post("/v1/contacts", {{"email", "c" + std::to_string(i) + "@example.com"}});
  Show(last);
  std::multiset<std::string> seen;
  std::string next;
  for (int page = 0; page < 20; ++page) {
    const Said said = Get("/v1/contacts?page_size=4" + (next.empty() ? std::string() : "&page_token=" + next));
    ASSERT_EQ(said.status, 200) << said.body;
    for (const json& item : said.body["items"]) seen.insert(item["email"].get<std::string>());
    next = said.body.value("next_page_token", "");
    if (next.empty()) break;
    EXPECT_EQ(said.body["items"].size(), 4u);
    Show(Post("/v1/contacts", {{"email", "later" + std::to_string(page) + "@example.com"}}));
  }
  for (int i = 0; i < 25; ++i) EXPECT_EQ(seen.count("c" + std::to_string(i) + "@example.com"), 1u) << i;
  for (const std::string bad : {"page_size=0", "page_size=1001", "page_size=x"}) EXPECT_EQ(Get("/v1/contacts?" + bad).status, 422) << bad;
  EXPECT_EQ(Get("/v1/contacts?page_token=forged").status, 400);
  const std::string of_contacts = Get("/v1/contacts?page_size=1").body["next_page_token"];
  EXPECT_EQ(Get("/v1/lists?page_token=" + of_contacts).status, 400);
}

TEST_F(ApiTest, SuppressionsAreLiftedOnce) {
  const Said said = Post("/v1/suppressions:batch",
                         {{"suppressions", {{{"email", "a@example.com"}}, {{"email", "B@example.com"}, {"reason", "complaint"}}}}});
  EXPECT_EQ(said.body["added"], 2) << said.body;
  Show(said);
  EXPECT_EQ(Get("/v1/suppressions").body["items"].size(), 2u);
  EXPECT_EQ(Get("/v1/suppressions?email=b%40example.com").body["items"][0]["reason"], "complaint");
  EXPECT_EQ(Post("/v1/suppressions", {{"email", "a@example.com"}}).status, 200);
  EXPECT_EQ(Ask(Method::kDelete, "/v1/suppressions?email=a%40example.com&reason=asked").status, 204);
  EXPECT_EQ(Ask(Method::kDelete, "/v1/suppressions?email=a%40example.com&reason=asked").status, 204);
  EXPECT_EQ(Ask(Method::kDelete, "/v1/suppressions?email=nonsense&reason=asked").status, 422);
  EXPECT_EQ(Ask(Method::kDelete, "/v1/suppressions?email=b%40example.com").status, 422);  // why?
  EXPECT_EQ(Paths(Post("/v1/suppressions:batch", {{"suppressions", {{{"email", "x"}}, 5}}})),
            (std::set<std::string>{"/suppressions/0/email", "/suppressions/1"}));
}

TEST_F(ApiTest, TheOperatorMakesTenantsAndTheirFirstKeys) {
  ASSERT_EQ(Post("/v1/tenants", {{"name", "default"}}).body["id"], SimApi::kTenant.value());  // the operator's own
  const Said made = Post("/v1/tenants", {{"name", "acme"}});
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.body["name"], "acme");
  const Said again = Post("/v1/tenants", {{"name", "acme"}});
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(again.body["details"][0]["path"], "tenant_id");
  Show(made);
  EXPECT_EQ(Get("/v1/tenants").body["items"].back()["name"], "acme");
  EXPECT_EQ(Post("/v1/keys", {{"scopes", {"admin"}}, {"tenant", "nobody"}}).status, 404);
  EXPECT_EQ(Paths(Post("/v1/keys", {{"scopes", {"root"}}, {"lable", "x"}})), (std::set<std::string>{"/scopes", "/lable"}));
  const Said key = Post("/v1/keys", {{"scopes", {"admin"}}, {"tenant", "acme"}});
  ASSERT_EQ(key.status, 201) << key.body;
  as_ = key.body["key"];
  ASSERT_TRUE(world_.Until([this] { return Get("/v1/settings").status == 200; }));
  const Said set = Ask(Method::kPut, "/v1/settings", R"({"company":"Acme","senders":["news@acme.example.com"]})");
  EXPECT_EQ(set.status, 200) << set.body;
  const json settings = Get("/v1/settings?wait_ms=5000&min=" + set.token()).body;
  EXPECT_EQ(settings["company"], "Acme");
  EXPECT_EQ(settings["senders"], json({"news@acme.example.com"}));
  EXPECT_EQ(settings["postal_address"], "");
  EXPECT_EQ(Post("/v1/keys", {{"scopes", {"read"}}, {"tenant", "default"}}).status, 403);
}

TEST_F(ApiTest, AnAttributeHasAKnownTypeAndOneDefinition) {
  const json age{{"name", "age"}, {"type", "Integer"}, {"personal", false}};
  const Said made = Post("/v1/attributes", age);
  EXPECT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.body["type"], "Integer");
  EXPECT_EQ(Post("/v1/attributes", age).status, 200);  // as it is
  EXPECT_EQ(Post("/v1/attributes", {{"name", "age"}, {"type", "text"}}).status, 409);
  EXPECT_EQ(Paths(Post("/v1/attributes", {{"name", "Age"}, {"type", "date"}, {"personal", 1}})),
            (std::set<std::string>{"/name", "/type", "/personal"}));
  Show(made);
  const json shown = Get("/v1/attributes").body["items"][0];
  EXPECT_EQ(shown["type"], "integer");
  EXPECT_EQ(shown["personal"], false);
}

TEST_F(ApiTest, TemplatesKeepTheirVersions) {
  json body{{"name", "t"},
            {"subject", "one"},
            {"html", "<a href=\"https://shop.example.com/\">x</a>{{ postal_address }}<a href=\"{{ unsubscribe_url }}\">u</a>"}};
  const Said one = Post("/v1/templates", body);
  ASSERT_EQ(one.status, 201) << one.body;
  const std::string path = "/v1/templates/" + one.body["id"].dump();
  EXPECT_EQ(one.response.headers["location"], path);
  body["subject"] = "two";
  const Said two = Post("/v1/templates", body);
  EXPECT_EQ(two.body["id"], one.body["id"]);
  Show(two);
  EXPECT_EQ(Get(path).body["subject"], "two");
  EXPECT_EQ(Get(path).body["links"], json({"https://shop.example.com/"}));
  EXPECT_EQ(Get(path + "?version=1").body["subject"], "one");
  EXPECT_EQ(Get(path + "?version=9").status, 404);
  EXPECT_EQ(Get(path + "?version=x").status, 422);
  EXPECT_EQ(Get("/v1/templates/x").status, 404);
  EXPECT_EQ(Get("/v1/templates").body["items"].size(), 1u);
}

TEST_F(ApiTest, HealthIsForEveryone) {
  EXPECT_EQ(Get("/healthz").status, 200);
  EXPECT_EQ(Get("/readyz").status, 200);
  not_ready_ = "partition 3 is not led";
  EXPECT_EQ(Get("/readyz").status, 503);
  EXPECT_NE(Get("/").response.body.find("partition 3 is not led"), std::string::npos);
  EXPECT_NE(Get("/metrics").response.body.find("maily_tracking_signals_total"), std::string::npos);
  EXPECT_EQ(Get("/metrics").response.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(Get("/v1/limits").body["page_size_max"], 1000);
}

TEST_F(ApiTest, TheDescriptionNamesEveryRoute) {
  const Said said = Get("/api/openapi.json");
  ASSERT_EQ(said.status, 200);
  EXPECT_EQ(said.body["openapi"], "3.1.0");
  const Said docs = Get("/api/docs");
  for (const char* foreign : {"<script src", "<link", "@import", "<img"})
    EXPECT_EQ(docs.response.body.find(foreign), std::string::npos) << foreign;
  for (const RouteRow& row : Routes()) {
    std::string method(http::MethodName(row.method));
    for (char& c : method) c = static_cast<char>(c + 32);
    EXPECT_TRUE(said.body["paths"].contains(std::string(row.pattern)) && said.body["paths"][std::string(row.pattern)].contains(method))
        << row.pattern;
    EXPECT_NE(docs.response.body.find(row.pattern), std::string::npos) << row.pattern;
    if (row.uses.empty()) continue;
    // What a route uses exists.
    EXPECT_TRUE(schema::FindType(row.uses) != nullptr || !world_.views->GroupOf(row.uses).empty()) << row.uses;
  }
  for (const auto& [name, schema] : said.body["components"]["schemas"].items()) EXPECT_TRUE(schema.is_object()) << name;
}

TEST(Times, AreWrittenAndReadInUtc) {
  EXPECT_EQ(Rfc3339(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(Rfc3339(1'792'472'400'123'456), "2026-10-20T05:00:00.123456Z");
  EXPECT_EQ(Rfc3339(-1), "1969-12-31T23:59:59.999999Z");
  for (const int64_t us : {int64_t{0}, int64_t{951'782'400'000'000}, int64_t{1'792'472'400'123'000}, int64_t{-86'400'000'001}})
    EXPECT_EQ(*ParseRfc3339(Rfc3339(us)), us);
  EXPECT_EQ(*ParseRfc3339("2026-10-20T07:00:00+02:00"), *ParseRfc3339("2026-10-20T05:00:00Z"));
  for (const std::string bad :
       {"2026-10-20T07:00:00", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-10-20", "now", "2026-10-20T07:00:00Zjunk", ""})
    EXPECT_FALSE(ParseRfc3339(bad)) << bad;
}

}  // namespace
}  // namespace maily::api
