// Events through the whole API: verdicts in order, limits, one id twice, and a log that takes nothing.
#include "api/engagements.h"

#include <gtest/gtest.h>

#include "maily/contacts/v1/commands.pb.h"
#include "maily/tenants/v1/commands.pb.h"
#include "schemas/address.h"
#include "schemas/sealed.h"
#include "tests/api/sim_api.h"

namespace maily::api {
namespace {

using nlohmann::json;
using testing::SimApi;

class EventsTest : public ::testing::Test {
 protected:
  EventsTest()
      : router_(MakeRouter({.sender = *world_.sender,
                            .replies = *world_.replies,
                            .keyring = *world_.keyring,
                            .views = *world_.views,
                            .clock = world_.scheduler.clock(),
                            .entropy = world_.scheduler.entropy(),
                            .executor = *world_.api,
                            .blocking = {world_.disk.get()},
                            .bulk = *world_.disk,
                            .log = world_.log.settings(),
                            .read_message_id = {},
                            .not_ready = [] { return std::string(); },
                            .version = "test"})) {
    const gateway::NewApiKey key = gateway::MakeApiKey(world_.scheduler.entropy());
    tenants::v1::CreateApiKey create;
    create.set_key_id(key.key_id);
    create.set_secret_hash(key.hash.data(), key.hash.size());
    create.add_scopes("ingest");
    create.set_label("shop");
    world_.Command(create);
    key_ = key.text;
    AddContact("ann@example.com");
  }

  void AddContact(const std::string& email) {
    const schema::Address address = schema::ParseAddress(email).value();
    const keyring::TenantKeys& keys = *world_.keyring->Tenant(SimApi::kTenant).value();
    contacts::v1::UpsertContact upsert;
    upsert.set_contact_key(schema::ContactKey(keys, address.normalised));
    upsert.set_domain_key(schema::DomainKey(keys, address.domain));
    upsert.set_address(schema::Seal(SimApi::kTenant, world_.keyring->GetOrCreate(SimApi::kTenant, upsert.contact_key()).value(), "address",
                                    email, world_.scheduler.entropy()));
    upsert.set_personal_digest(std::string(16, 'd'));
    const json answer = world_.Command(upsert, upsert.contact_key());
    contact_id_ = schema::PackContactId({PartitionId(answer["partition"].get<uint16_t>()), answer["contact_ordinal"].get<uint64_t>()});
  }

  http::Response Post(const std::string& path, const std::string& body) {
    http::Request request{.method = http::Method::kPost, .target = path, .body = body};
    request.headers.Add("authorization", "Bearer " + key_);
    request.headers.Add("content-type", "application/json");
    const http::Router::Match match = router_.Find(request.method, path, request.params);
    std::optional<http::Response> response;
    match.route->handler(std::move(request), [&response](http::Response r) { response = std::move(r); });
    EXPECT_TRUE(world_.Until([&response] { return response.has_value(); }));
    return response.value_or(http::Response{.status = 0});
  }
  // The verdicts of a batch.
  std::vector<std::string> Verdicts(const json& events) {
    const http::Response response = Post("/v1/events:batch", json{{"events", events}}.dump());
    EXPECT_EQ(response.status, 202) << response.body;
    last_ = json::parse(response.body);
    std::vector<std::string> verdicts;
    for (const json& event : last_["events"]) verdicts.push_back(event["verdict"]);
    return verdicts;
  }
  static json Event(const std::string& id, const std::string& email = "ann@example.com") {
    return {{"id", id}, {"type", "visit"}, {"contact", {{"email", email}}}};
  }

  using V = std::vector<std::string>;
  SimApi world_;
  http::Router router_;
  std::string key_;
  uint64_t contact_id_ = 0;
  json last_;
};

TEST_F(EventsTest, AVerdictForEachInOrder) {
  json conversion = Event("1");
  conversion.update({{"type", "conversion"},
                     {"revenue_cents", 100},
                     {"currency", "EUR"},
                     {"properties", {{"shoe", 42}}},
                     {"occurred_at", "2023-11-14T10:00:00Z"}});
  const json other = {{"id", "1"}, {"type", "visit"}, {"contact", {{"email", "ann@example.com"}}}};
  json by_id = Event("5");
  by_id["contact"] = {{"id", std::to_string(contact_id_)}};
  EXPECT_EQ(Verdicts({conversion, Event("2", "nobody@example.com"), {{"id", "3"}, {"type", 7}}, conversion, other, by_id}),
            (V{"accepted", "rejected", "rejected", "duplicate", "conflict", "accepted"}));
  EXPECT_EQ(last_["events"][1]["code"], "unknown_contact");
  EXPECT_EQ(last_["events"][4]["code"], "event_id_reused");
  EXPECT_EQ(Verdicts(json::array({conversion})), V{"duplicate"});
}

TEST_F(EventsTest, SayingTheSameContactOtherwiseIsTheSameEvent) {
  EXPECT_EQ(Verdicts({Event("a"), Event("a", "ANN@Example.COM")}), (V{"accepted", "duplicate"}));
}

TEST_F(EventsTest, WhatIsWrongIsNamed) {
  json negative = Event("n");
  negative["revenue_cents"] = -1;
  json currency = Event("c");
  currency["currency"] = "euro";
  json both = Event("b");
  both["contact"]["id"] = "1";
  json typo = Event("t");
  typo["revenu_cents"] = 1;
  json later = Event("l");
  later["occurred_at"] = "2923-11-14T10:00:00Z";
  EXPECT_EQ(Verdicts({negative, currency, both, typo, later, "x", Event("good")}),
            (V{"rejected", "rejected", "rejected", "rejected", "rejected", "rejected", "accepted"}));
  for (int i = 0; i < 6; ++i) EXPECT_FALSE(last_["events"][i]["code"].get<std::string>().empty());
}

TEST_F(EventsTest, PropertiesAreSealed) {
  json event = Event("p");
  event["properties"] = {{"diagnosis", "secret-word"}};
  EXPECT_EQ(Verdicts(json::array({event})), V{"accepted"});
  for (const Topic topic : kTopics) {
    for (uint16_t p = 0; p < SimApi::kPartitions; ++p) {
      const auto records = world_.log.Read({topic, PartitionId(p)}, Offset(0), 10 << 20, ReadTo::kWritten).value();
      for (const LogRecord& record : records) EXPECT_EQ(record.bytes.find("secret-word"), std::string::npos);
    }
  }
}

TEST_F(EventsTest, OverALimitNoneIsTaken) {
  json many = json::array();
  for (size_t i = 0; i <= kEventsPerBatchMax; ++i) many.push_back(Event(std::to_string(i)));
  EXPECT_EQ(Post("/v1/events:batch", json{{"events", many}}.dump()).status, 413);
  json large = Event("large");
  large["properties"] = {{"x", std::string(kEventBytesMax, 'x')}};
  EXPECT_EQ(Post("/v1/events:batch", json{{"events", {Event("0"), large}}}.dump()).status, 413);
  EXPECT_EQ(Post("/v1/events", large.dump()).status, 413);
  many.erase(many.size() - 1);
  EXPECT_EQ(Verdicts(many), V(kEventsPerBatchMax, "accepted"));
}

TEST_F(EventsTest, OneEventAlone) {
  EXPECT_EQ(Post("/v1/events", Event("one").dump()).status, 202);
  EXPECT_EQ(Post("/v1/events", "{\"id\":").status, 400);
  EXPECT_EQ(Post("/v1/events", "{\"id\":\"x\"}").status, 422);
}

TEST_F(EventsTest, TheTokenLeadsToWhatWasRecorded) {
  const http::Response response = Post("/v1/events", Event("t").dump());
  EXPECT_FALSE(response.headers["maily-consistency-token"].empty());
}

TEST_F(EventsTest, ALogThatTakesNothingIs503) {
  world_.log.SetFull(true);
  EXPECT_EQ(Post("/v1/events:batch", json{{"events", {Event("f1"), Event("f2")}}}.dump()).status, 503);
  world_.log.SetFull(false);
  EXPECT_EQ(Verdicts({Event("f1"), Event("f2")}), (V{"accepted", "accepted"}));
}

TEST_F(EventsTest, AnIngestKeyDoesNothingElse) {
  EXPECT_EQ(Post("/v1/lists", "{\"name\":\"x\"}").status, 403);
  key_ = "mk_nobody_nothing";
  EXPECT_EQ(Post("/v1/events", Event("k").dump()).status, 401);
}

// What a tool needs to offer the routes.
TEST_F(EventsTest, TheApiDescribesItself) {
  const auto get = [this](const std::string& path) {
    http::Request request{.target = path};
    const http::Router::Match match = router_.Find(http::Method::kGet, path, request.params);
    http::Response response{.status = 404};
    if (match.route != nullptr) match.route->handler(std::move(request), [&response](http::Response r) { response = std::move(r); });
    return response;
  };
  const json document = json::parse(get("/api/openapi.json").body);
  EXPECT_EQ(document["openapi"], "3.1.0");
  EXPECT_TRUE(document["paths"]["/v1/events:batch"].contains("post"));
  const std::string page = get("/api/docs").body;
  EXPECT_NE(page.find("/v1/campaigns/{id}:launch"), std::string::npos);
  for (const char* foreign : {"<script src", "<link", "@import", "<img"}) EXPECT_EQ(page.find(foreign), std::string::npos) << foreign;
  EXPECT_EQ(get("/healthz").status, 200);
  EXPECT_EQ(get("/readyz").status, 200);
  EXPECT_EQ(get("/metrics").headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
}

}  // namespace
}  // namespace maily::api
