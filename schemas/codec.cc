// Payload bytes <-> messages, by type number.
#include "schemas/codec.h"

#include <google/protobuf/descriptor.h>

#include <limits>

namespace maily::schema {

std::unique_ptr<google::protobuf::Message> NewMessage(TypeNumber number) {
  const Type* type = FindType(number);
  if (type == nullptr) return nullptr;
  google::protobuf::MessageFactory* factory = google::protobuf::MessageFactory::generated_factory();
  return std::unique_ptr<google::protobuf::Message>(factory->GetPrototype(type->descriptor)->New());
}

std::string Encode(const google::protobuf::Message& message) {
  std::string bytes;
  MAILY_CHECK(message.SerializeToString(&bytes), "{} cannot be serialized", message.GetTypeName());
  return bytes;
}

Result<std::unique_ptr<google::protobuf::Message>> Decode(TypeNumber number, std::string_view payload) {
  std::unique_ptr<google::protobuf::Message> message = NewMessage(number);
  if (message == nullptr) return Fail(Code::kInvalid, "there is no type {}; a newer build may know it", number);
  MAILY_TRY_VOID(DecodeInto(*message, payload));
  return message;
}

Result<void> DecodeInto(google::protobuf::Message& message, std::string_view payload) {
  if (payload.size() > static_cast<size_t>(std::numeric_limits<int>::max()) ||
      !message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return Fail(Code::kInvalid, "{} bytes are no {}", payload.size(), message.GetTypeName());
  }
  return Ok();
}

}  // namespace maily::schema
