// A projection group where several processes share its databases: the one that holds the group's lease folds it, the others look on, and
// one of them takes over when it is gone.
//
//   looking on ──lease taken──▶ folding ──lease lost, or overtaken──▶ looking on
//
// Two that fold at once, because one slept through its lease, are kept apart by the fence of positions.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "projections/projector/projection.h"

namespace maily::projections {

struct KeeperOptions {
  std::string holder = "this process";  // unique over all processes; shown to who asks another one
  bool folds = true;                    // false: looks on for ever
  Duration lease = Seconds(5);
  Duration turn = Seconds(1);  // a lease is renewed, and asked for, so often
  ProjectorLimits limits = {};
};

// Thread: any; the work is done on env.executor, and callbacks come there.
class Keeper {
 public:
  Keeper(const ProjectionEnvironment& env, const Group& group, Views& views, KeeperOptions options);
  ~Keeper();  // Stop was called, and its callback has come

  // `ready` comes once queries are answered here, whoever folds; an error as Projection::Start's.
  void Start(std::function<void(Result<void>)> ready);
  // Gives the lease back.
  void Stop(std::function<void()> stopped);

  const std::string& group() const;
  // The projection, while this process folds; null = another one does: ask it what only it can do.
  std::shared_ptr<Projection> folding() const;
  // As far as this process sees.
  ProjectionStatus Status() const;
  // Who folds it, as far as is known.
  std::string holder() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::projections
