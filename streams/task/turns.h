// Who of an executor's partitions is restored first: one after the other, the one with the least to read before the others, so that the
// first decides while the others are restored.
#pragma once

#include <memory>
#include <vector>

#include "streams/port/env.h"

namespace maily::task {

// Lives on the executor. Who has the turn holds up the others for a second at most: the next begins then, beside.
class Turns : public std::enable_shared_from_this<Turns> {
 public:
  using Ticket = uint64_t;  // 0: none

  explicit Turns(Executor& executor) : executor_(executor) {}

  // `go` runs once it is its turn, in a job of its own: those that ask before that are compared by `work`, the offsets of the journal that
  // they have to read.
  Ticket Ask(uint64_t work, Job go);
  // It was restored, or will not be. Harmless for 0, and when it left before.
  void Leave(Ticket ticket);

 private:
  struct Waiting {
    Ticket ticket;
    uint64_t work;
    Job go;
  };
  void Soon();
  void Next();

  Executor& executor_;
  std::vector<Waiting> waiting_;
  Ticket last_ = 0;
  Ticket now_ = 0;
  bool posted_ = false;
};

}  // namespace maily::task
