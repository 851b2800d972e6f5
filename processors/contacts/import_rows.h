// Decides rows of an import, noting what they replace, and the undoing of it.
#pragma once

#include "maily/contacts/v1/commands.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::contacts {

inline constexpr int kNotedRowsMax = 31;               // of one command: a row makes two events at most, and all of them one more
inline constexpr size_t kPriorBytesMax = 32 * 1024;    // of what is noted by one command; a contact beyond it cannot be restored
inline constexpr int kRestoredContactsMax = 21;        // of one command: each makes three events at most
inline constexpr size_t kRestoreBytesMax = 48 * 1024;  // of one command, a guide for those who make it

// Answers as ImportContacts does, and emits RowsImported if anything was created or changed. Codes of refusal of all: "too_many_rows".
void Decide(task::Context& context, const v1::ImportRows& command);

// Puts back an attribute that still is what the import wrote; of a contact that it created, all of them, if all still are. The address of
// such a contact stays: only an erasure takes it away. Ends the membership that is named. Answers `results`, a letter a contact: r =
// restored, n = nothing is left to restore, k = something was changed since, and stays (what was not is restored), x = the contact is gone,
// or what stood there was too large to be noted. Codes of refusal: "too_many_rows".
void Decide(task::Context& context, const v1::RestoreContacts& command);

inline void Evolve(task::Fold&, const v1::RowsImported&) {}
inline void Evolve(task::Fold&, const v1::JoinUndone&) {}

}  // namespace maily::contacts
