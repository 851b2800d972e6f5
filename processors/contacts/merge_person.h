// What a contact brings to whom it is merged into, and what that one has room for.
#pragma once

#include <string>

#include "maily/contacts/v1/events.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "streams/task/processor.h"

namespace maily::contacts {

// The contact as it is now, with its lists, consents and what it got of these campaigns.
v1::MergedPerson PersonOf(const task::Context& context, uint64_t ordinal, const google::protobuf::RepeatedField<uint64_t>& campaigns);

// How many events its lists and consents come to at most.
int ChangesOf(const v1::MergedPerson& person);

// Why the contact cannot hold both; an empty code: it can.
struct TooMuch {
  std::string code{};
  std::string message{};
};
TooMuch WhyTooMuch(const task::Context& context, uint64_t ordinal, const v1::Contact& contact, const v1::MergedPerson& person);

// Takes out of `person` what the contact has, or has no room for, and names the latter: attributes, tags and memberships that come over are
// left. Most restrictive consent wins: a list that the contact has withdrawn from, or was asked about and has not confirmed, does not come.
void Trim(const task::Context& context, uint64_t ordinal, const v1::Contact& contact, v1::MergedPerson& person,
          google::protobuf::RepeatedPtrField<std::string>& left_out);

}  // namespace maily::contacts
