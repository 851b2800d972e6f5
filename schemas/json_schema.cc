// See json_schema.h.
#include "schemas/json_schema.h"

#include <google/protobuf/descriptor.h>

#include <nlohmann/json.hpp>

#include "maily/options.pb.h"

namespace maily::schema {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using nlohmann::ordered_json;

ordered_json EnumSchema(const google::protobuf::EnumDescriptor& type) {
  ordered_json values = ordered_json::array();
  for (int i = 0; i < type.value_count(); ++i) {
    std::string name = type.value(i)->name();
    for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    values.push_back(std::move(name));
  }
  return {{"type", "string"}, {"enum", std::move(values)}};
}

ordered_json FieldSchema(const FieldDescriptor& field, std::string_view prefix) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_UINT32:
      return {{"type", "integer"}};
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT64:
      return {{"type", {"integer", "string"}}, {"description", "a string of digits where a double does not hold it exactly"}};
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      return {{"type", "number"}};
    case FieldDescriptor::CPPTYPE_BOOL:
      return {{"type", "boolean"}};
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumSchema(*field.enum_type());
    case FieldDescriptor::CPPTYPE_STRING:
      if (field.type() != FieldDescriptor::TYPE_BYTES) return {{"type", "string"}};
      if (field.options().GetExtension(maily::personal).empty()) return {{"type", "string"}, {"description", "hexadecimal bytes"}};
      return {{"type", "string"}, {"description", "personal: in the topic of contacts alone, while its key is there"}};
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return {{"$ref", std::string(prefix) + field.message_type()->full_name()}};
  }
  return ordered_json::object();
}

}  // namespace

void AddJsonSchema(const Descriptor& message, std::string_view prefix, ordered_json& schemas) {
  if (schemas.contains(message.full_name())) return;
  schemas[message.full_name()] = nullptr;  // its place, also while it is within itself
  ordered_json properties = ordered_json::object();
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    if (field.message_type() != nullptr) AddJsonSchema(*field.message_type(), prefix, schemas);
    ordered_json one = FieldSchema(field, prefix);
    properties[field.name()] = field.is_repeated() ? ordered_json{{"type", "array"}, {"items", std::move(one)}} : std::move(one);
  }
  schemas[message.full_name()] = {{"type", "object"}, {"properties", std::move(properties)}};
}

}  // namespace maily::schema
