// One partition's state on disk: opened at its position, flushed a generation at a time together with the position it stands for.
#pragma once

#include <memory>
#include <string>

#include "streams/base/hash.h"
#include "streams/base/result.h"
#include "streams/journal/position.h"
#include "streams/port/kv.h"
#include "streams/state/cache.h"

namespace maily::state {

// What the store of a partition is called among the stores.
std::string StoreName(PartitionId partition);

// The position of a store that is not opened as one: changes nothing. kNotFound: it is empty. kDiverged: of another log, partition, format
// or fold version. kCorrupt.
Result<journal::Position> StoredPosition(Kv& kv, const LogId& log_id, PartitionId partition, const std::string& fold_version);

// True if Store::Open would begin at the beginning of the journal: the store is new, or of another fold version. Changes nothing. Errors as
// Open's.
Result<bool> BeginsAnew(Kv& kv, const LogId& log_id, PartitionId partition, const std::string& fold_version);

class Store {
 public:
  struct Options {
    size_t cache_bytes_max = 32 << 20;
    // Of the pipeline's processors ("contacts=1 campaigns=2 …"): a store written under another fold is emptied and refolded.
    std::string fold_version;
  };
  // Opens `kv` (KvDurability::kOnFlush). A store of another log_id, partition or format: kDiverged.
  static Result<std::unique_ptr<Store>> Open(std::unique_ptr<Kv> kv, const LogId& log_id, PartitionId partition, Options options);
  ~Store();

  // The position that the state on disk stands for.
  const journal::Position& position() const;
  // True if Open found another fold_version and emptied the store: its position is the beginning.
  bool refolding() const;
  Cache& cache();

  // Closes the dirty generation as of `at`, the position after the last frame that it holds. Nothing is written yet: that frame may not
  // be accepted. CHECK: none is frozen.
  void Freeze(const journal::Position& at);
  bool has_frozen() const;
  const journal::Position& frozen_position() const;
  // Writes the frozen generation and its position in one batch and makes it survive power loss. Call only once the frame of
  // frozen_position() was accepted.
  Result<void> WriteFrozen();

  // Sum mod 2^128 of XXH3_128 over all entries (type ‖ key ‖ 0 ‖ value), as they would be after a flush. Reads everything.
  Result<Hash128> Digest();
  uint64_t SizeOnDisk();
  // What is written, its position with it: of an accepted frame, as all that is ever written.
  Result<std::unique_ptr<KvView>> View();

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace maily::state
