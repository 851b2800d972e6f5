// Payload bytes <-> messages, by type number. Thread: any.
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <string_view>

#include "schemas/types.h"
#include "streams/base/result.h"

namespace maily::schema {

// An empty message of that type, or null if there is no such type.
std::unique_ptr<google::protobuf::Message> NewMessage(TypeNumber number);

// The stored bytes of `message`. The same message gives the same bytes: no stored message has a map.
std::string Encode(const google::protobuf::Message& message);

// kInvalid: no such type, or `payload` is none of it.
Result<std::unique_ptr<google::protobuf::Message>> Decode(TypeNumber number, std::string_view payload);
Result<void> DecodeInto(google::protobuf::Message& message, std::string_view payload);

// Decode for a type known while compiling: MAILY_TRY(auto event, Decode<ContactCreated>(payload)).
template <class M>
Result<M> Decode(std::string_view payload) {
  M message;
  MAILY_TRY_VOID(DecodeInto(message, payload));
  return message;
}

}  // namespace maily::schema
