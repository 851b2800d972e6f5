// Records of an inbox through the whole API: both modes, each thing that can be wrong, and the same one again.
#include "api/inbox.h"

#include "tests/api/client.h"

namespace maily::api {
namespace {

using Kind = InboxVerdict::Kind;
using Headers = std::vector<std::pair<std::string, std::string>>;

constexpr const char* kContact = "maily.contacts.v1.UpsertContact";
constexpr const char* kEvent = "maily.engagements.v1.RecordContactEvent";

class InboxTest : public ApiTest {
 protected:
  InboxTest() : inbox_(dependencies_) {}

  static InboxRecord Record(std::optional<std::string> value, Headers headers) {
    return {.tenant = SimApi::kTenant, .actor = "inbox:maily.inbox", .value = std::move(value), .headers = std::move(headers)};
  }
  static InboxRecord Binary(const std::string& id, const std::string& type, const json& data, const Headers& more = {}) {
    Headers headers{
        {"ce_specversion", "1.0"}, {"ce_id", id}, {"ce_source", "/shop"}, {"ce_type", type}, {"content-type", "application/json"}};
    headers.insert(headers.end(), more.begin(), more.end());
    return Record(data.dump(), std::move(headers));
  }
  static InboxRecord Structured(const json& event) {
    return Record(event.dump(), {{"content-type", "application/cloudevents+json; charset=utf-8"}});
  }

  InboxVerdict Take(const InboxRecord& record) {
    const auto verdict = std::make_shared<std::optional<InboxVerdict>>();
    inbox_.Take(record, [verdict](InboxVerdict v) { *verdict = std::move(v); });
    EXPECT_TRUE(world_.Until([&] { return verdict->has_value(); }));
    return verdict->value_or(InboxVerdict{});
  }
  // "code field"; "accepted" and "duplicate" if it was not refused.
  std::string Say(const InboxRecord& record) {
    const InboxVerdict verdict = Take(record);
    switch (verdict.kind) {
      case Kind::kAccepted:
        return "accepted";
      case Kind::kDuplicate:
        return "duplicate";
      case Kind::kRefused:
        EXPECT_FALSE(verdict.why.message.empty());
        return verdict.why.code + " " + verdict.why.field;
      case Kind::kAgain:
        return "again";
      case Kind::kBroken:
        return "broken";
    }
    return "";
  }
  uint64_t Contacts() {
    const Said said = Get("/v1/contacts");
    return said.body["items"].size();
  }

  Inbox inbox_;
};

TEST_F(InboxTest, BothModesMakeTheCommandsOfTheApi) {
  EXPECT_EQ(Say(Binary("1", kContact, {{"email", "ann@example.com"}})), "accepted");
  EXPECT_EQ(Say(Structured({{"specversion", "1.0"},
                            {"id", "2"},
                            {"source", "/shop"},
                            {"type", kEvent},
                            {"tenant", 1},
                            {"time", "2023-11-14T10:00:00Z"},
                            {"data", {{"type", "visit"}, {"contact", {{"email", "ann@example.com"}}}}}})),
            "accepted");
  EXPECT_EQ(Say(Binary("3", "maily.suppressions.v1.AddSuppression", {{"email", "ann@example.com"}}, {{"ce_tenant", "1"}})), "accepted");
}

TEST_F(InboxTest, SourceAndIdAreOneRecord) {
  const json ann{{"email", "ann@example.com"}, {"attributes", {{"first_name", "Ann"}}}};
  const json bea{{"email", "ann@example.com"}, {"attributes", {{"first_name", "Bea"}}}};
  EXPECT_EQ(Say(Binary("1", kContact, ann)), "accepted");
  EXPECT_EQ(Say(Binary("2", kContact, bea)), "accepted");
  EXPECT_EQ(Say(Binary("1", kContact, ann)), "accepted");  // decided once: she stays Bea
  world_.scheduler.RunFor(Seconds(2));
  const Said shown = Get("/v1/contacts?email=ann%40example.com");
  ASSERT_EQ(shown.body["items"].size(), 1u) << shown.body;
  EXPECT_EQ(shown.body["items"][0]["attributes"]["first_name"], "Bea");
  EXPECT_EQ(Say(Binary("1", kContact, bea)), "idempotency_key_reused ");

  const json visit{{"type", "visit"}, {"contact", {{"email", "ann@example.com"}}}};
  const json order{{"type", "order"}, {"contact", {{"email", "ann@example.com"}}}};
  EXPECT_EQ(Say(Binary("1", kEvent, visit)), "accepted");
  EXPECT_EQ(Say(Binary("1", kEvent, visit)), "duplicate");
  EXPECT_EQ(Say(Binary("1", kEvent, order)), "event_id_reused ");
  InboxRecord elsewhere = Binary("1", kEvent, order);
  elsewhere.headers[2].second = "/other-shop";
  EXPECT_EQ(Say(elsewhere), "accepted");
}

TEST_F(InboxTest, WhatWasRefusedForLackOfItsContactIsTakenLater) {
  const InboxRecord visit = Binary("1", kEvent, {{"type", "visit"}, {"contact", {{"email", "ann@example.com"}}}});
  EXPECT_EQ(Say(visit), "unknown_contact ");
  EXPECT_EQ(Say(Binary("2", kContact, {{"email", "ann@example.com"}})), "accepted");
  EXPECT_EQ(Say(visit), "accepted");
}

TEST_F(InboxTest, EachThingThatIsWrongIsNamed) {
  const json ann{{"email", "ann@example.com"}};
  EXPECT_EQ(Say(Record("\xff\x00garbage", {})), "not_a_cloudevent ");
  EXPECT_EQ(Say(Record(std::nullopt, {{"ce_id", "1"}})), "no_data ");
  EXPECT_EQ(Say(Record(std::string(5 << 20, 'x'), {})), "too_large ");
  EXPECT_EQ(Say(Record("{", {{"content-type", "application/cloudevents+json"}})), "malformed_json ");
  EXPECT_EQ(Say(Record("[]", {{"content-type", "application/cloudevents-batch+json"}})), "unsupported_media_type content-type");
  EXPECT_EQ(Say(Structured({{"specversion", "1.0"}, {"data_base64", "e30="}})), "unsupported_data data_base64");
  EXPECT_EQ(Say(Structured({{"specversion", {1}}})), "wrong_type specversion");
  InboxRecord old = Binary("1", kContact, ann);
  old.headers[0].second = "0.3";
  EXPECT_EQ(Say(old), "unsupported_specversion specversion");
  EXPECT_EQ(Say(Binary("1", kContact, ann, {{"ce_tenant", "2"}})), "forged_tenant tenant");
  EXPECT_EQ(Say(Binary("1", kContact, ann, {{"ce_id", "2"}})), "duplicate_header ce_id");
  EXPECT_EQ(Say(Binary("", kContact, ann)), "missing_attribute id");
  EXPECT_EQ(Say(Binary("1\n", kContact, ann)), "invalid_attribute id");
  EXPECT_EQ(Say(Binary(std::string(200, 'i'), kContact, ann)), "too_long id");
  EXPECT_EQ(Say(Binary("1", "maily.contacts.v1.UpsertContacts", ann)), "unknown_type type");
  EXPECT_EQ(Say(Binary("1", kContact, {{"email", "nobody"}})), "invalid_request /email");
  EXPECT_EQ(Say(Binary("1", kContact, {{"email", "ann@example.com"}, {"colour", 1}})), "invalid_request /colour");
  EXPECT_EQ(Say(Binary("1", kEvent, {{"id", "x"}})), "twice /id");
  EXPECT_EQ(Say(Binary("1", kEvent, json::object(), {{"ce_time", "\xff"}})), "invalid_attribute time");
  EXPECT_EQ(Say(Binary("1", "\xff", json::object())), "invalid_attribute type");
  EXPECT_EQ(Say(Binary("1", kContact, ann, {{"ce_tenant", "\xff"}})), "forged_tenant tenant");
  EXPECT_EQ(Say(Binary("1", kContact, ann, {{"ce_\xff", "\xff"}, {"ce_\xff", "\xff"}})), "duplicate_header ce_\xff");
  InboxRecord text = Binary("1", kContact, ann);
  text.headers.back().second = "text/plain";
  EXPECT_EQ(Say(text), "unsupported_media_type ");
  EXPECT_EQ(Contacts(), 0u);
}

TEST_F(InboxTest, WhileNothingCanBeAppendedNothingIsRefused) {
  world_.log.SetFull(true);
  EXPECT_EQ(Say(Binary("1", kContact, {{"email", "ann@example.com"}})), "again");
  world_.log.SetFull(false);
  EXPECT_EQ(Say(Binary("1", kContact, {{"email", "ann@example.com"}})), "accepted");
}

}  // namespace
}  // namespace maily::api
