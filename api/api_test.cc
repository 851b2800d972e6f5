// Tests of the routes as clients see them, through the real gateway, tasks and read models in one seeded thread.
#include "api/api.h"

#include <gtest/gtest.h>

#include <set>

#include "api/gateway/token.h"
#include "api/routes.h"
#include "maily/engagements/v1/commands.pb.h"
#include "maily/tenants/v1/commands.pb.h"
#include "schemas/codec.h"
#include "schemas/tracking_id.h"
#include "streams/observe/metrics.h"
#include "tests/api/sim_api.h"

namespace maily::api {
namespace {

using http::Method;
using http::Request;
using http::Response;
using nlohmann::json;
using testing::SimApi;

struct Said {
  int status = 0;
  json body;
  Response response;
  std::string token() const { return std::string(response.headers["maily-consistency-token"]); }
};

class ApiTest : public ::testing::Test {
 protected:
  ApiTest()
      : bulk_(world_.scheduler.MakeExecutor()),
        dependencies_{.sender = *world_.sender,
                      .replies = *world_.replies,
                      .keyring = *world_.keyring,
                      .views = *world_.views,
                      .clock = world_.scheduler.clock(),
                      .entropy = world_.scheduler.entropy(),
                      .executor = *world_.api,
                      .blocking = {world_.disk.get()},
                      .bulk = *bulk_,
                      .log = world_.log.settings(),
                      .read_message_id = [](std::string_view id) -> Result<ReceivedSend> { return Fail(Code::kInvalid, "{}", id); },
                      .not_ready = [this] { return not_ready_; },
                      .version = "test"} {
    router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
    admin_ = NewKey(SimApi::kTenant, "admin");
  }

  std::string NewKey(TenantId tenant, const std::string& scope) {
    const gateway::NewApiKey made = gateway::MakeApiKey(world_.scheduler.entropy());
    tenants::v1::CreateApiKey command;
    command.set_key_id(made.key_id);
    command.set_secret_hash(std::string(keyring::View(made.hash)));
    command.add_scopes(scope);
    std::optional<gateway::Verdict> verdict;
    world_.gateway->Submit({tenant, "test", {}}, gateway::PlainOrder(command, schema::HomeKey(tenant)), Seconds(60),
                           [&](gateway::Verdict v) { verdict = std::move(v); });
    EXPECT_TRUE(world_.Until([&] { return verdict.has_value(); }));
    EXPECT_TRUE(world_.Fresh({*verdict->at}));
    return made.text;
  }

  Said Ask(Method method, const std::string& target, const std::string& body = "", http::Headers headers = {}) {
    Request request{.method = method, .target = target, .headers = std::move(headers), .body = body};
    request.trace_id.bytes[0] = 7;
    if (!request.headers.Find("authorization")) request.headers.Add("authorization", "Bearer " + key());
    const auto match = router_->Find(method, request.path(), request.params);
    if (match.route == nullptr) return {.status = match.miss == http::Router::Miss::kMethod ? 405 : 404, .body = {}, .response = {}};
    std::optional<Response> response;
    match.route->handler(std::move(request), [&response](Response r) { response = std::move(r); });
    EXPECT_TRUE(world_.Until([&response] { return response.has_value(); })) << target;
    if (!response) return {};
    Said said{.status = response->status, .body = json::parse(response->body, nullptr, false), .response = std::move(*response)};
    return said;
  }
  Said Get(const std::string& target) { return Ask(Method::kGet, target); }
  Said Post(const std::string& target, const json& body, http::Headers headers = {}) {
    return Ask(Method::kPost, target, body.dump(), std::move(headers));
  }
  // Waits until every view shows what was said to be done.
  void Show(const Said& said) {
    const auto at = gateway::DecodeToken(said.token(), *world_.keyring->Tenant(SimApi::kTenant).value());
    ASSERT_TRUE(at) << said.status << said.body;
    ASSERT_TRUE(world_.Fresh(*at));
  }
  const std::string& key() const { return as_.empty() ? admin_ : as_; }

  SimApi world_;
  std::unique_ptr<Executor> bulk_;
  std::string not_ready_;
  Dependencies dependencies_;
  std::unique_ptr<http::Router> router_;
  std::string admin_;
  std::string as_;
};

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

TEST_F(ApiTest, EveryEventGetsAVerdict) {
  Show(Post("/v1/contacts", {{"email", "ann@example.com"}}));
  const json ann{{"email", "ann@example.com"}};
  const auto event = [&](const std::string& id, json more) {
    json out{{"id", id}, {"type", "conversion"}, {"contact", ann}};
    out.update(more);
    return out;
  };
  const json events = json::array(
      {event("1", {{"revenue_cents", 100}, {"currency", "EUR"}, {"properties", {{"sku", "x"}}}}),
       event("2", {{"contact", {{"email", "nobody@example.com"}}}}), json{{"id", "3"}, {"type", 7}},
       event("1", {{"revenue_cents", 100}, {"currency", "EUR"}, {"properties", {{"sku", "x"}}}}),
       event("1", {{"revenue_cents", 200}, {"currency", "EUR"}}), event("4", {{"revenue", {{"amount", 19.99}, {"currency", "EUR"}}}}),
       event("5", {{"revenue_cents", -1}}), event("6", {{"occurred_at", "2999-01-01T00:00:00Z"}}),
       event("7", {{"occurred_at", "2020-01-01T00:00:00"}}), event("8", {{"revenue", {{"amount", 0.001}, {"currency", "EUR"}}}}), "text"});
  const Said said = Post("/v1/events:batch", {{"events", events}});
  ASSERT_EQ(said.status, 202) << said.body;
  std::vector<std::string> verdicts;
  for (const json& one : said.body["events"]) verdicts.push_back(one["verdict"]);
  EXPECT_EQ(verdicts, (std::vector<std::string>{"accepted", "rejected", "rejected", "duplicate", "conflict", "accepted", "rejected",
                                                "rejected", "rejected", "rejected", "rejected"}));
  EXPECT_EQ(said.body["events"][2]["path"], "/events/2/type");
  EXPECT_EQ(said.body["events"][1]["code"], "unknown_contact");
  Show(said);
  EXPECT_EQ(Get("/v1/engagements/count?type=conversion").body["count"], 2);
  EXPECT_EQ(Post("/v1/events", event("1", {{"revenue_cents", 300}})).status, 409);
  EXPECT_EQ(Post("/v1/events", event("1", {{"revenue_cents", 100}, {"currency", "EUR"}, {"properties", {{"sku", "x"}}}})).status, 202);
  const json many(std::vector<json>(1001, event("m", json::object())));
  EXPECT_EQ(Post("/v1/events:batch", {{"events", many}}).status, 413);
  EXPECT_EQ(Post("/v1/events:batch", {{"events", {event("big", {{"properties", {{"t", std::string(70'000, 'x')}}}})}}}).status, 413);
}

TEST_F(ApiTest, SuppressionsAreLiftedOnce) {
  const Said said = Post("/v1/suppressions:batch",
                         {{"suppressions", {{{"email", "a@example.com"}}, {{"email", "B@example.com"}, {"reason", "complaint"}}}}});
  EXPECT_EQ(said.body["added"], 2) << said.body;
  Show(said);
  EXPECT_EQ(Get("/v1/suppressions").body["items"].size(), 2u);
  EXPECT_EQ(Get("/v1/suppressions?email=b%40example.com").body["items"][0]["reason"], "complaint");
  EXPECT_EQ(Post("/v1/suppressions", {{"email", "a@example.com"}}).status, 200);
  EXPECT_EQ(Ask(Method::kDelete, "/v1/suppressions?email=a%40example.com").status, 204);
  EXPECT_EQ(Ask(Method::kDelete, "/v1/suppressions?email=a%40example.com").status, 204);
  EXPECT_EQ(Ask(Method::kDelete, "/v1/suppressions?email=nonsense").status, 422);
  EXPECT_EQ(Paths(Post("/v1/suppressions:batch", {{"suppressions", {{{"email", "x"}}, 5}}})),
            (std::set<std::string>{"/suppressions/0/email", "/suppressions/1"}));
}

class CampaignApiTest : public ApiTest {
 protected:
  static constexpr const char* kTarget = "https://shop.example.com/new?from=mail&season=spring#a%20b";

  // A campaign that is launched, to ann; gives its id.
  uint64_t Launch() {
    EXPECT_EQ(
        Ask(Method::kPut, "/v1/settings", R"({"senders":["news@shop.example.com"],"company":"Shop","postal_address":"1 Main Street"})")
            .status,
        200);
    const Said list = Post("/v1/lists", {{"name", "people"}});
    list_ = list.body["id"];
    const Said contact = Post("/v1/contacts", {{"email", "ann@example.com"}, {"lists", {list_}}});
    contact_ = std::stoull(contact.body["id"].get<std::string>());
    const std::string html =
        "<p><a href=\"https://shop.example.com/new?from=mail&amp;season=spring#a%20b\">x</a></p>{{ postal_address }}<a href=\"{{ "
        "unsubscribe_url }}\">u</a>";
    const Said saved =
        Post("/v1/templates", {{"name", "t"}, {"subject", "s"}, {"html", html}, {"text", "{{ unsubscribe_url }} {{ postal_address }}"}});
    EXPECT_EQ(saved.status, 201) << saved.body;
    template_ = saved.body["id"];
    const Said made =
        Post("/v1/campaigns", {{"name", "c"}, {"template_id", template_}, {"list_id", list_}, {"from", "news@shop.example.com"}});
    EXPECT_EQ(made.status, 201) << made.body;
    const uint64_t id = made.body["id"];
    const Said launched = Ask(Method::kPost, "/v1/campaigns/" + std::to_string(id) + ":launch");
    EXPECT_EQ(launched.status, 200) << launched.body;
    Show(launched);
    return id;
  }
  std::string Token(schema::TrackingKind kind, uint64_t campaign, uint32_t link = 0) {
    const schema::ContactId contact = schema::UnpackContactId(contact_);
    return schema::EncodeTrackingId({kind, SimApi::kTenant, contact.partition, campaign, contact.ordinal, link},
                                    *world_.keyring->Tenant(SimApi::kTenant).value());
  }
  uint64_t Records() {
    uint64_t written = 0;
    for (uint16_t p = 0; p < SimApi::kPartitions; ++p) written += world_.log.Ends({Topic::kCommands, PartitionId(p)}).written.value();
    return written;
  }

  uint64_t list_ = 0, template_ = 0, contact_ = 0;
};

TEST_F(CampaignApiTest, StatesAreGuardedAndCountsAddUp) {
  const uint64_t id = Launch();
  const std::string path = "/v1/campaigns/" + std::to_string(id);
  const Said again = Ask(Method::kPost, path + ":launch");
  EXPECT_EQ(again.status, 409) << again.body;
  EXPECT_EQ(Ask(Method::kPost, path + ":pause").body["status"], "paused");
  EXPECT_EQ(Ask(Method::kPost, path + ":resume").status, 200);
  EXPECT_EQ(Ask(Method::kPost, "/v1/campaigns/999:launch").status, 404);
  EXPECT_EQ(Ask(Method::kPost, "/v1/campaigns/x:launch").status, 404);
  world_.scheduler.RunFor(Seconds(5));
  const json counts = Get(path).body["counts"];
  EXPECT_EQ(counts["audience"], 1) << counts;
  EXPECT_EQ(counts["audience"].get<int>(), counts["pending"].get<int>() + counts["delivered"].get<int>() + counts["bounced"].get<int>() +
                                               counts["unknown"].get<int>() + counts["expired"].get<int>() + counts["skipped"].get<int>() +
                                               counts["holdout"].get<int>());
  const json sends = Get(path + "/sends").body["items"];
  ASSERT_EQ(sends.size(), 1u);
  EXPECT_EQ(sends[0]["contact_id"], std::to_string(contact_));
  EXPECT_EQ(Get(path + "/sends/" + std::to_string(contact_)).status, 200);
  EXPECT_EQ(Get(path + "/sends/12345").status, 404);
  EXPECT_EQ(Get(path + "/report").body["arms"].size(), 1u);
  EXPECT_EQ(Get(path + "/skips").status, 200);
  EXPECT_EQ(Get("/v1/sends/unknown").body["items"].size(), 0u);
  EXPECT_EQ(Get("/v1/deadletters").status, 200);
}

TEST_F(CampaignApiTest, AnEmptyAudienceCannotBeLaunched) {
  Launch();
  const uint64_t empty = Post("/v1/lists", {{"name", "empty"}}).body["id"];
  const Said made =
      Post("/v1/campaigns", {{"name", "e"}, {"template_id", template_}, {"list_id", empty}, {"from", "news@shop.example.com"}});
  const Said said = Ask(Method::kPost, "/v1/campaigns/" + made.body["id"].dump() + ":launch");
  EXPECT_EQ(said.status, 422);
  EXPECT_EQ(said.body["code"], "empty_audience");
  EXPECT_EQ(Get("/v1/campaigns/" + made.body["id"].dump()).body["status"], "draft");
}

TEST_F(CampaignApiTest, AClickLeadsToTheExactTargetAndCountsOnce) {
  const uint64_t id = Launch();
  const std::string click = "/c/" + Token(schema::TrackingKind::kClick, id);
  const uint64_t before = Records();
  const Said head = Ask(Method::kHead, click);
  EXPECT_EQ(head.status, 302);
  EXPECT_EQ(Records(), before);
  const Said said = Get(click);
  EXPECT_EQ(said.status, 302);
  EXPECT_EQ(said.response.headers["location"], kTarget);
  EXPECT_GT(Records(), before);
  EXPECT_EQ(Get("/c/" + Token(schema::TrackingKind::kClick, id, 99)).status, 404);
  EXPECT_EQ(Get("/c/" + Token(schema::TrackingKind::kOpen, id)).status, 404);
  std::string forged = Token(schema::TrackingKind::kClick, id);
  forged[forged.size() / 2] = forged[forged.size() / 2] == 'A' ? 'B' : 'A';
  EXPECT_EQ(Get("/c/" + forged).status, 404);
  world_.scheduler.RunFor(Seconds(2));
  EXPECT_EQ(Get("/v1/campaigns/" + std::to_string(id) + "/report").body["totals"]["clicks"], 1);
}

TEST_F(CampaignApiTest, OfAUserAgentOnlyItsClassIsStored) {
  const uint64_t id = Launch();
  EXPECT_EQ(Ask(Method::kGet, "/o/" + Token(schema::TrackingKind::kOpen, id) + ".gif", "",
                {{"user-agent", "Mozilla/5.0 of-ann (via ggpht.com GoogleImageProxy)"}, {"x-forwarded-for", "203.0.113.7"}})
                .status,
            200);
  EXPECT_EQ(Ask(Method::kGet, "/c/" + Token(schema::TrackingKind::kClick, id), "", {{"user-agent", "python-requests of-ann"}}).status, 302);
  EXPECT_EQ(Get("/c/" + Token(schema::TrackingKind::kClick, id)).status, 302);
  std::vector<engagements::v1::AgentClass> classes;
  for (uint16_t p = 0; p < SimApi::kPartitions; ++p) {
    const auto records = world_.log.Read({Topic::kCommands, PartitionId(p)}, Offset(0), 64 << 20, ReadTo::kDurable);
    for (const LogRecord& record : records.value()) {
      EXPECT_EQ(record.bytes.find("of-ann"), std::string::npos);
      EXPECT_EQ(record.bytes.find("203.0.113.7"), std::string::npos);
      const LogSettings& settings = world_.log.settings();
      const auto commands = command::ParseRecord(record.bytes, settings.log_id, settings.generation, PartitionId(p));
      for (const command::Command& command : commands.value()) {
        if (command.type == TypeNumberOf<engagements::v1::RecordOpen>())
          classes.push_back(schema::Decode<engagements::v1::RecordOpen>(command.payload)->agent());
        if (command.type == TypeNumberOf<engagements::v1::RecordClick>())
          classes.push_back(schema::Decode<engagements::v1::RecordClick>(command.payload)->agent());
      }
    }
  }
  EXPECT_EQ(classes, (std::vector{engagements::v1::AGENT_IMAGE_PROXY, engagements::v1::AGENT_MACHINE, engagements::v1::AGENT_UNKNOWN}));
}

TEST_F(CampaignApiTest, AReaderGetsAnAnswerThoughNothingCanBeStored) {
  const uint64_t id = Launch();
  const std::string click = "/c/" + Token(schema::TrackingKind::kClick, id);
  ASSERT_EQ(Get(click).status, 302);  // its links are in memory now
  world_.log.SetFull(true);
  EXPECT_EQ(Get(click).status, 302);
  const Said pixel = Get("/o/" + Token(schema::TrackingKind::kOpen, id) + ".gif");
  EXPECT_EQ(pixel.status, 200);
  EXPECT_EQ(pixel.response.headers["content-type"], "image/gif");
  EXPECT_EQ(Ask(Method::kPost, "/u/" + Token(schema::TrackingKind::kUnsubscribe, id), "List-Unsubscribe=One-Click").status, 503);
  EXPECT_EQ(Post("/v1/lists", {{"name", "x"}}).status, 503);
  world_.log.SetFull(false);
  EXPECT_EQ(Ask(Method::kPost, "/u/" + Token(schema::TrackingKind::kUnsubscribe, id), "List-Unsubscribe=One-Click").status, 200);
}

TEST_F(CampaignApiTest, OptingOutTakesAPost) {
  const uint64_t id = Launch();
  const std::string path = "/u/" + Token(schema::TrackingKind::kUnsubscribe, id);
  const uint64_t before = Records();
  const Said page = Get(path);
  EXPECT_EQ(page.status, 200);
  EXPECT_NE(page.response.body.find("<form method=\"post\"><button"), std::string::npos);
  EXPECT_EQ(Records(), before);
  for (const std::string& body :
       {std::string("List-Unsubscribe=One-Click"), std::string(),
        std::string("--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--")}) {
    const Said said = Ask(Method::kPost, path, body, {{"authorization", ""}});
    EXPECT_EQ(said.status, 200);
    EXPECT_FALSE(said.response.headers.Find("location") || said.response.headers.Find("set-cookie"));
  }
  EXPECT_EQ(Ask(Method::kPost, "/u/AAAA").status, 404);
  world_.scheduler.RunFor(Seconds(2));
  EXPECT_FALSE(Get("/v1/contacts/" + std::to_string(contact_)).body["unsubscribed_at"].is_null());
}

TEST_F(CampaignApiTest, AForgedPixelIsAPixelAndCountsNothing) {
  const uint64_t before = Records();
  for (const std::string token : {"AAAA.gif", "x", "A%00.gif"}) {
    const Said said = Get("/o/" + token);
    if (said.status == 404) continue;  // no path at all
    EXPECT_EQ(said.status, 200);
    EXPECT_EQ(said.response.body.substr(0, 6), "GIF89a");
  }
  EXPECT_EQ(Records(), before);
}

TEST_F(ApiTest, HealthIsForEveryone) {
  EXPECT_EQ(Get("/healthz").status, 200);
  EXPECT_EQ(Get("/readyz").status, 200);
  not_ready_ = "partition 3 is not led";
  EXPECT_EQ(Get("/readyz").status, 503);
  EXPECT_NE(Get("/").response.body.find("partition 3 is not led"), std::string::npos);
  EXPECT_NE(Get("/metrics").response.body.find("maily_tracking_signals_total"), std::string::npos);
  EXPECT_EQ(Get("/v1/limits").body["page_size_max"], 1000);
}

TEST_F(ApiTest, TheDescriptionNamesEveryRoute) {
  const Said said = Get("/api/openapi.json");
  ASSERT_EQ(said.status, 200);
  EXPECT_EQ(said.body["openapi"], "3.1.0");
  const Said docs = Get("/api/docs");
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
