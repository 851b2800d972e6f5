// See merge_person.h.
#include "processors/contacts/merge_person.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "maily/consents/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "processors/contacts/decide.h"
#include "processors/contacts/merge.h"
#include "schemas/suppressions.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::contacts {
namespace {

constexpr uint64_t kChunkOrdinals = 4096;             // of a SendChunk
constexpr std::string_view kWithdrawnList = "list/";  // and its id: of a Person, a list that it left by itself
constexpr int kPurposesMax = 32;                      // named ones (consents::kPurposesMax)

const lists::v1::Subscriber& SubscriberOf(const task::Context& context, uint64_t ordinal) {
  const auto* subscriber = context.view<lists::v1::Subscriber>().Find(state::Key(context.tenant(), ordinal));
  return subscriber == nullptr ? lists::v1::Subscriber::default_instance() : *subscriber;
}
const consents::v1::Person& ConsentsOf(const task::Context& context, uint64_t ordinal) {
  const auto* person = context.view<consents::v1::Person>().Find(state::Key(context.tenant(), ordinal));
  return person == nullptr ? consents::v1::Person::default_instance() : *person;
}

// None: the purpose is no list.
std::optional<uint64_t> ListIn(std::string_view purpose) {
  if (!purpose.starts_with(kWithdrawnList)) return std::nullopt;
  purpose.remove_prefix(kWithdrawnList.size());
  uint64_t list_id = 0;
  const auto read = std::from_chars(purpose.data(), purpose.data() + purpose.size(), list_id);
  return read.ec == std::errc() ? std::optional(list_id) : std::nullopt;
}

template <class Range, class Value>
bool Has(const Range& range, const Value& value) {
  return std::ranges::find(range, value) != range.end();
}

bool HasAttribute(const v1::Contact& contact, const std::string& name) {
  return std::ranges::any_of(contact.attributes(), [&](const auto& one) { return one.name() == name; });
}

// The mail has gone to the contact, or may have.
bool HasGot(const task::Context& context, uint64_t campaign_id, uint64_t ordinal) {
  const auto* chunk = context.view<sends::v1::SendChunk>().Find(state::Key(context.tenant(), campaign_id, (ordinal - 1) / kChunkOrdinals));
  const size_t at = (ordinal - 1) % kChunkOrdinals;
  if (chunk == nullptr || at >= chunk->statuses().size()) return false;
  const auto status = static_cast<uint8_t>(chunk->statuses()[at]);
  return status == sends::v1::OPEN || status == sends::v1::SENT || status == sends::v1::UNKNOWN;
}

template <class Given, class Known>
int Further(const Given& given, const Known& known) {
  return static_cast<int>(std::ranges::count_if(given, [&](const auto& one) { return !Has(known, one); }));
}

}  // namespace

v1::MergedPerson PersonOf(const task::Context& context, uint64_t ordinal, const google::protobuf::RepeatedField<uint64_t>& campaigns) {
  v1::MergedPerson person;
  const v1::Contact contact = *context.view<v1::Contact>().Find(state::Key(context.tenant(), ordinal));
  *person.mutable_attributes() = contact.attributes();
  *person.mutable_tags() = contact.tags();
  const auto& subscriber = SubscriberOf(context, ordinal);
  *person.mutable_list_ids() = subscriber.list_ids();
  *person.mutable_pending_list_ids() = subscriber.pending_list_ids();
  person.set_opted_out(subscriber.unsubscribed_at_us() != 0);
  for (const auto& purpose : ConsentsOf(context, ordinal).purposes()) {
    if (const auto list_id = ListIn(purpose.purpose())) {
      person.add_withdrawn_list_ids(*list_id);
    } else {
      *(purpose.granted() ? person.add_granted() : person.add_withdrawn()) = purpose.purpose();
    }
  }
  const auto* suppressed = context.view<suppressions::v1::Suppression>().Find(state::Key(context.tenant(), contact.contact_key()));
  if (suppressed != nullptr && !schema::IsOfAddress(suppressed->reason())) {
    person.set_suppressed_reason(suppressed->reason());
    person.set_suppressed_stream(static_cast<uint32_t>(suppressed->stream()));
  }
  v1::MergedAddress& own = *person.add_addresses();
  own.set_contact_key(contact.contact_key());
  own.set_partition(context.partition().value());
  own.set_ordinal(ordinal);
  for (const v1::MergedAddress& merged : contact.merged()) *person.add_addresses() = merged;
  *person.mutable_had() = contact.had();
  for (const uint64_t campaign_id : campaigns) {
    if (HasGot(context, campaign_id, ordinal) && !Has(person.had(), campaign_id)) person.add_had(campaign_id);
  }
  return person;
}

// What else of it the other contact keeps, at most, bytes.
static size_t BesidesAttributes(const v1::MergedPerson& person) {
  size_t bytes = 10 * static_cast<size_t>(person.had_size());
  for (const std::string& tag : person.tags()) bytes += tag.size() + 2;
  for (const v1::MergedAddress& address : person.addresses()) bytes += address.ByteSizeLong() + 2;
  return bytes;
}

int ChangesOf(const v1::MergedPerson& person) {
  return 2 * person.withdrawn_list_ids_size() + person.withdrawn_size() + person.granted_size() + person.pending_list_ids_size() +
         person.list_ids_size();
}

TooMuch WhyTooMuch(const task::Context& context, uint64_t ordinal, const v1::Contact& contact, const v1::MergedPerson& person) {
  if (contact.merged_size() + person.addresses_size() > kMergedAddressesMax)
    return {"too_many_addresses", fmt::format("at most {} contacts are merged into one", kMergedAddressesMax)};
  if (ChangesOf(person) > kMergeChangesMax) {
    return {"too_much_to_merge",
            fmt::format("memberships and consents come to {} changes, more than {}: a list or a named purpose is one, a list that was left "
                        "two; take the contact off lists first",
                        ChangesOf(person), kMergeChangesMax)};
  }
  if (contact.tags_size() + Further(person.tags(), contact.tags()) > kTagsMax)
    return {"too_many_tags", fmt::format("both together have more than {} tags; untag one of them first", kTagsMax)};
  const auto& subscriber = SubscriberOf(context, ordinal);
  if (subscriber.list_ids_size() + Further(person.list_ids(), subscriber.list_ids()) > kListsMax)
    return {"too_many_lists", fmt::format("both together are on more than {} lists; take one of them off some first", kListsMax)};
  size_t bytes = contact.ByteSizeLong() + BesidesAttributes(person);
  for (const v1::Attribute& attribute : person.attributes()) {
    if (!HasAttribute(contact, attribute.name())) bytes += attribute.ByteSizeLong();
  }
  if (bytes > kContactBytesMax) {
    return {"contact_too_large",
            fmt::format("both together have attributes of more than {} bytes; unset some of either first", kContactBytesMax)};
  }
  int purposes = person.granted_size() + person.withdrawn_size();
  for (const auto& one : ConsentsOf(context, ordinal).purposes()) {
    const bool named = !one.purpose().starts_with(kWithdrawnList);
    if (named && !Has(person.granted(), one.purpose()) && !Has(person.withdrawn(), one.purpose())) ++purposes;
  }
  if (purposes > kPurposesMax) return {"too_many_purposes", fmt::format("both together have more than {} named purposes", kPurposesMax)};
  return {};
}

void Trim(const task::Context& context, uint64_t ordinal, const v1::Contact& contact, v1::MergedPerson& person,
          google::protobuf::RepeatedPtrField<std::string>& left_out) {
  size_t room = kContactBytesMax - std::min(kContactBytesMax, contact.ByteSizeLong() + BesidesAttributes(person));
  google::protobuf::RepeatedPtrField<v1::Attribute> attributes;
  for (v1::Attribute& attribute : *person.mutable_attributes()) {
    if (HasAttribute(contact, attribute.name())) continue;
    const size_t bytes = attribute.ByteSizeLong();
    if (bytes > room) {
      *left_out.Add() = "attribute " + attribute.name();
      continue;
    }
    room -= bytes;
    *attributes.Add() = std::move(attribute);
  }
  person.mutable_attributes()->Swap(&attributes);

  google::protobuf::RepeatedPtrField<std::string> tags;
  for (const std::string& tag : person.tags()) {
    if (Has(contact.tags(), tag)) continue;
    if (contact.tags_size() + tags.size() < kTagsMax) {
      *tags.Add() = tag;
    } else {
      *left_out.Add() = "tag " + tag;
    }
  }
  person.mutable_tags()->Swap(&tags);

  const auto& subscriber = SubscriberOf(context, ordinal);
  const auto& purposes = ConsentsOf(context, ordinal).purposes();
  google::protobuf::RepeatedField<uint64_t> lists;
  for (const uint64_t list_id : person.list_ids()) {
    const std::string name = fmt::format("{}{}", kWithdrawnList, list_id);
    const bool withdrawn = std::ranges::any_of(purposes, [&](const auto& one) { return one.purpose() == name && !one.granted(); });
    if (withdrawn || Has(subscriber.list_ids(), list_id) || Has(subscriber.pending_list_ids(), list_id)) continue;
    if (subscriber.list_ids_size() + lists.size() < kListsMax) {
      lists.Add(list_id);
    } else {
      *left_out.Add() = fmt::format("list {}", list_id);
    }
  }
  person.mutable_list_ids()->Swap(&lists);
}

}  // namespace maily::contacts
