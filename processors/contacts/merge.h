// How two contacts become one: asked for in the contact's partition, agreed to in the other's, then the contact is history and what it was
// goes over, and its addresses lead to the other. Each step is an event that a link carries, so a crash anywhere loses none and repeats
// none (docs/adr/0074-a-merge-is-asked-then-handed-over.md).
#pragma once

#include "maily/contacts/v1/commands.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "streams/task/processor.h"

namespace maily::contacts {

inline constexpr int kMergedAddressesMax = 16;  // of a contact
inline constexpr int kMergeChangesMax = 40;     // of lists and consents: each is an event, one or two, of the decision that takes it over
inline constexpr int kMergeCampaignsMax = 200;  // under way, that one command names
inline constexpr int kHadCampaignsMax = 200;    // that a contact is remembered to have had by those merged into it

// Answers result: "asked", or "unchanged" of one that was merged there before. Codes: "unknown_contact" (not found), "erased" (gone),
// "invalid_merge", "too_many_campaigns", "too_many_lists" (invalid), and as conflicts "contact_merged" (with other_contact_id),
// "merge_under_way", "address_change_under_way".
void Decide(task::Context& context, const v1::MergeContact& command);
// In the contact's partition: it is history from here on, or stays.
void Decide(task::Context& context, const v1::MergeAgreed& agreed);
void Decide(task::Context& context, const v1::MergeDenied& denied);
// In the other's partition.
void Decide(task::Context& context, const v1::MergeAsked& asked);
void Decide(task::Context& context, const v1::MergeGivenUp& given_up);
void Decide(task::Context& context, const v1::ContactHandedOver& handed);
void Decide(task::Context& context, const v1::AddressPassedOn& passed);
// In the address's partition, if that is a third.
void Decide(task::Context& context, const v1::AddressClaimed& claimed);
// In the partition of a contact that was merged into one that is erased.
void Decide(task::Context& context, const v1::MergedForgotten& forgotten);
void Decide(task::Context& context, const v1::ContactKeysDestroyed& destroyed);

// Whether the contact is being merged into another, or another into it.
bool IsMerging(const task::Context& context, uint64_t ordinal);
// Refuses what is asked of a contact that was merged, naming the other; false: it was not.
bool RefuseIfMerged(task::Context& context, uint64_t ordinal);
// Of a contact that is about to be erased: tells those that were merged into it, and has the keys of their addresses destroyed.
void ForgetMerged(task::Context& context, uint64_t ordinal, const v1::Contact& contact);

void Evolve(task::Fold& fold, const v1::MergeAsked& event);
void Evolve(task::Fold& fold, const v1::MergeAgreed& event);
void Evolve(task::Fold& fold, const v1::MergeDenied& event);
void Evolve(task::Fold& fold, const v1::MergeRefused& event);
void Evolve(task::Fold& fold, const v1::MergeGivenUp& event);
void Evolve(task::Fold& fold, const v1::ContactMerged& event);
void Evolve(task::Fold& fold, const v1::ContactHandedOver& event);
void Evolve(task::Fold& fold, const v1::ContactTakenOver& event);
void Evolve(task::Fold& fold, const v1::AddressClaimed& event);
void Evolve(task::Fold& fold, const v1::AddressPassedOn& event);
void Evolve(task::Fold& fold, const v1::IntakeSettled& event);
void Evolve(task::Fold& fold, const v1::MergedForgotten& event);

}  // namespace maily::contacts
