// Decides what is asked of contacts, in the partition of the contact key.
#pragma once

#include "maily/contacts/v1/commands.pb.h"
#include "maily/journeys/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::contacts {

inline constexpr int kAttributesMax = 256;             // of one command
inline constexpr size_t kContactBytesMax = 64 * 1024;  // of all that is remembered of one contact
inline constexpr int kJoinListsMax = 32;               // of one command: each is an event of its own (journal::kEventsMax)
inline constexpr int kListsMax = 1'000;                // that one contact is a member of
inline constexpr int kTagsMax = 100;                   // of a contact, and of one command
inline constexpr size_t kTagBytesMax = 40;             // of a-z, 0-9, _ - . and :

// Answers contact_ordinal, partition and result: "created", "updated" or "unchanged"; of somebody who was erased and has not consented
// anew the result "skipped" alone, with the reason "erased".
// Of an address whose contact lives in another partition the result is "forwarded": that one decides it.
// Codes of refusal: "invalid_contact", "too_many_attributes", "too_many_lists", "invalid_tag", "too_many_tags", "contact_too_large",
// and conflicts: "erasure_under_way" (consent came while keys are being destroyed), "address_changing" (the contact has another address by
// now, and this one is free in a moment; one that was forwarded is a dead letter then).
void Decide(task::Context& context, const v1::UpsertContact& command);

inline constexpr int kImportRowsMax = 32;  // of one command: a row makes at most two events (journal::kEventsMax)

// Answers `results`, a letter a row: c = created, u = updated (or forwarded), n = nothing had to change, e = left out, the person was
// erased, r = refused. Of a row of the last two its number from 0 is a member too, "code: sentence"; the codes are those of UpsertContact
// and "wrong_partition". Codes of refusal of all: "too_many_rows".
void Decide(task::Context& context, const v1::ImportContacts& command);

// Answers result: "updated" or "unchanged". Codes: "unknown_contact" (not found), "erased" (gone), and those of UpsertContact.
void Decide(task::Context& context, const v1::PatchContact& command);

// A step of a journey changes a contact, in the decision of the step; as PatchContact, and nothing happens where that would be refused.
void React(task::Context& context, const journeys::v1::ContactUpdateWanted& wanted);

// Unchanged if it was erased before. Codes: "unknown_contact" (not found), "address_change_under_way" (a conflict).
void Decide(task::Context& context, const v1::EraseContact& command);
// Unchanged if nobody waits for it.
void Decide(task::Context& context, const v1::RecordKeysDestroyed& command);

}  // namespace maily::contacts
