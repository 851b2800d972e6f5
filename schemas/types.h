// The table of all message types, read from the descriptors: a type is written down once, in its .proto.
//
// A message of maily/<noun>/v1/{commands,events,state}.proto with the option (maily.type) is a type; one without it exists only as a field
// of others. Thread: any; the table is built at first use and never changes. Built with a CHECK: numbers and short names are unique, and
// a number lies in the range of its noun and kind.
#pragma once

#include <span>
#include <string_view>

#include "streams/base/type_number.h"

namespace google::protobuf {
class Descriptor;
}

namespace maily::schema {

enum class Kind : uint8_t { kCommand, kEvent, kState };

// "command", "event", "state".
std::string_view KindName(Kind kind);

// What decides about a command's partition (options.proto); of events and state kNone.
enum class Key : uint8_t { kNone, kContact, kHome, kTenants, kNamed };

// "contact key", "tenant's home", "tenants", "named by the caller"; empty for kNone.
std::string_view KeyName(Key key);

// The topic for readers outside that an event is published to (options.proto).
enum class PublicTopic : uint8_t { kNone, kCampaigns, kContacts, kSends, kEngagements };
inline constexpr PublicTopic kPublicTopics[] = {PublicTopic::kCampaigns, PublicTopic::kContacts, PublicTopic::kSends,
                                                PublicTopic::kEngagements};

// "campaigns", …: what follows the prefix in the topic's name; empty for kNone.
std::string_view PublicTopicName(PublicTopic topic);

struct Type {
  TypeNumber number = 0;
  uint32_t level = 0;  // writers use the type only once the platform's level is at least this
  Kind kind = Kind::kCommand;
  Key key = Key::kNone;
  PublicTopic public_topic = PublicTopic::kNone;
  std::string_view noun;       // "contacts"
  std::string_view name;       // "UpsertContact"
  std::string_view full_name;  // "maily.contacts.v1.UpsertContact"
  const google::protobuf::Descriptor* descriptor = nullptr;
};

// All types, ascending by number.
std::span<const Type> Types();
// The type of that number, or null.
const Type* FindType(TypeNumber number);
// The type of that short or full name, or null.
const Type* FindType(std::string_view name);
// The number that `descriptor` carries. CHECK: it has one.
TypeNumber NumberOf(const google::protobuf::Descriptor& descriptor);

}  // namespace maily::schema

namespace maily {

// The definition for Protobuf messages; streams/ specialises it for types of its own (1-99).
template <class M>
TypeNumber TypeNumberOf() {
  static const TypeNumber number = schema::NumberOf(*M::descriptor());
  return number;
}

}  // namespace maily
