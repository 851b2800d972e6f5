// JSON <-> messages, by field name; an error names the place in the JSON. Thread: any.
//
//   message object, repeated array, string string, bool boolean, enum its name in lower case (any case is read), double number,
//   integers a number if a double holds it exactly, else a string (either is read), bytes hexadecimal text.
//   Personal fields (bytes): their plaintext as a string, or sealed: base64url of the box.
//   null and absent fields are unset. Fields with default values are not written.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "streams/base/result.h"

namespace google::protobuf {
class Message;
}

namespace maily::schema {

inline constexpr int kJsonDepthMax = 64;

enum class JsonFault : uint8_t {
  kSyntax,  // not JSON
  kDepth,   // nested more than kJsonDepthMax deep
  kValue,   // an unknown or repeated field, a wrong type, out of range
};

// What is wrong, and where: "$.attributes[2].name".
struct JsonProblem {
  JsonFault fault = JsonFault::kValue;
  std::string path;
  std::string message;
};

enum class PersonalAs : uint8_t { kPlaintext, kSealed };

// Every error below is kInvalid with the message "<path>: <message>"; `problem`, if not null, gets its parts.

// Stricter than nlohmann::json::parse: a key twice in one object and deep nesting are refused.
Result<nlohmann::json> ParseJson(std::string_view text, JsonProblem* problem = nullptr);

// Sets the fields of `message` from an object. Half of them may be set after an error.
Result<void> FromJson(std::string_view text, google::protobuf::Message& message, JsonProblem* problem = nullptr,
                      PersonalAs personal = PersonalAs::kPlaintext);
// The same from a parsed value that stands at `path`.
Result<void> FromJsonValue(const nlohmann::json& value, google::protobuf::Message& message, std::string_view path = "$",
                           JsonProblem* problem = nullptr, PersonalAs personal = PersonalAs::kPlaintext);

// One line, fields in the order of their numbers.
std::string ToJson(const google::protobuf::Message& message, PersonalAs personal);

}  // namespace maily::schema
