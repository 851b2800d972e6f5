// Decides what is asked of lists: CreateList in the tenant's home, the rest in the partition of the contact key.
#pragma once

#include "maily/consents/v1/events.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/lists/v1/commands.pb.h"
#include "streams/task/processor.h"

namespace maily::lists {

inline constexpr uint64_t kListsMax = 10'000;  // of one tenant
inline constexpr int kListsOfContactMax = 1'000;
inline constexpr size_t kListNameBytesMax = 100;
inline constexpr size_t kDescriptionBytesMax = 500;
inline constexpr uint32_t kPublicListsMax = 50;  // of one tenant: a preference page shows all of them

// Answers list_id. Codes of refusal: "invalid_name", "invalid_description", "list_exists" (with its list_id), "too_many_lists",
// "too_many_public_lists".
void Decide(task::Context& context, const v1::CreateList& command);
// The same, and "list_not_found".
void Decide(task::Context& context, const v1::ChangeList& command);
// "unknown_contact", "too_many_lists". Whether the list exists is known in the home alone, and checked where the command is made.
// Joining takes no opt-out back.
void Decide(task::Context& context, const v1::JoinList& command);
// "unknown_contact".
void Decide(task::Context& context, const v1::LeaveList& command);
// "unknown_contact", "proof_missing".
void Decide(task::Context& context, const v1::Resubscribe& command);

// An import and its end are what the importer says of them.
void Decide(task::Context& context, const v1::StartImport& command);
void Decide(task::Context& context, const v1::EndImport& command);

// The lists that a contact joins as it is made or changed.
void React(task::Context& context, const contacts::v1::ContactCreated& event);
void React(task::Context& context, const contacts::v1::ContactChanged& event);
// A membership that an undone import made ends.
void React(task::Context& context, const contacts::v1::JoinUndone& event);

// Of a contact into which another was merged: on the lists of both, but not where either was asked to confirm and has not.
void React(task::Context& context, const contacts::v1::ContactTakenOver& event);

// The memberships, and the opt-out taken back, that a consent means. What is so already, or is no membership, follows nothing.
void React(task::Context& context, const consents::v1::ConsentGranted& event);
void React(task::Context& context, const consents::v1::ConsentWithdrawn& event);

}  // namespace maily::lists
