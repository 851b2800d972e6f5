// Snapshots of the partitions of a process: taken of those it leads, and loaded where a partition's store begins anew.
//
// Everything that blocks runs on an executor of its own, one part of a snapshot at a time, so that no partition waits for it, and memory is
// that of one part whatever the number and size of the partitions: packed, unpacked and as a batch, about 48 MiB.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "streams/journal/position.h"
#include "streams/port/blobs.h"
#include "streams/port/env.h"
#include "streams/port/kv.h"
#include "streams/port/log.h"
#include "streams/state/snapshot.h"

namespace maily::task {

inline constexpr size_t kSnapshotsKept = 2;  // of a partition

struct SnapshotOptions {
  std::string build;
  // One is due after this many journal bytes of a partition, or this much time in which anything was decided.
  size_t journal_bytes = 16 << 20;
  Duration interval = Hours(1);
  size_t part_bytes = state::kPartBytes;
};

// Thread: any. `executor` runs nothing any more when this is destroyed.
class Snapshots {
 public:
  Snapshots(Blobs& blobs, Log& log, Clock& clock, Entropy& entropy, Executor& executor, SnapshotOptions options);
  ~Snapshots();

  // The newest one there is.
  struct Newest {
    uint64_t lsn = 0;  // 0: there is none
    Instant taken;
  };
  // Posts `done` on `back`. Errors: the place cannot be asked.
  void Look(PartitionId partition, const std::string& fold_version, Executor& back, std::function<void(Result<Newest>)> done);

  // Takes one of what `view` shows, and removes those that are too many; posts `done` on `back`. kNotFound: there is nothing to take.
  void Take(PartitionId partition, std::unique_ptr<KvView> view, Executor& back, std::function<void(Result<Newest>)> done);

  // What comes of a store that was handed over to be filled.
  struct Filled {
    std::unique_ptr<Kv> kv;
    std::optional<Error> error;  // of the store; a snapshot that cannot be used is none
    bool restored = false;       // false: there was no snapshot to start from; the store is as good as empty
  };
  // Stops a Fill early; destroying it does not.
  class Filling {
   public:
    void Stop() { *stop_ = true; }

   private:
    friend class Snapshots;
    std::shared_ptr<std::atomic<bool>> stop_ = std::make_shared<std::atomic<bool>>(false);
  };
  // Fills a store from the newest snapshot of this fold version whose position the journal has passed through, or else from the one before
  // it, and so on; posts `done` on `back`. Each one that is passed over is told in the log, with the reason.
  Filling Fill(PartitionId partition, std::unique_ptr<Kv> kv, const std::string& fold_version, Executor& back,
               std::function<void(Filled)> done);

  const SnapshotOptions& options() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::task
