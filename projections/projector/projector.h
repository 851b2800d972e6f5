// Folds the journal of all partitions into one database of a projection group: rows and positions move in the same transaction.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "projections/projector/read_model.h"
#include "projections/sql/sql.h"
#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/journal/position.h"
#include "streams/journal/tail.h"
#include "streams/port/env.h"

namespace maily::projections {

// What projections are given by the process that runs them. Everything outlives them.
struct ProjectionEnvironment {
  sql::Databases& databases;
  Executor& executor;              // all of a group's work happens here, in slices
  Executor* background = nullptr;  // may wait for the disk; null = none, then the executor does
  Clock& clock;
  uint16_t partition_count = 1;
  // A reader of a partition's journal: Tail::Open.
  std::function<Result<std::unique_ptr<journal::TailReader>>(PartitionId, const journal::Position&)> open_reader;
  // One past the last durable offset of a partition's journal: for lag and progress.
  std::function<uint64_t(PartitionId)> journal_end;
  keyring::Keyring* keyring = nullptr;  // null: personal tables stay empty
};

enum class Mode : uint8_t {
  kBuild,  // nobody reads it yet: large transactions in short slices
  kLive,   // commits at the end of every slice, and at once when there is nothing more to fold
};

struct ProjectorLimits {
  Duration live_slice = Milliseconds(50);      // a transaction is not longer when there is more to fold
  Duration live_slice_unwatched = Seconds(1);  // while callbacks.watched says that nobody waits for what is folded
  Duration build_slice = Milliseconds(5);      // then other work of the executor has its turn
  uint64_t live_events_max = 100'000;          // of a transaction
  uint64_t build_events_max = 50'000;          // of a transaction: the pages that it changes are kept in memory twice
  // Commits are so far apart when frames come one by one: what arrives meanwhile shares a transaction. Far below what a reader notices.
  Duration commit_gap = Milliseconds(2);
  // While nobody waits: a page of an index that many rows of a transaction go to is written once.
  Duration commit_gap_unwatched = Milliseconds(200);
  // The same after a transaction of more than few_events, longer in proportion to them up to here: under load most of a fold's cost is
  // pages that are changed, written and copied again by every transaction.
  Duration commit_gap_busy = Seconds(1);
  uint64_t few_events = 2'000;
  Duration retry_after = Seconds(1);            // after kRetry: disk full, file locked
  int64_t checkpoint_bytes = 16 * 1024 * 1024;  // of unplaced bytes
};

// Lives on env.executor: created, called and stopped there; callbacks too, and they may not call it back.
class Projector : public std::enable_shared_from_this<Projector> {
 public:
  struct Callbacks {
    std::function<void(const std::vector<journal::Position>& changed)> committed = {};  // after every commit
    std::function<void(const Error&)> stopped = {};  // kFenced, kCorrupt, kDiverged, kFatal, kInvalid: nothing is folded any more
    std::function<void()> forgot = {};               // after a commit that deleted what was personal of the erased, while live
    std::function<bool()> watched = {};              // does anybody wait for what is folded? Call Hurry when somebody begins to
  };

  // Opens the database, makes the schema if it is new, and reads its positions. kConflict: its rows were folded by other read models.
  static Result<std::shared_ptr<Projector>> Open(const ProjectionEnvironment& env, const Group& group, std::string database, Mode mode,
                                                 ProjectorLimits limits, Callbacks callbacks);
  ~Projector();

  // Folds from now on.
  void Start();
  // Takes back what is not committed and folds no more. Callbacks come no more.
  void Stop();
  // Commits; everything so far survives loss of power.
  Result<void> MakeDurable();
  // From kBuild: makes everything so far durable, and works as kLive.
  Result<void> BecomeLive();

  // Calls `reached` once the committed position of every partition is at least `lsns[partition]`. With kStopThere no frame beyond is
  // folded until the next call.
  enum class Beyond : uint8_t { kStopThere, kGoOn };
  void RunTo(std::vector<Lsn> lsns, Beyond beyond, Job reached);
  // Calls `idle` once every partition has been read, and committed, to the end that it had at some time since this call.
  void RunToEnd(Job idle);

  // Somebody waits for what is folded: shortens a pause of commit_gap_unwatched. Any thread.
  void Hurry();

  // Committed.
  const std::vector<journal::Position>& positions() const;
  const std::string& database() const;
  // Of its own: for the digest of a build that stands still.
  sql::Connection& connection();

  // How far a partition is behind. Thread: any.
  struct Lag {
    uint64_t records = 0;
    Duration time;  // how long ago the last folded frame was written, while behind
  };
  Lag LagOf(PartitionId partition) const;
  // Journal records that were read, over all partitions; and how many there are. Thread: any.
  struct Progress {
    uint64_t records_done = 0;
    uint64_t records_total = 0;
  };
  Progress progress() const;

 private:
  struct Impl;
  explicit Projector(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The positions stored in a database of a group; kNotFound if it has none.
Result<std::vector<journal::Position>> ReadPositions(sql::Connection& connection);

// Over names, versions and schemas of the read models: differs if their rows may.
int64_t FingerprintOf(const ReadModel& model);

}  // namespace maily::projections
