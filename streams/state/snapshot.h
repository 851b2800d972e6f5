// Snapshots of a partition's state: its position and all entries, as blobs that a new owner without a store starts from.
//
// A snapshot is parts, then a manifest; without its manifest it is not there. Names, below snapshots/<log id>/<partition, 5 digits>/:
//   parts/<id>/<number, 6 digits>   zstd of entries in the order of their keys: key size varint | key | value size varint | value
//   manifests/<id>                  what Snapshot holds, with a hash at its end
// id = lsn, 20 digits - XXH3_64 of the fold version, 16 hex digits - chance, 8 hex digits: the names of manifests are in the order of age.
// A snapshot can always be missed, so a new version of this format needs no reader of the old one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "streams/base/hash.h"
#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/journal/position.h"
#include "streams/port/blobs.h"
#include "streams/port/kv.h"
#include "streams/state/digest.h"

namespace maily::state {

inline constexpr size_t kPartBytes = 8 << 20;  // of entries, not packed; one entry more may stand in it

struct SnapshotPart {
  uint64_t bytes = 0;      // of the blob
  uint64_t raw_bytes = 0;  // unpacked
  uint64_t hash = 0;       // XXH3_64 of the blob
};

struct Snapshot {
  std::string id;
  journal::Position position;  // that the entries stand for
  std::string fold_version;    // of the pipeline that folded them
  std::string build;
  Instant taken;
  uint64_t entries = 0;
  Hash128 digest;  // as Store::Digest
  std::vector<SnapshotPart> parts;

  uint64_t bytes() const;  // of all parts
};

std::string EncodeManifest(const Snapshot& snapshot);
// `id` is not in the bytes. kCorrupt: they are no manifest that this build reads.
Result<Snapshot> DecodeManifest(const std::string& id, std::string_view bytes);

// The snapshots of one partition. Thread: any; blocks as Blobs does.
class SnapshotPlace {
 public:
  SnapshotPlace(Blobs& blobs, const LogId& log_id, PartitionId partition);

  // Ids, newest first; of this fold version, or of all of them where it is empty. At most 1,000.
  Result<std::vector<std::string>> List(const std::string& fold_version) const;
  // kNotFound, kCorrupt, kRetry; kCorrupt also if it is of another log or partition.
  Result<Snapshot> Read(const std::string& id) const;
  // Removes what is older than the newest `keep` snapshots of this fold version, and as many of other ones; also parts without a manifest
  // that are not younger than `newest`, which has just been taken: nobody will finish those.
  Result<void> Prune(const std::string& fold_version, const std::string& newest, size_t keep) const;
  // Removes one, its manifest first.
  Result<void> Remove(const std::string& id) const;

  Blobs& blobs() const { return blobs_; }
  const LogId& log_id() const { return log_id_; }
  PartitionId partition() const { return partition_; }
  std::string NewId(const journal::Position& position, const std::string& fold_version, uint64_t chance) const;
  std::string ManifestName(const std::string& id) const;
  std::string PartName(const std::string& id, size_t number) const;

 private:
  Result<void> RemoveParts(const std::string& id) const;

  Blobs& blobs_;
  const LogId log_id_;
  const PartitionId partition_;
  const std::string root_;
};

// Takes a snapshot, a part a step; holds one part in memory, packed and not.
class SnapshotWriter {
 public:
  struct Options {
    std::string build;
    uint64_t chance = 0;  // tells its id from others of the same position
    size_t part_bytes = kPartBytes;
  };
  // `view`: of the partition's store.
  SnapshotWriter(SnapshotPlace place, std::unique_ptr<KvView> view, Options options);
  // False: it is complete, and durable. After an error, or when it is not wanted any more, call Abandon. kNotFound: there is no frame yet
  // that the store stands after, so there is nothing to take. kConflict: the store was closed.
  Result<bool> Step(Instant now);
  void Abandon();
  const Snapshot& snapshot() const { return snapshot_; }

 private:
  Result<void> Begin();
  Result<bool> Put();

  const SnapshotPlace place_;
  std::unique_ptr<KvView> view_;
  const Options options_;
  Snapshot snapshot_;
  DigestSum digest_;
};

// Fills a store from a snapshot, a part a step, in place of what the store holds; holds one part in memory, packed, unpacked and as a
// batch. Until it is complete the store counts as empty.
class SnapshotLoader {
 public:
  SnapshotLoader(SnapshotPlace place, Snapshot snapshot, Kv& kv);

  enum class State { kLoading, kComplete, kUnusable };
  // kUnusable: a part is missing, damaged or cannot be had: see trouble(). An error is the store's own.
  Result<State> Step();
  const std::string& trouble() const { return trouble_; }
  const Snapshot& snapshot() const { return snapshot_; }

 private:
  // Adds the entries of part `number` to `batch`. An error makes the snapshot unusable.
  Result<void> Unpack(size_t number, KvBatch& batch);

  const SnapshotPlace place_;
  const Snapshot snapshot_;
  Kv& kv_;
  bool begun_ = false;
  size_t next_ = 0;
  uint64_t entries_ = 0;
  DigestSum digest_;
  std::string last_key_;
  std::string trouble_;
};

}  // namespace maily::state
