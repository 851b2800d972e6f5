// See asyncapi.h.
#include "app/asyncapi.h"

#include <nlohmann/json.hpp>

#include "api/inbox.h"
#include "api/routes.h"
#include "app/dead_letter.h"
#include "app/public_topics.h"
#include "schemas/json_schema.h"
#include "schemas/types.h"

namespace maily::app {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kSchemas = "#/components/schemas/";

ordered_json Text(const char* description) { return {{"type", "string"}, {"description", description}}; }

// Of every record: the attributes of CloudEvents 1.0 in the Kafka binding's binary mode, and its content type.
ordered_json Headers() {
  return {{"type", "object"},
          {"required", {"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"}},
          {"properties",
           {{"ce_specversion", {{"type", "string"}, {"const", "1.0"}}},
            {"ce_id", Text("<partition>-<lsn>.<index>: grows within a partition; skip what is not greater than the last you saw")},
            {"ce_source", Text("/partitions/<partition>")},
            {"ce_type", Text("full name of the event's type")},
            {"ce_time", Text("when it was decided, RFC 3339")},
            {"ce_subject", Text("whom it is about, as the key")},
            {"ce_tenant", Text("number of the tenant")},
            {"ce_traceid", Text("32 hexadecimal digits, as in a W3C traceparent")},
            {"ce_causationid", Text("id of the command that it was decided for; work:… or timer:… otherwise")},
            {"content-type", {{"type", "string"}, {"enum", {"application/json", "application/protobuf"}}}}}}};
}

ordered_json Message(const schema::Type& type) {
  return {{"name", type.full_name},
          {"contentType", "application/json"},
          {"headers", {{"$ref", std::string(kSchemas) + "headers"}}},
          {"payload", {{"$ref", std::string(kSchemas) + std::string(type.full_name)}}},
          {"bindings", {{"kafka", {{"key", Text("id of the contact, or tenant/<number>")}}}}}};
}

// An event that a producer writes; its data are the body of a route, whose example stands here.
ordered_json Taken(const api::InboxType& type) {
  ordered_json payload = {{"type", "object"}, {"description", "the body of POST " + std::string(type.path)}};
  for (const api::RouteRow& route : api::Routes()) {
    if (route.method != http::Method::kPost || route.pattern != type.path) continue;
    ordered_json example = ordered_json::parse(route.example);
    if (type.path == "/v1/events") {
      example.erase("id");
      payload["description"] = "the body of POST /v1/events without id and occurred_at, which source, id and time say";
    }
    payload["examples"] = {std::move(example)};
  }
  ordered_json headers = {{"type", "object"},
                          {"required", {"ce_specversion", "ce_id", "ce_source", "ce_type"}},
                          {"properties",
                           {{"ce_specversion", {{"type", "string"}, {"const", "1.0"}}},
                            {"ce_id", Text("with ce_source, names the record for 24 hours")},
                            {"ce_source", Text("a URI reference; at most 199 bytes with ce_id")},
                            {"ce_type", {{"type", "string"}, {"const", type.type}}},
                            {"ce_time", Text("when it happened, RFC 3339")},
                            {"ce_tenant", Text("if given, must be the topic's tenant")},
                            {"content-type", {{"type", "string"}, {"enum", {"application/json", "application/cloudevents+json"}}}}}}};
  return {{"name", type.type},
          {"contentType", "application/json"},
          {"headers", std::move(headers)},
          {"payload", std::move(payload)},
          {"bindings", {{"kafka", {{"key", Text("records with the same key are decided in their order")}}}}}};
}

ordered_json DeadLetterMessage() {
  ordered_json properties = ordered_json::object();
  properties[std::string(kDeadIdHeader)] = Text("once each");
  for (const auto& [name, description] : std::initializer_list<std::pair<const char*, const char*>>{
           {"maily-source-topic", "where it stood"},
           {"maily-source-partition", "where it stood"},
           {"maily-source-offset", "where it stood"},
           {"maily-source-time", "its time there, RFC 3339"},
           {"maily-error-code", "what was wrong, stable"},
           {"maily-error-message", "the same for a person"},
           {"maily-error-field", "the attribute, or JSON Pointer into the data"},
           {"maily-attempts", "how often it was tried"},
           {"maily-first-tried-at", "RFC 3339"},
           {"maily-last-tried-at", "RFC 3339"},
           {"maily-build", "of Maily"},
           {"maily-no-key", "true: the record had no key"},
           {"maily-key-bytes", "size of a key of which only the beginning is kept"},
           {"maily-value-bytes", "size of a value of which only the first 64 KiB are kept"},
           {"maily-value-sha256", "of such a value"},
           {"maily-headers-left-out", "how many of the record's headers are not kept"}}) {
    properties[name] = Text(description);
  }
  return {{"name", "dead_letter"},
          {"headers", {{"type", "object"}, {"properties", std::move(properties)}}},
          {"payload", {{"description", "the record's own value, headers and key"}}}};
}

void AddInbox(ordered_json& channels, ordered_json& operations) {
  ordered_json taken = ordered_json::object();
  for (const api::InboxType& type : api::InboxTypes()) taken[std::string(type.type)] = Taken(type);
  channels["inbox"] = {{"address", "maily.inbox"}, {"messages", taken}};
  channels["inbox_of_tenant"] = {{"address", "maily.inbox.{tenant}"},
                                 {"parameters", {{"tenant", {{"description", "number of a tenant in the setting inbox_tenants"}}}}},
                                 {"messages", std::move(taken)}};
  channels["dead_letters"] = {{"address", "maily.inbox.dead"}, {"messages", {{"dead_letter", DeadLetterMessage()}}}};
  operations["take_inbox"] = {{"action", "receive"}, {"channel", {{"$ref", "#/channels/inbox"}}}};
  operations["take_inbox_of_tenant"] = {{"action", "receive"}, {"channel", {{"$ref", "#/channels/inbox_of_tenant"}}}};
  operations["read_dead_letters"] = {{"action", "send"}, {"channel", {{"$ref", "#/channels/dead_letters"}}}};
}

}  // namespace

std::string AsyncApi() {
  ordered_json channels = ordered_json::object();
  ordered_json operations = ordered_json::object();
  ordered_json messages = ordered_json::object();
  ordered_json schemas = {{"headers", Headers()}};
  const std::vector<kafka::PublicTopic> topics = PublicTopicsOf(kafka::Options());
  for (const schema::PublicTopic topic : schema::kPublicTopics) {
    const std::string name(schema::PublicTopicName(topic));
    const kafka::PublicTopic& wanted = topics[static_cast<size_t>(topic) - 1];
    ordered_json carried = ordered_json::object();
    for (const schema::Type& type : schema::Types()) {
      if (type.public_topic != topic) continue;
      const std::string full(type.full_name);
      carried[full] = {{"$ref", "#/components/messages/" + full}};
      messages[full] = Message(type);
      schema::AddJsonSchema(*type.descriptor, kSchemas, schemas);
    }
    channels[name] = {
        {"address", wanted.name},
        {"messages", std::move(carried)},
        {"bindings",
         {{"kafka",
           {{"topicConfiguration",
             {{"cleanup.policy", {"delete"}}, {"retention.ms", wanted.retention.us == 0 ? -1 : wanted.retention.us / 1000}}}}}}}};
    operations["read_" + name] = {{"action", "send"}, {"channel", {{"$ref", "#/channels/" + name}}}};
  }
  AddInbox(channels, operations);
  const ordered_json document = {
      {"asyncapi", "3.0.0"},
      {"info",
       {{"title", "Maily: public topics and the inbox"},
        {"version", "1"},
        {"description",
         "Events as CloudEvents 1.0, Kafka binding, binary mode. Topics begin with the prefix of the log, `maily` unless its address names "
         "another "
         "one. Data is JSON, or Protobuf by the setting public_format. Fields with default values are not written."}}},
      {"defaultContentType", "application/json"},
      {"channels", std::move(channels)},
      {"operations", std::move(operations)},
      {"components", {{"messages", std::move(messages)}, {"schemas", std::move(schemas)}}}};
  return document.dump(2);
}

}  // namespace maily::app
