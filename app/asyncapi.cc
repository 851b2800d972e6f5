// See asyncapi.h.
#include "app/asyncapi.h"

#include <nlohmann/json.hpp>

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
  const ordered_json document = {
      {"asyncapi", "3.0.0"},
      {"info",
       {{"title", "Maily: public topics"},
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
