// Decides what is asked of contacts, in the partition of the contact key.
#pragma once

#include "maily/contacts/v1/commands.pb.h"
#include "streams/task/processor.h"

namespace maily::contacts {

inline constexpr int kAttributesMax = 256;             // of one command
inline constexpr size_t kContactBytesMax = 64 * 1024;  // of all that is remembered of one contact
inline constexpr int kJoinListsMax = 32;               // of one command: each is an event of its own (journal::kEventsMax)
inline constexpr int kListsMax = 1'000;                // that one contact is a member of

// Answers contact_ordinal, partition and result: "created", "updated" or "unchanged".
// Codes of refusal: "invalid_contact", "too_many_attributes", "too_many_lists", "contact_too_large".
void Decide(task::Context& context, const v1::UpsertContact& command);

inline constexpr int kImportRowsMax = 32;  // of one command: a row makes at most two events (journal::kEventsMax)

// Answers `results`, a letter a row: c = created, u = updated, n = nothing had to change, r = refused. Of a refused row its number from 0
// is a member too, "code: sentence"; the codes are those of UpsertContact and "wrong_partition". Codes of refusal of all: "too_many_rows".
void Decide(task::Context& context, const v1::ImportContacts& command);

}  // namespace maily::contacts
