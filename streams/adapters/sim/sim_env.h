// One seeded thread for everything: virtual time, chance, and executors whose jobs interleave at random, the same for the same seed.
//
// A simulation makes one Scheduler, an Executor for every thread that the real program would have, and drives them by the Run functions.
// Nothing here is thread-safe: all of it, and all that runs on it, lives on the thread that calls Run.
#pragma once

#include <functional>
#include <memory>

#include "streams/port/env.h"

namespace maily::sim {

class Scheduler {
 public:
  explicit Scheduler(uint64_t seed, Instant start = Instant{1'700'000'000'000'000});
  // Drops all jobs. Executors may outlive it only unused.
  ~Scheduler();

  uint64_t seed() const;
  Clock& clock();
  // A stream of its own: what code draws here does not move the interleaving.
  Entropy& entropy();
  // Wall time jumps by `by` (either way); steady time goes on.
  void JumpWallClock(Duration by);

  // Runs its jobs in the order of posting, interleaved at random with those of other executors. Destroying it drops its jobs and timers
  // unrun, as the death of a process does.
  std::unique_ptr<Executor> MakeExecutor();

  // Chance for adapters and tests. `below` >= 1.
  uint64_t Random(uint64_t below);
  bool Chance(double probability);
  Duration RandomDuration(Duration min, Duration max);

  // Runs one ready job. False: none is ready at this moment of virtual time.
  bool RunOne();
  // Until no job is ready; time stands still, timers that are not due stay.
  void RunUntilIdle();
  // `by` of virtual time: all jobs, and all timers that come due.
  void RunFor(Duration by);
  // As RunFor, until `reached` says true, asked after every job. False: not within `limit`.
  bool RunUntil(const std::function<bool()>& reached, Duration limit);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::shared_ptr<void> alive_;
};

}  // namespace maily::sim
