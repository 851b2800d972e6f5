// JSON at the API's edge: bodies, and the fields of every command and event. The first byte chooses the type.
#include <google/protobuf/message.h>

#include <nlohmann/json.hpp>

#include "api/gateway/contact_fields.h"
#include "schemas/codec.h"
#include "schemas/json.h"
#include "schemas/types.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

void TryAttributes(const nlohmann::json& object) {
  static const gateway::Registry* const registry = [] {
    std::vector<tenants::v1::AttributeDefinition> attributes;
    for (const int type : {1, 2, 3, 4}) {
      auto& one = attributes.emplace_back();
      one.set_name(std::string(1, static_cast<char>('a' + type)));
      one.set_attribute_type(static_cast<tenants::v1::AttributeType>(type));
    }
    return new gateway::Registry(std::move(attributes));
  }();
  for (const auto& [name, value] : object.items()) {
    contacts::v1::Attribute attribute;
    static_cast<void>(gateway::IsAttributeName(name));
    static_cast<void>(gateway::AttributeFromJson(*registry, name, value, attribute).has_value());
    if (value.is_string()) static_cast<void>(gateway::AttributeFromText(*registry, name, value.get<std::string>(), attribute).has_value());
  }
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  std::string_view input = fuzz::View(data, size);
  const auto types = schema::Types();
  const schema::Type& type = types[fuzz::TakeByte(input) % types.size()];
  schema::JsonProblem problem;
  const auto parsed = schema::ParseJson(input, &problem);
  if (parsed && parsed->is_object()) fuzz::TryAttributes(*parsed);
  const auto message = schema::NewMessage(type.number);
  for (const auto personal : {schema::PersonalAs::kPlaintext, schema::PersonalAs::kSealed}) {
    message->Clear();
    if (!schema::FromJson(input, *message, &problem, personal)) continue;
    MAILY_CHECK(parsed.has_value(), "no JSON, but a message");
    // What was read is written as JSON that reads the same.
    const std::string text = schema::ToJson(*message, personal);
    const auto again = schema::NewMessage(type.number);
    const auto read = schema::FromJson(text, *again, &problem, personal);
    MAILY_CHECK(read.has_value(), "{}: {}", text, read.error().ToString());
    MAILY_CHECK(schema::ToJson(*again, personal) == text, "{} means something else: {}", text, schema::ToJson(*again, personal));
  }
  return 0;
}
