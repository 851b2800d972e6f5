// The table of types: complete, consistent, and found in every way.
#include "schemas/types.h"

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <set>

#include "maily/contacts/v1/commands.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "maily/options.pb.h"
#include "schemas/codec.h"

namespace maily::schema {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

TEST(Types, AreFoundByNumberAndName) {
  EXPECT_EQ(TypeNumberOf<contacts::v1::UpsertContact>(), 200);
  const Type* type = FindType(200);
  ASSERT_NE(type, nullptr);
  EXPECT_EQ(type->name, "UpsertContact");
  EXPECT_EQ(type->noun, "contacts");
  EXPECT_EQ(type->kind, Kind::kCommand);
  EXPECT_EQ(FindType("UpsertContact"), type);
  EXPECT_EQ(FindType("maily.contacts.v1.UpsertContact"), type);
  EXPECT_EQ(FindType(TypeNumber{65535}), nullptr);
  EXPECT_EQ(FindType("Nothing"), nullptr);
  EXPECT_TRUE(std::ranges::is_sorted(Types(), {}, &Type::number));
}

// Every file of a noun is in the table: a type, or used as a field of one.
TEST(Types, EveryMessageHasANumberOrIsAFieldOfAnother) {
  std::set<const google::protobuf::FileDescriptor*> files;
  std::set<const Descriptor*> used;
  std::set<std::string_view> nouns;
  for (const Type& type : Types()) {
    files.insert(type.descriptor->file());
    nouns.insert(type.noun);
  }
  EXPECT_EQ(files.size(), 3 * nouns.size()) << "a noun has commands, events and state";
  for (const auto* file : files) {
    for (int i = 0; i < file->message_type_count(); ++i) {
      const Descriptor* message = file->message_type(i);
      for (int f = 0; f < message->field_count(); ++f) {
        if (message->field(f)->message_type() != nullptr) used.insert(message->field(f)->message_type());
      }
    }
  }
  used.insert(messages::v1::MessageContent::descriptor());  // in a field of bytes: it is sealed as a whole
  for (const auto* file : files) {
    for (int i = 0; i < file->message_type_count(); ++i) {
      const Descriptor* message = file->message_type(i);
      EXPECT_TRUE(message->options().GetExtension(maily::type) != 0 || used.contains(message))
          << message->full_name() << " has no (maily.type), and no other message has a field of it";
    }
  }
}

// All messages of the files that have types, those without a number too.
std::vector<const Descriptor*> Messages() {
  std::set<const google::protobuf::FileDescriptor*> files;
  std::vector<const Descriptor*> messages;
  for (const Type& type : Types()) {
    const auto* file = type.descriptor->file();
    if (!files.insert(file).second) continue;
    for (int i = 0; i < file->message_type_count(); ++i) messages.push_back(file->message_type(i));
  }
  return messages;
}

TEST(Types, CommandsAloneHaveAPartitionKey) {
  for (const Type& type : Types()) EXPECT_EQ(type.key != Key::kNone, type.kind == Kind::kCommand) << type.full_name;
}

// Whether a message, or one within it, has personal fields.
bool IsPersonal(const Descriptor& message) {
  for (int f = 0; f < message.field_count(); ++f) {
    const FieldDescriptor& field = *message.field(f);
    if (!field.options().GetExtension(maily::personal).empty()) return true;
    if (field.message_type() != nullptr && IsPersonal(*field.message_type())) return true;
  }
  return false;
}

TEST(Types, EventsAloneArePublicAndThoseOfANounStandInItsTopic) {
  std::set<PublicTopic> used;
  for (const Type& type : Types()) {
    if (type.public_topic == PublicTopic::kNone) continue;
    used.insert(type.public_topic);
    EXPECT_EQ(type.kind, Kind::kEvent) << type.full_name;
    const std::string_view topic = PublicTopicName(type.public_topic);
    const bool has_its_own = type.noun == "contacts" || type.noun == "sends" || type.noun == "engagements";
    EXPECT_TRUE(!has_its_own || type.noun == topic) << type.full_name;
  }
  EXPECT_EQ(used, std::set<PublicTopic>(std::begin(kPublicTopics), std::end(kPublicTopics)));
  EXPECT_TRUE(IsPersonal(*FindType("ContactCreated")->descriptor));
  EXPECT_EQ(FindType("ContactCreated")->public_topic, PublicTopic::kContacts);
}

// A map's order is not defined, so the same state would give different bytes.
TEST(Types, NoStoredMessageHasAMap) {
  for (const Descriptor* message : Messages()) {
    for (int f = 0; f < message->field_count(); ++f) EXPECT_FALSE(message->field(f)->is_map()) << message->field(f)->full_name();
  }
}

// A seal is bytes: nothing else can hold it.
TEST(Types, PersonalFieldsAreBytes) {
  for (const Descriptor* message : Messages()) {
    for (int f = 0; f < message->field_count(); ++f) {
      const FieldDescriptor* field = message->field(f);
      if (field->options().GetExtension(maily::personal).empty()) continue;
      EXPECT_EQ(field->type(), FieldDescriptor::TYPE_BYTES) << field->full_name();
      EXPECT_FALSE(field->is_repeated()) << field->full_name();
    }
  }
}

TEST(Codec, RoundTripsByNumber) {
  contacts::v1::ContactCreated event;
  event.set_ordinal(7);
  event.set_contact_key("0123456789abcdef");
  const std::string bytes = Encode(event);
  const auto again = Decode(TypeNumberOf<contacts::v1::ContactCreated>(), bytes);
  ASSERT_TRUE(again) << again.error().ToString();
  EXPECT_EQ(Encode(**again), bytes);
  EXPECT_EQ(Decode<contacts::v1::ContactCreated>(bytes)->ordinal(), 7u);
}

TEST(Codec, RefusesUnknownTypesAndOtherBytes) {
  EXPECT_EQ(Decode(TypeNumber{9999}, "").error().code, Code::kInvalid);
  EXPECT_EQ(Decode(TypeNumberOf<contacts::v1::ContactCreated>(), "\xFF\xFF").error().code, Code::kInvalid);
}

}  // namespace
}  // namespace maily::schema
