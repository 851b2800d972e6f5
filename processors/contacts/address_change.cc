// See address_change.h.
#include "processors/contacts/address_change.h"

#include <fmt/format.h>

#include <algorithm>

#include "maily/contacts/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "processors/contacts/merge.h"
#include "processors/contacts/upsert.h"
#include "schemas/keys.h"
#include "schemas/message_id.h"
#include "schemas/suppressions.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::contacts {
namespace {

using journal::Outcome;

// The entry of no address: one of this tenant has moved, to here or from here, ever. Where it is missing nothing else is looked for, and
// it is asked for so often that it, or that it is missing, stays in memory.
std::string MovedKey(TenantId tenant) { return state::Key(tenant); }

const v1::AddressChange* ChangeOf(const task::Context& context, uint64_t ordinal) {
  return context.view<v1::AddressChange>().Find(state::Key(context.tenant(), ordinal));
}

bool Is(const v1::ContactElsewhere& contact, uint32_t partition, uint64_t ordinal) {
  return contact.partition() == partition && contact.ordinal() == ordinal;
}

uint64_t IdOf(uint32_t partition, uint64_t ordinal) {
  return schema::PackContactId({PartitionId(static_cast<uint16_t>(partition)), ordinal});
}

// Why the contact cannot have it, and who has; an empty code: it can.
struct Denial {
  std::string code{};
  uint64_t other_contact_id = 0;
};
Denial WhyNot(const task::Context& context, const v1::AddressAsked& asked) {
  const std::string key = state::Key(context.tenant(), asked.contact_key());
  if (const auto* ref = context.view<v1::ContactRef>().Find(key))
    return {"address_taken", IdOf(context.partition().value(), ref->ordinal())};
  const auto* elsewhere = context.view<v1::ContactElsewhere>().Find(key);
  if (elsewhere != nullptr && !Is(*elsewhere, asked.partition(), asked.ordinal()))
    return {"address_taken", IdOf(elsewhere->partition(), elsewhere->ordinal())};
  if (context.view<v1::ErasedContact>().Find(key) != nullptr) return {"erased"};
  if (context.view<suppressions::v1::Suppression>().Find(key) != nullptr) return {"address_suppressed"};
  return {};
}

void EraseIf(task::Fold& fold, const std::string& contact_key, uint64_t ordinal) {
  auto refs = fold.table<v1::ContactRef>();
  const std::string key = state::Key(fold.tenant(), contact_key);
  const auto* ref = refs.Find(key);
  if (ref != nullptr && ref->ordinal() == ordinal) refs.Erase(key);
}

void Forget(task::Context& context, uint64_t ordinal, const std::string& contact_key) {
  v1::AddressForgotten forgotten;
  forgotten.set_contact_key(contact_key);
  forgotten.set_partition(context.partition().value());
  forgotten.set_ordinal(ordinal);
  context.Emit(forgotten);
}

// What was reserved is not taken: it is free again.
void Release(task::Context& context, const v1::AddressReserved& reserved) {
  v1::AddressReleased released;
  released.set_contact_key(reserved.contact_key());
  released.set_partition(context.partition().value());
  released.set_ordinal(reserved.ordinal());
  context.Emit(released);
}

void Keep(google::protobuf::RepeatedField<uint64_t>& campaigns, uint64_t campaign_id) {
  if (!campaigns.empty() && campaigns[campaigns.size() - 1] == campaign_id) return;
  if (std::ranges::find(campaigns, campaign_id) != campaigns.end()) return;
  if (campaigns.size() >= kCampaignsOfAddressMax) campaigns.erase(campaigns.begin());
  campaigns.Add(campaign_id);
}

}  // namespace

void NoteMoved(task::Fold& fold) { fold.table<v1::ContactElsewhere>().Edit(MovedKey(fold.tenant())); }

// ---- In the contact's partition ----

void Decide(task::Context& context, const v1::ChangeAddress& command) {
  const v1::Contact* contact = ContactOrRefuse(context, command.ordinal());
  if (contact == nullptr) return;
  if (command.contact_key().size() != schema::kContactKeyBytes || command.address().empty()) {
    return context.Refuse(Outcome::kInvalid, "invalid_contact",
                          fmt::format("an address has a key of {} bytes and its spelling", schema::kContactKeyBytes));
  }
  if (IsChanging(context, command.ordinal())) {
    return context.Refuse(Outcome::kConflict, "address_change_under_way",
                          "the address of this contact is being changed; ask again in a moment");
  }
  if (IsMerging(context, command.ordinal()))
    return context.Refuse(Outcome::kConflict, "merge_under_way", "this contact is being merged; ask again in a moment");
  if (contact->contact_key() == command.contact_key()) {
    context.Answer("result", "unchanged");
    return context.Unchanged();
  }
  if (std::ranges::any_of(contact->merged(), [&](const auto& one) { return one.contact_key() == command.contact_key(); })) {
    return context.Refuse(Outcome::kConflict, "address_taken",
                          "this contact has that address already, by one that was merged into it; mail goes to the other");
  }
  if (contact->former_size() >= kFormerAddressesMax) {
    return context.Refuse(Outcome::kInvalid, "too_many_addresses",
                          fmt::format("a contact changes its address at most {} times", kFormerAddressesMax));
  }
  const auto* suppressed = context.view<suppressions::v1::Suppression>().Find(state::Key(context.tenant(), contact->contact_key()));
  if (suppressed != nullptr && !schema::IsOfAddress(suppressed->reason())) {
    return context.Refuse(Outcome::kConflict, "contact_suppressed",
                          fmt::format("this person is suppressed ({}), which another address would undo; lift that first if they want mail",
                                      suppressed->reason()));
  }
  if (context.view<suppressions::v1::SuppressedDomain>().Find(state::Key(context.tenant(), command.domain_key())) != nullptr) {
    return context.Refuse(Outcome::kConflict, "address_suppressed",
                          "the domain of this address is suppressed; lift that first, or take another");
  }
  v1::AddressAsked asked;
  asked.set_ordinal(command.ordinal());
  asked.set_partition(context.partition().value());
  asked.set_contact_key(command.contact_key());
  asked.set_address(command.address());
  asked.set_domain_key(command.domain_key());
  asked.set_source(command.source());
  context.Emit(asked);
  context.Answer("result", "asked");
}

void Decide(task::Context& context, const v1::AddressReserved& reserved) {
  const auto* change = ChangeOf(context, reserved.ordinal());
  const auto* contact = context.view<v1::Contact>().Find(state::Key(context.tenant(), reserved.ordinal()));
  if (change == nullptr || contact == nullptr || !change->former_key().empty() || change->contact_key() != reserved.contact_key()) {
    return Release(context, reserved);  // nobody waits for it any more
  }
  // What the person has said meanwhile.
  const auto* suppressed = context.view<suppressions::v1::Suppression>().Find(state::Key(context.tenant(), contact->contact_key()));
  if (suppressed != nullptr && !schema::IsOfAddress(suppressed->reason())) {
    Release(context, reserved);
    v1::AddressChangeRefused refused;
    refused.set_ordinal(reserved.ordinal());
    refused.set_code("contact_suppressed");
    return context.Emit(refused);
  }
  v1::ContactAddressChanged changed;
  changed.set_ordinal(reserved.ordinal());
  changed.set_contact_key(change->contact_key());
  changed.set_address(change->address());
  changed.set_domain_key(change->domain_key());
  changed.set_former_key(contact->contact_key());
  changed.set_former_address(contact->address());
  changed.set_source(change->source());
  context.Emit(changed);
}

void Decide(task::Context& context, const v1::AddressDenied& denied) {
  const auto* change = ChangeOf(context, denied.ordinal());
  if (change == nullptr || !change->former_key().empty() || change->contact_key() != denied.contact_key()) return context.Unchanged();
  v1::AddressChangeRefused refused;
  refused.set_ordinal(denied.ordinal());
  refused.set_code(denied.code());
  refused.set_other_contact_id(denied.other_contact_id());
  context.Emit(refused);
}

void Decide(task::Context& context, const v1::RecordKeysMoved& command) {
  const auto* change = ChangeOf(context, command.ordinal());
  if (change == nullptr || command.former_key().empty() || change->former_key() != command.former_key()) return context.Unchanged();
  v1::AddressReleased released;
  released.set_contact_key(change->former_key());
  released.set_partition(context.partition().value());
  released.set_ordinal(command.ordinal());
  context.Emit(released);
}

bool IsChanging(const task::Context& context, uint64_t ordinal) { return ChangeOf(context, ordinal) != nullptr; }

void ForgetAddresses(task::Context& context, uint64_t ordinal, const v1::Contact& contact) {
  std::vector<std::string> keys;
  for (const v1::FormerAddress& former : contact.former()) {
    if (former.contact_key() != contact.contact_key()) keys.push_back(former.contact_key());
  }
  std::ranges::sort(keys);
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  for (const std::string& key : keys) Forget(context, ordinal, key);
}

void ForgetElsewhere(task::Context& context, uint64_t ordinal, const std::string& contact_key) {
  if (schema::PartitionOfContact(contact_key, context.partition_count()) != context.partition()) Forget(context, ordinal, contact_key);
}

// ---- In the address's partition ----

void Decide(task::Context& context, const v1::AddressAsked& asked) {
  if (Denial denial = WhyNot(context, asked); !denial.code.empty()) {
    v1::AddressDenied denied;
    denied.set_contact_key(asked.contact_key());
    denied.set_partition(asked.partition());
    denied.set_ordinal(asked.ordinal());
    denied.set_code(std::move(denial.code));
    denied.set_other_contact_id(denial.other_contact_id);
    return context.Emit(denied);
  }
  v1::AddressReserved reserved;
  reserved.set_contact_key(asked.contact_key());
  reserved.set_partition(asked.partition());
  reserved.set_ordinal(asked.ordinal());
  context.Emit(reserved);
}

void Decide(task::Context& context, const v1::AddressReleased& released) {
  const auto* elsewhere = context.view<v1::ContactElsewhere>().Find(state::Key(context.tenant(), released.contact_key()));
  if (elsewhere == nullptr || !Is(*elsewhere, released.partition(), released.ordinal())) return context.Unchanged();
  v1::AddressFreed freed;
  freed.set_contact_key(released.contact_key());
  freed.set_partition(released.partition());
  freed.set_ordinal(released.ordinal());
  context.Emit(freed);
}

void Decide(task::Context& context, const v1::AddressForgotten& forgotten) {
  const std::string key = state::Key(context.tenant(), forgotten.contact_key());
  const auto* elsewhere = context.view<v1::ContactElsewhere>().Find(key);
  const bool others = elsewhere != nullptr && !Is(*elsewhere, forgotten.partition(), forgotten.ordinal());
  if (others || context.view<v1::ContactRef>().Find(key) != nullptr) return context.Unchanged();
  const auto* pending = context.view<v1::KeysPending>().Find(key);
  v1::AddressErased erased;
  erased.set_contact_key(forgotten.contact_key());
  erased.set_generation(pending == nullptr ? 1 : pending->generation() + 1);
  context.Emit(erased);
}

const v1::ContactElsewhere* OwnerElsewhere(const task::Context& context, std::string_view contact_key) {
  if (context.view<v1::ContactElsewhere>().Find(MovedKey(context.tenant())) == nullptr) return nullptr;
  return context.view<v1::ContactElsewhere>().Find(state::Key(context.tenant(), contact_key));
}

void Forward(task::Context& context, PartitionId partition, TypeNumber type, std::string_view payload) {
  v1::CommandForwarded forwarded;
  forwarded.set_partition(partition.value());
  forwarded.set_command_type(type);
  forwarded.set_command(payload.data(), payload.size());
  context.Emit(forwarded);
}

namespace {

// Of one that a link has brought, which does not say by what key it is routed: its first field, as of all that are forwarded.
std::string KeyOf(const command::Command& command) {
  if (!command.key.empty()) return std::string(command.key);
  v1::UpsertContact first;
  return first.ParseFromArray(command.payload.data(), static_cast<int>(command.payload.size())) ? first.contact_key() : std::string();
}

}  // namespace

namespace {

// What a link has brought for an address that its contact has given up meanwhile goes back to where that is free or somebody else's: the
// release went before it on the same link, so it is not sent to and fro. An upsert sees to that itself.
bool GoesBack(task::Context& context, const command::Command& command, const std::string& contact_key) {
  const PartitionId home = schema::PartitionOfContact(contact_key, context.partition_count());
  if (!command.key.empty() || home == context.partition() || command.type == TypeNumberOf<v1::UpsertContact>()) return false;
  const std::string key = state::Key(context.tenant(), contact_key);
  if (context.view<v1::ContactRef>().Find(key) != nullptr || context.view<v1::KeysPending>().Find(key) != nullptr) return false;
  Forward(context, home, command.type, command.payload);
  return true;
}

}  // namespace

bool ForwardToOwner(task::Context& context, const command::Command& command) {
  if (context.view<v1::ContactElsewhere>().Find(MovedKey(context.tenant())) == nullptr) return false;
  const std::string contact_key = KeyOf(command);
  if (contact_key.size() != schema::kContactKeyBytes) return false;
  const auto* elsewhere = OwnerElsewhere(context, contact_key);
  if (elsewhere == nullptr) return GoesBack(context, command, contact_key);
  const v1::ContactElsewhere owner = *elsewhere;
  Forward(context, PartitionId(static_cast<uint16_t>(owner.partition())), command.type, command.payload);
  context.Answer("contact_ordinal", owner.ordinal());
  context.Answer("partition", uint64_t{owner.partition()});
  context.Answer("result", "forwarded");
  return true;
}

// ---- Folds ----

void Evolve(task::Fold& fold, const v1::AddressAsked& event) {
  v1::AddressChange& change = fold.table<v1::AddressChange>().Edit(state::Key(fold.tenant(), event.ordinal()));
  change.set_contact_key(event.contact_key());
  change.set_address(event.address());
  change.set_domain_key(event.domain_key());
  change.set_source(event.source());
}

void Evolve(task::Fold& fold, const v1::AddressReserved& event) {
  const std::string key = state::Key(fold.tenant(), event.contact_key());
  if (event.partition() == fold.partition().value()) return fold.table<v1::ContactRef>().Edit(key).set_ordinal(event.ordinal());
  v1::ContactElsewhere& elsewhere = fold.table<v1::ContactElsewhere>().Edit(key);
  elsewhere.set_partition(event.partition());
  elsewhere.set_ordinal(event.ordinal());
  NoteMoved(fold);
}

void Evolve(task::Fold&, const v1::AddressDenied&) {}

void Evolve(task::Fold& fold, const v1::AddressChangeRefused& event) {
  fold.table<v1::AddressChange>().Erase(state::Key(fold.tenant(), event.ordinal()));
}

void Evolve(task::Fold& fold, const v1::ContactAddressChanged& event) {
  const std::string key = state::Key(fold.tenant(), event.ordinal());
  v1::Contact& contact = fold.table<v1::Contact>().Edit(key);
  v1::FormerAddress& former = *contact.add_former();
  former.set_contact_key(event.former_key());
  *former.mutable_campaigns() = contact.campaigns();
  contact.clear_campaigns();
  contact.set_contact_key(event.contact_key());
  contact.set_address(event.address());
  contact.set_domain_key(event.domain_key());
  fold.table<v1::ContactRef>().Edit(state::Key(fold.tenant(), event.contact_key())).set_ordinal(event.ordinal());
  fold.table<v1::AddressChange>().Edit(key).set_former_key(event.former_key());
  NoteMoved(fold);
}

void Evolve(task::Fold& fold, const v1::AddressReleased& event) {
  EraseIf(fold, event.contact_key(), event.ordinal());
  auto changes = fold.table<v1::AddressChange>();
  const std::string key = state::Key(fold.tenant(), event.ordinal());
  const auto* change = changes.Find(key);
  if (change != nullptr && change->former_key() == event.contact_key()) changes.Erase(key);
}

void Evolve(task::Fold& fold, const v1::AddressFreed& event) {
  fold.table<v1::ContactElsewhere>().Erase(state::Key(fold.tenant(), event.contact_key()));
}

void Evolve(task::Fold&, const v1::CommandForwarded&) {}
void Evolve(task::Fold&, const v1::AddressForgotten&) {}

void Evolve(task::Fold& fold, const v1::AddressErased& event) {
  const std::string key = state::Key(fold.tenant(), event.contact_key());
  auto elsewhere = fold.table<v1::ContactElsewhere>();
  if (elsewhere.Find(key) != nullptr) elsewhere.Erase(key);
  if (event.ordinal() != 0) EraseIf(fold, event.contact_key(), event.ordinal());
  v1::ErasedContact& erased = fold.table<v1::ErasedContact>().Edit(key);
  erased.set_ordinal(event.ordinal());
  erased.set_erased_at_us(fold.now().us);
  v1::KeysPending& pending = fold.table<v1::KeysPending>().Edit(key);
  pending.set_ordinal(event.ordinal());
  pending.set_generation(event.generation());
  if (event.has_merged()) *pending.mutable_merged() = event.merged();
}

void Evolve(task::Fold& fold, const sends::v1::AttemptOpened& event) {
  if (schema::IsMessage(event.campaign_id())) return;
  if (fold.table<v1::ContactElsewhere>().Find(MovedKey(fold.tenant())) == nullptr) return;
  auto contacts = fold.table<v1::Contact>();
  const std::string key = state::Key(fold.tenant(), event.ordinal());
  const v1::Contact* contact = contacts.Find(key);
  if (contact == nullptr || contact->former().empty()) return;
  Keep(*contacts.Edit(key).mutable_campaigns(), event.campaign_id());
}

}  // namespace maily::contacts
