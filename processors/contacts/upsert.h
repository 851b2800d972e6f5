// The rule by which a contact is made or merged into, for the commands that have one and those that have many.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "maily/contacts/v1/commands.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "streams/task/processor.h"

namespace maily::contacts {

// How one contact was decided.
struct Upserted {
  char result = 'r';        // see ImportContacts; f = another partition decides it
  uint64_t ordinal = 0;     // unless refused
  std::string_view code{};  // of a refusal, with a sentence
  std::string message{};
};
Upserted Refused(std::string_view code, std::string message);

// Emits ContactCreated, ContactChanged or nothing. `prior`, if given, gets what stood there before, unless nothing changes.
Upserted Upsert(task::Context& context, const v1::UpsertContact& command, v1::PriorContact* prior = nullptr);

// The contact, or null: the command was refused, as unknown or erased.
const v1::Contact* ContactOrRefuse(task::Context& context, uint64_t ordinal);

// By which an import recognises what it wrote. [format]
uint64_t PrintOf(const v1::Attribute& attribute);
uint64_t PrintOf(const google::protobuf::RepeatedPtrField<v1::Attribute>& attributes);

}  // namespace maily::contacts
