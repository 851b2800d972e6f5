// How a contact gets another address: asked for in the contact's partition, reserved in the address's, changed, and the former one released
// once the contact's keys are filed under the new one. Each step is an event that a link carries, so a crash anywhere loses none and
// repeats none (docs/adr/0073-an-address-is-reserved-where-it-lives.md).
#pragma once

#include <string_view>

#include "maily/contacts/v1/commands.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::contacts {

inline constexpr int kFormerAddressesMax = 16;      // of a contact
inline constexpr int kCampaignsOfAddressMax = 200;  // whose mails are known to have gone to an address

// Answers result: "asked" or "unchanged". Codes: "unknown_contact" (not found), "erased" (gone), "invalid_contact", "too_many_addresses"
// (invalid), and as conflicts "address_change_under_way", "contact_suppressed" (the person wants no mail: a change would undo that),
// "address_suppressed" (the domain is).
void Decide(task::Context& context, const v1::ChangeAddress& command);
// In the address's partition: reserved, or denied.
void Decide(task::Context& context, const v1::AddressAsked& asked);
// In the contact's partition.
void Decide(task::Context& context, const v1::AddressReserved& reserved);
void Decide(task::Context& context, const v1::AddressDenied& denied);
// Unchanged if nobody waits for it.
void Decide(task::Context& context, const v1::RecordKeysMoved& command);
// In the address's partition. Unchanged if somebody else has it.
void Decide(task::Context& context, const v1::AddressReleased& released);
void Decide(task::Context& context, const v1::AddressForgotten& forgotten);

// Whether an address of the contact changes now.
bool IsChanging(const task::Context& context, uint64_t ordinal);
// Some address of the tenant leads elsewhere, or has come from there: from now on it is asked which.
void NoteMoved(task::Fold& fold);
// Of a contact that was just erased: tells the partitions of its former addresses. `contact` as it was.
void ForgetAddresses(task::Context& context, uint64_t ordinal, const v1::Contact& contact);
// The same for the address that it had in the end, if that lives elsewhere: once its keys are gone, so that nobody is admitted there under
// keys that are about to go.
void ForgetElsewhere(task::Context& context, uint64_t ordinal, const std::string& contact_key);

// Who has the address in another partition, of an address that is at home here; null: nobody. Costs nothing where no address has moved.
const v1::ContactElsewhere* OwnerElsewhere(const task::Context& context, std::string_view contact_key);

// Sends a command on to where the address's contact lives; `partition` decides it.
void Forward(task::Context& context, PartitionId partition, TypeNumber type, std::string_view payload);
// As task::Forwarding wants it: true if the contact of the command's key lives in another partition. Answers result "forwarded",
// contact_ordinal and partition.
bool ForwardToOwner(task::Context& context, const command::Command& command);

void Evolve(task::Fold& fold, const v1::AddressAsked& event);
void Evolve(task::Fold& fold, const v1::AddressReserved& event);
void Evolve(task::Fold& fold, const v1::AddressDenied& event);
void Evolve(task::Fold& fold, const v1::AddressChangeRefused& event);
void Evolve(task::Fold& fold, const v1::ContactAddressChanged& event);
void Evolve(task::Fold& fold, const v1::AddressReleased& event);
void Evolve(task::Fold& fold, const v1::AddressFreed& event);
void Evolve(task::Fold& fold, const v1::CommandForwarded& event);
void Evolve(task::Fold& fold, const v1::AddressForgotten& event);
void Evolve(task::Fold& fold, const v1::AddressErased& event);
// Of a contact that has had other addresses: to which one a campaign's mail went.
void Evolve(task::Fold& fold, const sends::v1::AttemptOpened& event);

}  // namespace maily::contacts
