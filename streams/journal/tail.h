// The tail of a partition's journal: accepted frames, unpacked once and shared by all readers of the process.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "streams/journal/decision.h"
#include "streams/journal/position.h"
#include "streams/journal/reader.h"
#include "streams/port/env.h"
#include "streams/port/log.h"

namespace maily::journal {

// A frame that the reader rules accepted. Immutable; views in it live as long as it does.
struct AcceptedFrame {
  Position before;  // what a reader had to stand at
  Position after;   // where a reader stands that has applied it
  Offset offset;    // of its record
  Instant time;
  Lsn first_lsn;  // decision i has lsn first_lsn + i
  std::vector<Decision> decisions;
  std::vector<Event> events;  // what the decisions' spans point into
  std::string body;           // what all strings point into
};
using FramePtr = std::shared_ptr<const AcceptedFrame>;

// Follows one partition from a position on, by the reader rules. Not thread-safe; use it on one executor.
class TailReader {
 public:
  virtual ~TailReader() = default;
  // The next accepted frame, or null if there is none up to the durable end. Skips fenced frames, duplicates, gaps and claims
  // (claims move position() too). kCorrupt, kDiverged: a reader rule says stop; no frame comes any more. kFatal: a frame is of a level
  // that this build cannot read: upgrade. kRetry: the log cannot be read now; call again later.
  virtual Result<FramePtr> Next() = 0;
  // Where it stands: after the last frame that Next returned, and claims that followed.
  virtual const Position& position() const = 0;
  // Posts `ready` once on `executor` when Next may have more: at once if it already has. One call at a time.
  virtual void WhenReady(Executor& executor, Job ready) = 0;
};

// One a partition and process. Thread: any.
class Tail {
 public:
  // `cache_bytes_max`: frames kept unpacked for other readers of the same place.
  Tail(Log& log, PartitionId partition, size_t cache_bytes_max);
  ~Tail();

  // A reader from `from` (a default Position with at_genesis = from the beginning). Checks rule 7: the record at the offset hint
  // carries my (epoch, seq) and hashes to my chain; else kDiverged.
  Result<std::unique_ptr<TailReader>> Open(const Position& from);

  // Records that the readers of this tail have skipped for this reason (rule 1 counts strays); each reader counts for itself, frames
  // that it took from the cache excepted.
  uint64_t skipped(SkipWhy why) const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Those of all partitions of a log. Thread: any.
class Tails {
 public:
  // `cache_bytes_max`: of each.
  explicit Tails(Log& log, size_t cache_bytes_max = 2 << 20);

  Tail& at(PartitionId partition) { return *tails_[partition.value()]; }
  uint16_t partition_count() const { return static_cast<uint16_t>(tails_.size()); }

 private:
  std::vector<std::unique_ptr<Tail>> tails_;
};

// Unpacks a frame that Judge accepted: `step` as Judge gave it for the record at `offset`, read at `before`.
// kCorrupt: its hashes are right and its body is not what this build can decode.
Result<FramePtr> Unpack(const Position& before, const Step& step, Offset offset);

// Writes the Genesis record of a partition's journal if it has none. kConflict: one with other settings is there.
// kDiverged: it has none any more.
// Blocks until durable; called at creation of a log, before anything else.
Result<void> WriteGenesis(Log& log, PartitionId partition);

}  // namespace maily::journal
