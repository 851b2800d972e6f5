// CloudEvents 1.0 as producers write them to Kafka, by its Kafka protocol binding: in binary mode (attributes in headers that begin with
// ce_, data in the value) or structured mode (all of it in the value, content-type application/cloudevents+json).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "streams/base/ids.h"

namespace maily::api {

// What an inbox takes of one record; of more it says so. In bytes.
inline constexpr size_t kInboxValueBytesMax = 64 * 1024;
inline constexpr size_t kInboxIdentityBytesMax = 199;  // source and id together

// A record of an inbox topic. Its tenant is the topic's: who may write there speaks for him.
struct InboxRecord {
  TenantId tenant;
  std::string actor;                 // "inbox:<topic>"
  std::optional<std::string> value;  // none: a tombstone
  std::vector<std::pair<std::string, std::string>> headers;
};

struct InboxEvent {
  std::string type;
  std::string time;          // RFC 3339 as given, or empty
  std::string content_type;  // of the data; empty: JSON
  std::string data;
  std::string name;  // "<source> <id>": of two records with the same one, the second is the first again. A source has no space
  TraceId trace;     // of traceparent; zero: there is none
};

// Why a record becomes no command.
struct InboxRefusal {
  std::string code;     // stable
  std::string message;  // for a person
  std::string field;    // the attribute, or JSON Pointer into the data; empty: the whole
};

// Pure. Data are not looked into, but in structured mode.
std::variant<InboxEvent, InboxRefusal> ReadInboxEvent(const InboxRecord& record);

}  // namespace maily::api
