// The table of all message types: every file once, every type from its file's descriptor.
#include "schemas/types.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "maily/assets/v1/commands.pb.h"
#include "maily/assets/v1/events.pb.h"
#include "maily/assets/v1/state.pb.h"
#include "maily/campaigns/v1/commands.pb.h"
#include "maily/campaigns/v1/events.pb.h"
#include "maily/campaigns/v1/state.pb.h"
#include "maily/consents/v1/commands.pb.h"
#include "maily/consents/v1/events.pb.h"
#include "maily/consents/v1/state.pb.h"
#include "maily/contacts/v1/commands.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/domains/v1/commands.pb.h"
#include "maily/domains/v1/events.pb.h"
#include "maily/domains/v1/state.pb.h"
#include "maily/engagements/v1/commands.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "maily/engagements/v1/state.pb.h"
#include "maily/journeys/v1/commands.pb.h"
#include "maily/journeys/v1/events.pb.h"
#include "maily/journeys/v1/state.pb.h"
#include "maily/lists/v1/commands.pb.h"
#include "maily/lists/v1/events.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/messages/v1/commands.pb.h"
#include "maily/messages/v1/events.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "maily/options.pb.h"
#include "maily/segments/v1/commands.pb.h"
#include "maily/segments/v1/events.pb.h"
#include "maily/segments/v1/state.pb.h"
#include "maily/sends/v1/commands.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/sites/v1/commands.pb.h"
#include "maily/sites/v1/events.pb.h"
#include "maily/sites/v1/state.pb.h"
#include "maily/suppressions/v1/commands.pb.h"
#include "maily/suppressions/v1/events.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "maily/templates/v1/commands.pb.h"
#include "maily/templates/v1/events.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "maily/tenants/v1/commands.pb.h"
#include "maily/tenants/v1/events.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "streams/base/result.h"

namespace maily::schema {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FileDescriptor;

static_assert(static_cast<int>(Key::kContact) == CONTACT_KEY && static_cast<int>(Key::kHome) == HOME &&
              static_cast<int>(Key::kTenants) == TENANTS && static_cast<int>(Key::kNamed) == NAMED);

static_assert(static_cast<int>(PublicTopic::kCampaigns) == CAMPAIGNS && static_cast<int>(PublicTopic::kContacts) == CONTACTS &&
              static_cast<int>(PublicTopic::kSends) == SENDS && static_cast<int>(PublicTopic::kEngagements) == ENGAGEMENTS);

// Any message of a file stands for the file, and makes the linker keep it.
std::vector<const FileDescriptor*> Files() {
  std::vector<const FileDescriptor*> files;
  const auto add = [&](const Descriptor* any) { files.push_back(any->file()); };
  add(tenants::v1::CreateTenant::descriptor());
  add(tenants::v1::TenantCreated::descriptor());
  add(tenants::v1::Tenant::descriptor());
  add(contacts::v1::UpsertContact::descriptor());
  add(contacts::v1::ContactCreated::descriptor());
  add(contacts::v1::Contact::descriptor());
  add(lists::v1::CreateList::descriptor());
  add(lists::v1::ListCreated::descriptor());
  add(lists::v1::List::descriptor());
  add(suppressions::v1::AddSuppression::descriptor());
  add(suppressions::v1::SuppressionAdded::descriptor());
  add(suppressions::v1::Suppression::descriptor());
  add(templates::v1::SaveTemplate::descriptor());
  add(templates::v1::TemplateSaved::descriptor());
  add(templates::v1::Template::descriptor());
  add(campaigns::v1::CreateCampaign::descriptor());
  add(campaigns::v1::CampaignCreated::descriptor());
  add(campaigns::v1::Campaign::descriptor());
  add(sends::v1::RecordAttempt::descriptor());
  add(sends::v1::AttemptOpened::descriptor());
  add(sends::v1::SendChunk::descriptor());
  add(engagements::v1::RecordOpen::descriptor());
  add(engagements::v1::Opened::descriptor());
  add(engagements::v1::EngagementCounts::descriptor());
  add(domains::v1::AddDomain::descriptor());
  add(domains::v1::DomainAdded::descriptor());
  add(domains::v1::Domain::descriptor());
  add(sites::v1::SuspendSite::descriptor());
  add(sites::v1::SiteSuspended::descriptor());
  add(sites::v1::Site::descriptor());
  add(assets::v1::AddAsset::descriptor());
  add(assets::v1::AssetAdded::descriptor());
  add(assets::v1::Asset::descriptor());
  add(segments::v1::DefineSegment::descriptor());
  add(segments::v1::SegmentDefined::descriptor());
  add(segments::v1::Segment::descriptor());
  add(consents::v1::RecordConsent::descriptor());
  add(consents::v1::ConsentGranted::descriptor());
  add(consents::v1::Person::descriptor());
  add(messages::v1::PostMessage::descriptor());
  add(messages::v1::MessageAccepted::descriptor());
  add(messages::v1::Message::descriptor());
  add(journeys::v1::DefineJourney::descriptor());
  add(journeys::v1::JourneyDefined::descriptor());
  add(journeys::v1::Journey::descriptor());
  return files;
}

struct Table {
  std::vector<Type> types;
  std::array<uint16_t, 65536> by_number{};  // index + 1
  std::unordered_map<std::string_view, size_t> by_name;

  Table() {
    std::map<std::string_view, unsigned> hundreds;
    for (const FileDescriptor* file : Files()) AddFile(*file);
    std::ranges::sort(types, {}, &Type::number);
    for (size_t i = 0; i < types.size(); ++i) {
      const Type& type = types[i];
      MAILY_CHECK(by_number[type.number] == 0, "type number {} is used by {} and {}", type.number, type.full_name,
                  types[by_number[type.number] - 1u].full_name);
      by_number[type.number] = static_cast<uint16_t>(i + 1);
      MAILY_CHECK(by_name.emplace(type.name, i).second, "two types are called {}", type.name);
      by_name.emplace(type.full_name, i);
      const unsigned hundred = type.number / 100;
      MAILY_CHECK(hundred > 0 && hundreds.emplace(type.noun, hundred).first->second == hundred,
                  "type {} has number {}, outside of the range of {}", type.full_name, type.number, type.noun);
    }
  }

  void AddFile(const FileDescriptor& file) {
    // package = "maily.<noun>.v1", name = "maily/<noun>/v1/<part>.proto".
    const std::string_view package = file.package();
    const std::string_view path = file.name();
    const size_t begin = package.find('.') + 1;
    const std::string_view noun = package.substr(begin, package.find('.', begin) - begin);
    const std::string_view part = path.substr(path.rfind('/') + 1);
    const Kind kind = part == "commands.proto" ? Kind::kCommand : part == "events.proto" ? Kind::kEvent : Kind::kState;
    for (int i = 0; i < file.message_type_count(); ++i) {
      const Descriptor* message = file.message_type(i);
      const uint32_t number = message->options().GetExtension(maily::type);
      if (number == 0) continue;
      const uint32_t within = number % 100;
      const Kind expected = within < 30 ? Kind::kCommand : within < 70 ? Kind::kEvent : Kind::kState;
      MAILY_CHECK(number < 65536 && kind == expected, "type number {} of {} does not fit its file", number, message->full_name());
      types.push_back({.number = static_cast<TypeNumber>(number),
                       .level = message->options().GetExtension(maily::level),
                       .kind = kind,
                       .key = static_cast<Key>(message->options().GetExtension(maily::routed_by)),
                       .public_topic = static_cast<PublicTopic>(message->options().GetExtension(maily::public_topic)),
                       .noun = noun,
                       .name = message->name(),
                       .full_name = message->full_name(),
                       .descriptor = message});
    }
  }
};

const Table& TheTable() {
  static const Table* const table = new Table();  // never destroyed: used until the very end of the process
  return *table;
}

}  // namespace

std::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kCommand:
      return "command";
    case Kind::kEvent:
      return "event";
    case Kind::kState:
      return "state";
  }
  return "state";
}

std::string_view KeyName(Key key) {
  switch (key) {
    case Key::kContact:
      return "contact key";
    case Key::kHome:
      return "tenant's home";
    case Key::kTenants:
      return "tenants";
    case Key::kNamed:
      return "named by the caller";
    case Key::kNone:
      return "";
  }
  return "";
}

std::string_view PublicTopicName(PublicTopic topic) {
  switch (topic) {
    case PublicTopic::kCampaigns:
      return "campaigns";
    case PublicTopic::kContacts:
      return "contacts";
    case PublicTopic::kSends:
      return "sends";
    case PublicTopic::kEngagements:
      return "engagements";
    case PublicTopic::kNone:
      return "";
  }
  return "";
}

std::span<const Type> Types() { return TheTable().types; }

const Type* FindType(TypeNumber number) {
  const Table& table = TheTable();
  const uint16_t place = table.by_number[number];
  return place == 0 ? nullptr : &table.types[place - 1u];
}

const Type* FindType(std::string_view name) {
  const Table& table = TheTable();
  const auto found = table.by_name.find(name);
  return found == table.by_name.end() ? nullptr : &table.types[found->second];
}

TypeNumber NumberOf(const Descriptor& descriptor) {
  const uint32_t number = descriptor.options().GetExtension(maily::type);
  const Type* type = number < 65536 ? FindType(static_cast<TypeNumber>(number)) : nullptr;
  MAILY_CHECK(type != nullptr && type->descriptor == &descriptor, "{} has no type number in the table", descriptor.full_name());
  return type->number;
}

}  // namespace maily::schema
