// Builds a new version of a group's database beside the live one, and proves that it holds the same rows.
//
//     building ──▶ catching_up ──▶ verifying ──▶ following ──▶ done
//         └─────────────┴──────────────┴─────────────┴───────▶ failed (the new database is dropped; the live one was never touched)
//
//  1. building: fold from genesis to where the live version stood at the start.
//  2. catching_up: take a snapshot of the live version, which goes on, and fold exactly to its positions.
//  3. verifying: digests of the snapshot and of the new version must be equal, table by table.
//  4. following: make it durable, fold to the live version's present positions. Then whoever asked for it switches, or drops it.
// Without a live version, or when the live one was folded by other read models, there is nothing to compare with: 1 goes to the end of the
// journal, 2 and 3 are left out. A crash at any point leaves a database that no pointer names; it is dropped at the next start.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "projections/projector/digest.h"
#include "projections/projector/projector.h"

namespace maily::projections {

enum class RebuildPhase : uint8_t { kBuilding, kCatchingUp, kVerifying, kFollowing, kDone, kFailed };
std::string_view RebuildPhaseName(RebuildPhase phase);

struct RebuildStatus {
  std::string group = {};
  std::string database = {};  // being built
  RebuildPhase phase = RebuildPhase::kBuilding;
  uint64_t records_done = 0;
  uint64_t records_total = 0;
  Duration elapsed = {};
  Duration remaining = {};  // estimated by the rate so far; zero = cannot tell yet
  bool compared = false;    // the digests were compared, and are equal
  std::string digest = {};  // of the new version when it was compared
  std::string error = {};   // kFailed
};

// Lives on env.executor.
class Rebuild : public std::enable_shared_from_this<Rebuild> {
 public:
  struct Built {
    std::shared_ptr<Projector> projector;  // still Mode::kBuild; durable up to a moment ago, and at the end of the journal or nearly
    GroupDigest digest;                    // as compared
    bool compared = false;
  };
  // `live` may be null. `committed` is handed on to the new projector. `done` is called once.
  static std::shared_ptr<Rebuild> Start(const ProjectionEnvironment& env, const Group& group, std::string database,
                                        std::shared_ptr<Projector> live, ProjectorLimits limits, Projector::Callbacks callbacks,
                                        std::function<void(Result<Built>)> done);
  ~Rebuild();
  // Drops what was built; `done` does not come.
  void Abandon();
  // Thread: any.
  RebuildStatus status() const;

 private:
  struct Impl;
  explicit Rebuild(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace maily::projections
