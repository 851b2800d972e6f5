// Events through the whole API: verdicts in order, limits, one id twice, and a log that takes nothing.
#include "api/engagements.h"

#include "tests/api/client.h"

namespace maily::api {
namespace {

class EventsTest : public ApiTest {
 protected:
  EventsTest() {
    const Said made = ApiTest::Post("/v1/contacts", {{"email", "ann@example.com"}});
    contact_id_ = made.body["id"];
    Show(made);
    as_ = NewKey(SimApi::kTenant, "ingest");
  }

  Said Post(const std::string& path, const std::string& body) { return Ask(Method::kPost, path, body); }
  // The verdicts of a batch.
  std::vector<std::string> Verdicts(const json& events) {
    const Said said = Post("/v1/events:batch", json{{"events", events}}.dump());
    EXPECT_EQ(said.status, 202) << said.body;
    last_ = said.body;
    std::vector<std::string> verdicts;
    for (const json& event : last_["events"]) verdicts.push_back(event["verdict"]);
    return verdicts;
  }
  static json Event(const std::string& id, const std::string& email = "ann@example.com") {
    return {{"id", id}, {"type", "visit"}, {"contact", {{"email", email}}}};
  }

  using V = std::vector<std::string>;
  std::string contact_id_;
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
  by_id["contact"] = {{"id", contact_id_}};
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

TEST_F(EventsTest, TheTokenLeadsToWhatWasRecorded) { EXPECT_FALSE(Post("/v1/events", Event("t").dump()).token().empty()); }

TEST_F(EventsTest, ALogThatTakesNothingIs503) {
  world_.log.SetFull(true);
  EXPECT_EQ(Post("/v1/events:batch", json{{"events", {Event("f1"), Event("f2")}}}.dump()).status, 503);
  world_.log.SetFull(false);
  EXPECT_EQ(Verdicts({Event("f1"), Event("f2")}), (V{"accepted", "accepted"}));
}

TEST_F(EventsTest, AnIngestKeyDoesNothingElse) {
  EXPECT_EQ(Post("/v1/lists", "{\"name\":\"x\"}").status, 403);
  as_ = "mk_nobody_nothing";
  EXPECT_EQ(Post("/v1/events", Event("k").dump()).status, 401);
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

}  // namespace
}  // namespace maily::api
