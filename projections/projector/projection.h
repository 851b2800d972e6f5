// One projection group at work: its live version, the building of the next one, and the switch between them.
//
//  - Start with a pointer to a database of these read models: it goes on from its positions.
//  - Start without (first start, or deleted): a version is built to the end of the journal, and answers no query before.
//  - Start with a database of other read models (another version or schema): that one answers, standing still, until a new one is built.
//  - A switch is the replacement of the pointer: the new version has reached every position of the old one, and is durable. The old one is
//    kept for Rollback; older ones, and whatever no pointer names, are dropped.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "projections/projector/digest.h"
#include "projections/projector/projector.h"
#include "projections/projector/rebuild.h"
#include "projections/views/views.h"
#include "streams/observe/metrics.h"

namespace maily::projections {

struct ProjectionStatus {
  std::string group = {};
  std::string live = {};                          // database; empty = none yet
  std::string previous = {};                      // kept for Rollback; empty = none
  std::vector<journal::Position> positions = {};  // of the live one
  uint64_t lag_records = 0;                       // of the partition that is most behind
  Duration lag = {};
  std::optional<RebuildStatus> rebuild = {};  // the running or the last one of this process
  std::string stopped = {};                   // why it folds no more; empty = it works
};

struct VerifiedDigest {
  GroupDigest digest;
  std::vector<journal::Position> positions;  // of the snapshot that it was taken of
};

// Thread: any; the work is done on env.executor, and callbacks come there.
class Projection {
 public:
  Projection(const ProjectionEnvironment& env, const Group& group, Views& views, ProjectorLimits limits = {});
  ~Projection();  // Stop was called, and its callback has come

  // Opens or builds. `ready` comes when queries are answered; kRetry is tried again by itself, any other error means that the group cannot
  // work (kCorrupt: delete its pointer or database, and it is rebuilt).
  void Start(std::function<void(Result<void>)> ready);
  void Stop(std::function<void()> stopped);

  // Builds a new version beside. kSwitch: it becomes live. kCompare: only the proof is wanted, it is dropped.
  // kConflict: one is being built. kDiverged: the digests differ; the live version stays.
  enum class Then : uint8_t { kSwitch, kCompare };
  void Rebuild(Then then, std::function<void(Result<RebuildStatus>)> done);
  // The previous version becomes live again and catches up. kNotFound: there is none. kConflict: one is being built.
  void Rollback(std::function<void(Result<void>)> done);
  // The digest of the live version, from one snapshot. kRetry: none is live.
  void Digest(std::function<void(Result<VerifiedDigest>)> done);

  ProjectionStatus Status() const;

  // Lag in records and seconds of every partition, and the events folded: added to `metrics` until Stop.
  void Report(observe::Metrics& metrics);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Where the one of them stands that has come furthest in a partition; at_genesis: none has begun. Of projections or keepers.
template <class Any>
journal::Position Furthest(const std::vector<std::unique_ptr<Any>>& all, PartitionId partition) {
  journal::Position furthest;
  for (const auto& one : all) {
    for (const journal::Position& position : one->Status().positions) {
      if (position.partition == partition && position.lsn > furthest.lsn) furthest = position;
    }
  }
  return furthest;
}

}  // namespace maily::projections
