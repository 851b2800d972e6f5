// See destinations.h.
#include "processors/destinations.h"

#include "maily/consents/v1/events.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/suppressions/v1/events.pb.h"
#include "schemas/keys.h"

namespace maily {
namespace {

using task::Destination;

// The event, read; none: it is none.
template <class Event>
std::optional<Event> Read(std::string_view bytes) {
  Event event;
  if (!event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  return event;
}
std::optional<Destination> To(uint32_t partition) { return Destination{.partition = PartitionId(static_cast<uint16_t>(partition))}; }

template <class Event>
std::optional<Destination> ToContact(std::string_view bytes) {
  const auto event = Read<Event>(bytes);
  return event ? To(event->partition()) : std::nullopt;
}
template <class Event>
std::optional<Destination> ToHomeOfAddress(std::string_view bytes, uint16_t partition_count) {
  const auto event = Read<Event>(bytes);
  if (!event) return std::nullopt;
  return Destination{.partition = schema::PartitionOfContact(event->contact_key(), partition_count)};
}
template <class Event>
std::optional<Destination> ToInto(std::string_view bytes) {
  const auto event = Read<Event>(bytes);
  return event ? To(event->into_partition()) : std::nullopt;
}
template <class Event>
std::optional<Destination> ToNamed(std::string_view bytes) {
  const auto event = Read<Event>(bytes);
  return event && event->carry_to() > 0 ? To(event->carry_to() - 1) : std::nullopt;
}

}  // namespace

std::optional<Destination> ToAddress(std::string_view asked, uint16_t partition_count) {
  return ToHomeOfAddress<contacts::v1::AddressAsked>(asked, partition_count);
}
std::optional<Destination> ToReserver(std::string_view reserved, uint16_t) { return ToContact<contacts::v1::AddressReserved>(reserved); }
std::optional<Destination> ToDenied(std::string_view denied, uint16_t) { return ToContact<contacts::v1::AddressDenied>(denied); }
std::optional<Destination> ToReleased(std::string_view released, uint16_t partition_count) {
  const auto event = Read<contacts::v1::AddressReleased>(released);
  if (!event) return std::nullopt;
  const PartitionId home = schema::PartitionOfContact(event->contact_key(), partition_count);
  if (home.value() == event->partition()) return std::nullopt;
  return Destination{.partition = home};
}
std::optional<Destination> ToForgotten(std::string_view forgotten, uint16_t partition_count) {
  return ToHomeOfAddress<contacts::v1::AddressForgotten>(forgotten, partition_count);
}
std::optional<Destination> ToOwner(std::string_view forwarded, uint16_t) {
  auto event = Read<contacts::v1::CommandForwarded>(forwarded);
  if (!event) return std::nullopt;
  return Destination{.partition = PartitionId(static_cast<uint16_t>(event->partition())),
                     .type = static_cast<TypeNumber>(event->command_type()),
                     .payload = std::move(*event->mutable_command())};
}
std::optional<Destination> ToAsked(std::string_view asked, uint16_t) { return ToInto<contacts::v1::MergeAsked>(asked); }
std::optional<Destination> ToAsker(std::string_view agreed, uint16_t) { return ToContact<contacts::v1::MergeAgreed>(agreed); }
std::optional<Destination> ToDeniedMerge(std::string_view denied, uint16_t) { return ToContact<contacts::v1::MergeDenied>(denied); }
std::optional<Destination> ToGivenUp(std::string_view given_up, uint16_t) { return ToInto<contacts::v1::MergeGivenUp>(given_up); }
std::optional<Destination> ToTaker(std::string_view handed, uint16_t) { return ToInto<contacts::v1::ContactHandedOver>(handed); }
std::optional<Destination> ToClaimed(std::string_view claimed, uint16_t partition_count) {
  return ToHomeOfAddress<contacts::v1::AddressClaimed>(claimed, partition_count);
}
std::optional<Destination> ToClaimer(std::string_view passed, uint16_t) { return ToContact<contacts::v1::AddressPassedOn>(passed); }
std::optional<Destination> ToMerged(std::string_view forgotten, uint16_t) { return ToContact<contacts::v1::MergedForgotten>(forgotten); }
std::optional<Destination> ToOptedOut(std::string_view passed, uint16_t) { return ToContact<consents::v1::OptOutPassedOn>(passed); }
std::optional<Destination> ToMergedOf(std::string_view destroyed, uint16_t) {
  const auto event = Read<contacts::v1::ContactKeysDestroyed>(destroyed);
  return event && event->has_merged() ? To(event->merged().partition()) : std::nullopt;
}
std::optional<Destination> ToOther(std::string_view added, uint16_t) { return ToNamed<suppressions::v1::SuppressionAdded>(added); }
std::optional<Destination> ToOtherRemoved(std::string_view removed, uint16_t) {
  return ToNamed<suppressions::v1::SuppressionRemoved>(removed);
}

}  // namespace maily
