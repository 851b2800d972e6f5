// JSON Schemas of messages, as ToJson (json.h) writes them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace google::protobuf {
class Descriptor;
}

namespace maily::schema {

// Adds the schema of `message`, under its full name, and of all messages within to the object `schemas`; they refer to each other by
// `prefix` + full name. Thread: any.
void AddJsonSchema(const google::protobuf::Descriptor& message, std::string_view prefix, nlohmann::ordered_json& schemas);

}  // namespace maily::schema
