// See inbox_event.h.
#include "api/inbox_event.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "api/http/message.h"
#include "schemas/json.h"
#include "streams/base/utf8.h"

namespace maily::api {
namespace {

using nlohmann::json;

constexpr std::string_view kPrefix = "ce_";
constexpr std::string_view kStructured = "application/cloudevents";
constexpr std::string_view kStructuredJson = "application/cloudevents+json";
constexpr std::string_view kVersion = "1.0";

using Attributes = std::map<std::string, std::string, std::less<>>;

struct Parts {
  Attributes attributes;  // without the prefix
  std::string content_type;
  std::string data;
};
using Read = std::variant<Parts, InboxRefusal>;

InboxRefusal Refusal(std::string code, std::string field, std::string message) {
  return {.code = std::move(code), .message = std::move(message), .field = std::move(field)};
}

// Of one name; refused if it stands twice, since two readers would see two events.
std::optional<InboxRefusal> OneHeader(const InboxRecord& record, std::string_view name, std::optional<std::string>& value) {
  for (const auto& [header, text] : record.headers) {
    if (header != name) continue;
    if (value) return Refusal("duplicate_header", std::string(name), fmt::format("the header {} stands twice", name));
    value = text;
  }
  return std::nullopt;
}

Read ReadBinary(const InboxRecord& record, std::string content_type) {
  Parts parts{.attributes = {}, .content_type = std::move(content_type), .data = *record.value};
  for (const auto& [header, text] : record.headers) {
    if (!header.starts_with(kPrefix)) continue;
    if (!parts.attributes.emplace(header.substr(kPrefix.size()), text).second) {
      return Refusal("duplicate_header", header, fmt::format("the header {} stands twice", header));
    }
  }
  if (parts.attributes.empty()) {
    return Refusal("not_a_cloudevent", "",
                   "neither headers that begin with ce_ nor the content-type application/cloudevents+json: this is no CloudEvent");
  }
  return parts;
}

Read ReadStructured(const InboxRecord& record, std::string_view content_type) {
  const std::string_view media = content_type.substr(0, content_type.find(';'));
  if (media != kStructuredJson) {
    return Refusal("unsupported_media_type", "content-type",
                   fmt::format("{} is not taken: write application/cloudevents+json, one event a record, or binary mode", media));
  }
  const auto parsed = schema::ParseJson(*record.value);
  if (!parsed) return Refusal("malformed_json", "", "the value is no acceptable JSON: " + parsed.error().message);
  if (!parsed->is_object()) return Refusal("malformed_json", "", "the value must be a JSON object");
  Parts parts;
  for (const auto& [name, value] : parsed->items()) {
    if (name == "data") {
      parts.data = value.dump();
    } else if (name == "data_base64") {
      return Refusal("unsupported_data", name, "data_base64 is not taken: write the JSON of the event as data");
    } else if (value.is_string()) {
      parts.attributes[name] = value.get<std::string>();
    } else if (value.is_number_integer() || value.is_boolean()) {
      parts.attributes[name] = value.dump();
    } else if (!value.is_null()) {
      return Refusal("wrong_type", name, fmt::format("the attribute {} must be a string", name));
    }
  }
  if (const auto type = parts.attributes.find("datacontenttype"); type != parts.attributes.end()) parts.content_type = type->second;
  return parts;
}

bool IsPlainText(std::string_view text) {
  return IsUtf8(text) && std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

std::string Of(const Attributes& attributes, std::string_view name) {
  const auto found = attributes.find(name);
  return found == attributes.end() ? std::string() : found->second;
}

std::optional<InboxRefusal> CheckAttributes(const Attributes& attributes, TenantId tenant) {
  const auto version = attributes.find("specversion");
  if (version == attributes.end()) return Refusal("missing_attribute", "specversion", "the attribute specversion is missing");
  if (version->second != kVersion) {
    return Refusal("unsupported_specversion", "specversion",
                   fmt::format("specversion is '{}'; what is taken is CloudEvents {}", version->second.substr(0, 20), kVersion));
  }
  for (const char* name : {"id", "source", "type"}) {
    const auto found = attributes.find(name);
    if (found == attributes.end() || found->second.empty()) {
      return Refusal("missing_attribute", name, fmt::format("the attribute {} is missing", name));
    }
    if (!IsPlainText(found->second)) return Refusal("invalid_attribute", name, fmt::format("the attribute {} is no printable text", name));
  }
  if (Of(attributes, "source").find(' ') != std::string::npos) {
    return Refusal("invalid_attribute", "source", "source is a URI reference (RFC 3986): it has no space");
  }
  if (const size_t size = Of(attributes, "source").size() + Of(attributes, "id").size(); size > kInboxIdentityBytesMax) {
    return Refusal("too_long", "id",
                   fmt::format("source and id have {} bytes together, at most {} are taken", size, kInboxIdentityBytesMax));
  }
  if (!IsPlainText(Of(attributes, "time"))) return Refusal("invalid_attribute", "time", "the attribute time is no printable text");
  const auto claimed = attributes.find("tenant");
  if (claimed != attributes.end() && claimed->second != std::to_string(tenant.value())) {
    return Refusal(
        "forged_tenant", "tenant",
        fmt::format("the record claims tenant '{}', and this topic is of tenant {}", claimed->second.substr(0, 20), tenant.value()));
  }
  return std::nullopt;
}

}  // namespace

std::variant<InboxEvent, InboxRefusal> ReadInboxEvent(const InboxRecord& record) {
  if (!record.value) return Refusal("no_data", "", "the record has no value");
  if (record.value->size() > kInboxValueBytesMax) {
    return Refusal("too_large", "", fmt::format("the value has {} bytes, at most {} are taken", record.value->size(), kInboxValueBytesMax));
  }
  std::optional<std::string> content_type;
  if (auto twice = OneHeader(record, "content-type", content_type)) return *std::move(twice);
  const bool structured = content_type && content_type->starts_with(kStructured);
  Read read = structured ? ReadStructured(record, *content_type) : ReadBinary(record, content_type.value_or(""));
  if (auto* refusal = std::get_if<InboxRefusal>(&read)) return std::move(*refusal);
  Parts& parts = std::get<Parts>(read);
  if (auto wrong = CheckAttributes(parts.attributes, record.tenant)) return *std::move(wrong);
  std::optional<std::string> parent;
  if (auto twice = OneHeader(record, "traceparent", parent)) return *std::move(twice);
  return InboxEvent{.type = Of(parts.attributes, "type"),
                    .time = Of(parts.attributes, "time"),
                    .content_type = std::move(parts.content_type),
                    .data = std::move(parts.data),
                    .name = Of(parts.attributes, "source") + " " + Of(parts.attributes, "id"),
                    .trace = http::ParseTraceparent(parent.value_or(Of(parts.attributes, "traceparent")))};
}

}  // namespace maily::api
