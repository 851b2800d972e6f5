// Whether a partition's stored state is the fold of its journal: folds the journal again, beside, and compares.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "streams/base/hash.h"
#include "streams/base/result.h"
#include "streams/journal/position.h"
#include "streams/port/kv.h"
#include "streams/port/log.h"
#include "streams/task/pipeline.h"

namespace maily::task {

struct Verified {
  journal::Position position;  // that the store stands for, and was compared at
  uint64_t entries = 0;        // of the stored state
  Hash128 stored;              // digests, as state::Store::Digest
  Hash128 folded;
  // The first entry that differs, in the order of types and keys. Only a hash of the key: keys may hold what a person has chosen.
  struct Difference {
    TypeNumber type = 0;
    TenantId tenant;
    uint64_t key_hash = 0;  // XXH3_64 of the key
    std::string what;       // "missing", "not in the journal", "another value"
  };
  std::optional<Difference> difference;
  bool equal() const { return !difference && stored.low == folded.low && stored.high == folded.high; }
};

// Reads the partition's store in `stores`, changes nothing in it, and folds the journal up to its position into the scratch store
// `scratch`, which is emptied before and removed afterwards. `progress`: decisions folded, and of how many. Both must have no other user.
// kNotFound: the partition has no store yet. kDiverged: the store is of another log, of other folds than this build's, or its position is
// not in the journal. kCorrupt: something does not parse.
Result<Verified> VerifyStore(Log& log, const Pipeline& pipeline, PartitionId partition, KvStores& stores, KvStores& scratch,
                             const std::function<void(uint64_t done, uint64_t of)>& progress);

}  // namespace maily::task
