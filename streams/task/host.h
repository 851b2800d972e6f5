// Which partitions run here: a task for each, pinned to an executor; tells effects who leads, with which epoch.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "streams/journal/tail.h"
#include "streams/task/task.h"

namespace maily::task {

// Thread: any, unless said.
class Host {
 public:
  // Called on the partition's executor.
  struct Listener {
    std::function<void(PartitionId, Executor&, Epoch, const journal::Position&, state::Cache&, Credits&, journal::Tail&)> led;
    std::function<void(PartitionId)> stopped;
    std::function<void(PartitionId, state::Cache&)> followed = {};  // as TaskListener says
    std::function<void(PartitionId, const Error&)> failed = {};
  };
  // Partition p runs on executors[p % size]. `tails` outlive it.
  Host(const TaskEnvironment& environment, journal::Tails& tails, std::vector<Executor*> executors, Listener listener);
  ~Host();

  // Leads these partitions and follows all others, which it can lead the sooner when it is told to; those of an executor are restored one
  // after the other (turns.h). What it led and is not told to lead any more is handed over. Assignment is a hint, the claim is the fence:
  // two processes that are told the same do no harm.
  void Assign(const std::vector<PartitionId>& mine);
  // All of them.
  void Start();
  // Hands every partition over; calls `done` once, on some executor.
  void Stop(Job done);
  std::vector<Task::Status> status() const;
  // True once every partition is led here.
  bool AllLeading() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::task
