// Answers who waits in this process for what others decide: reads the journals and keeps no state (ADR 19).
//
// For a process that neither leads nor follows partitions. It cannot tell how the first copy of a repeated request came out when that was
// refused: who sent it hears "not yet", and finds the decision under its command.
#pragma once

#include <memory>
#include <vector>

#include "streams/command/replies.h"
#include "streams/journal/tail.h"
#include "streams/port/env.h"

namespace maily::task {

// Lives on `executor`, but for the inquiry; everything outlives it.
class Answers {
 public:
  // Reads each partition from the position given for it, or from its genesis.
  Answers(journal::Tails& tails, command::Replies& replies, Executor& executor, std::vector<journal::Position> from);
  ~Answers();

  // Where it stands in a partition: at genesis until it came to the end for the first time. Thread: any.
  journal::Position position(PartitionId partition) const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::task
