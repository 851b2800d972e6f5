// When a task that leads has a snapshot of its state taken.
#pragma once

#include <memory>

#include "streams/state/store.h"
#include "streams/task/task.h"

namespace maily::task {

// Lives on the task's executor, as long as one leadership. Does nothing where there are no snapshots.
class SnapshotTaker {
 public:
  // Asks at once what there is. `store` outlives it.
  SnapshotTaker(const TaskEnvironment& environment, PartitionId partition, Executor& executor, state::Store& store);
  ~SnapshotTaker();

  // So many bytes were appended to the journal.
  void Appended(size_t bytes);
  // Call after each flush, and now and then: begins one if it is due and none is being taken. One is due if the store stands further than
  // the newest there is, and: there is none, or enough journal was written since, or it is old enough. After a failure: a minute later.
  void Look();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::task
