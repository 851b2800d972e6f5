// What a reader outside sees of an event: the attributes, the data in either format, and personal fields where they may stand.
#include "app/public_topics.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "app/asyncapi.h"
#include "maily/campaigns/v1/events.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "schemas/codec.h"
#include "schemas/sealed.h"
#include "schemas/types.h"
#include "tests/memory_keyring.h"

namespace maily::app {
namespace {

using nlohmann::json;

struct Record {
  size_t topic = 0;
  std::string key;
  std::string value;
  std::map<std::string, std::string> headers;
};

struct Fixture : test::MemoryKeyring {
  keyring::SubjectKey key = ring->GetOrCreate(TenantId(3), "ann").value();

  contacts::v1::ContactCreated Created() {
    contacts::v1::ContactCreated event;
    event.set_ordinal(7);
    event.set_address("ann@example.com");
    auto* city = event.add_attributes();
    city->set_name("city");
    city->set_sealed("Berlin");
    schema::SealPersonal(event, TenantId(3), key, entropy);
    return event;
  }

  template <class M>
  std::optional<Record> Map(const M& message, PublicFormat format = PublicFormat::kJson) {
    const auto mapping = MakePublicMapping(*ring, format);
    const std::string payload = schema::Encode(message);
    const journal::Event event{TypeNumberOf<M>(), payload};
    const auto topic = mapping->TopicOf(event);
    if (!topic) return std::nullopt;
    journal::AcceptedFrame frame;
    frame.time = Instant{1'700'000'000'123'456};
    journal::Decision decision;
    decision.tenant = TenantId(3);
    decision.cause.command_id.bytes.fill(0xc0);
    decision.trace.bytes.fill(0xab);
    OutletBatch batch;
    const auto mapped = mapping->Map({frame, decision, event, PartitionId(5), "5-17.2"}, batch);
    EXPECT_TRUE(mapped) << mapped.error().ToString();
    if (!mapped || batch.size() != 1) return std::nullopt;
    const OutletBatch::Record& made = batch.records()[0];
    EXPECT_EQ(made.time, frame.time);
    Record record{.topic = *topic, .key = std::string(batch.text(made.key)), .value = std::string(batch.text(*made.value)), .headers = {}};
    for (const auto& header : batch.headers(made)) record.headers[std::string(batch.text(header.name))] = batch.text(header.value);
    return record;
  }
};

TEST(PublicTopics, AnEventIsACloudEventInTheKafkaBinding) {
  Fixture f;
  const auto record = f.Map(f.Created());
  ASSERT_TRUE(record);
  EXPECT_EQ(record->topic, 1u);
  const std::string contact = std::to_string((uint64_t{5} << 48) | 7);
  EXPECT_EQ(record->key, contact);
  EXPECT_EQ(record->headers, (std::map<std::string, std::string>{{"ce_specversion", "1.0"},
                                                                 {"ce_id", "5-17.2"},
                                                                 {"ce_source", "/partitions/5"},
                                                                 {"ce_type", "maily.contacts.v1.ContactCreated"},
                                                                 {"ce_time", "2023-11-14T22:13:20.123456Z"},
                                                                 {"ce_subject", contact},
                                                                 {"ce_tenant", "3"},
                                                                 {"ce_traceid", "abababababababababababababababab"},
                                                                 {"ce_causationid", "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0"},
                                                                 {"content-type", "application/json"}}));
}

TEST(PublicTopics, PersonalFieldsAreInPlainInContactsWhileTheirKeyIsThere) {
  Fixture f;
  const contacts::v1::ContactCreated created = f.Created();
  const json open = json::parse(f.Map(created)->value);
  EXPECT_EQ(open["address"], "ann@example.com");
  EXPECT_EQ(open["attributes"][0]["sealed"], "Berlin");
  const auto binary = f.Map(created, PublicFormat::kProtobuf);
  EXPECT_EQ(binary->headers.at("content-type"), "application/protobuf");
  EXPECT_EQ(schema::Decode<contacts::v1::ContactCreated>(binary->value)->address(), "ann@example.com");

  ASSERT_TRUE(f.ring->Destroy(TenantId(3), "ann"));
  const json gone = json::parse(f.Map(created)->value);
  EXPECT_FALSE(gone.contains("address"));
  EXPECT_EQ(gone["ordinal"], 7);
  EXPECT_EQ(gone["attributes"][0], json({{"name", "city"}}));
}

TEST(PublicTopics, ABoxThatNeverOpensIsLeftOut) {
  Fixture f;
  contacts::v1::ContactCreated created = f.Created();
  created.set_address("no box");
  const json data = json::parse(f.Map(created)->value);
  EXPECT_FALSE(data.contains("address"));
  EXPECT_EQ(data["ordinal"], 7);
}

TEST(PublicTopics, ElsewherePersonalFieldsAreAbsent) {
  Fixture f;
  sends::v1::AttemptOpened opened;
  opened.set_campaign_id(4);
  opened.set_ordinal(7);
  opened.set_address(f.Created().address());
  *opened.add_attributes() = f.Created().attributes(0);
  for (const PublicFormat format : {PublicFormat::kJson, PublicFormat::kProtobuf}) {
    const auto record = f.Map(opened, format);
    ASSERT_TRUE(record);
    EXPECT_EQ(record->topic, 2u);
    EXPECT_EQ(record->value.find("ann@"), std::string::npos);
    if (format == PublicFormat::kJson) {
      EXPECT_EQ(json::parse(record->value), json::parse(R"({"campaign_id":4,"ordinal":7,"attributes":[{"name":"city"}]})"));
    } else {
      EXPECT_TRUE(schema::Decode<sends::v1::AttemptOpened>(record->value)->address().empty()) << "no box either";
    }
  }
}

TEST(PublicTopics, WhatIsAboutNoContactHasTheKeyOfTheHomeAndSomeIsNotPublic) {
  Fixture f;
  campaigns::v1::CampaignPaused paused;
  paused.set_campaign_id(4);
  const auto record = f.Map(paused);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->topic, 0u);
  EXPECT_EQ(record->key, "tenant/3");
  EXPECT_EQ(f.Map(engagements::v1::Clicked())->topic, 3u);
  EXPECT_FALSE(f.Map(campaigns::v1::CampaignProgressed()));
  EXPECT_FALSE(f.Map(sends::v1::RetryDue()));
}

TEST(AsyncApi, NamesEveryPublicEventAndItsSchemaOnce) {
  const json document = json::parse(AsyncApi());
  size_t events = 0;
  for (const schema::Type& type : schema::Types()) {
    const std::string name(type.full_name);
    EXPECT_EQ(document["components"]["messages"].contains(name), type.public_topic != schema::PublicTopic::kNone) << name;
    if (type.public_topic == schema::PublicTopic::kNone) continue;
    ++events;
    const std::string topic(schema::PublicTopicName(type.public_topic));
    EXPECT_TRUE(document["channels"][topic]["messages"].contains(name)) << name;
  }
  EXPECT_EQ(document["components"]["messages"].size(), events);
  for (const char* topic : {"inbox", "inbox_of_tenant"}) {
    for (const char* type :
         {"maily.engagements.v1.RecordContactEvent", "maily.contacts.v1.UpsertContact", "maily.suppressions.v1.AddSuppression"}) {
      EXPECT_FALSE(document["channels"][topic]["messages"][type]["payload"]["examples"].empty()) << topic << type;
    }
  }
  EXPECT_TRUE(document["channels"]["dead_letters"]["messages"].contains("dead_letter"));
  // Every reference leads somewhere.
  std::vector<const json*> open = {&document};
  while (!open.empty()) {
    const json* const at = open.back();
    open.pop_back();
    if (at->is_object() && at->contains("$ref") && (*at)["$ref"].is_string()) {
      EXPECT_TRUE(document.contains(json::json_pointer((*at)["$ref"].get<std::string>().substr(1)))) << (*at)["$ref"];
    }
    if (at->is_structured()) {
      for (const json& within : *at) open.push_back(&within);
    }
  }
}

}  // namespace
}  // namespace maily::app
