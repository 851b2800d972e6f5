// What a state store says of itself, beside the entries of messages.
#pragma once

#include <string>
#include <string_view>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/journal/position.h"
#include "streams/port/kv.h"

namespace maily::state {

// Entries of messages begin with a type from 1 on: they come from kFirstEntry on, and nothing of them before it.
inline const std::string kMetaKey("\0\0meta", 6);
inline const std::string kPositionKey("\0\0position", 10);
inline const std::string kFirstEntry("\0\1", 2);

// Removes everything. The description goes first: a crash in between leaves a store that is emptied again.
Result<void> Empty(Kv& kv);

// Writes what the store is and, if it is not null, where it stands; from then on, over a crash too, it counts as what it says.
Result<void> Describe(Kv& kv, const LogId& log_id, PartitionId partition, const std::string& fold_version,
                      const journal::Position* position);

// The fold version that a store's description names. Errors as Store::Open's.
Result<std::string> FoldVersionOf(std::string_view meta, const LogId& log_id, PartitionId partition);

}  // namespace maily::state
