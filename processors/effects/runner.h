// Drives the effects of the partitions that are led here: takes them over, feeds them accepted frames, stops them.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "processors/effects/effect.h"
#include "streams/journal/tail.h"
#include "streams/port/env.h"
#include "streams/port/log.h"

namespace maily::effects {

// Makes the effects of one partition; called on its executor when it is led.
using EffectFactory = std::function<std::vector<std::unique_ptr<Effect>>(PartitionId, Executor&)>;

// Led and Stopped are called on the partition's executor, where its effects live.
class Runner {
 public:
  // Both outlive it. The log: of the partitions' journals, for how far their effects are behind.
  Runner(Log& log, Clock& clock, EffectFactory factory);
  ~Runner();

  void Led(Executor& executor, const Leadership& leadership, journal::Tail& tail);
  void Stopped(PartitionId partition);

 private:
  struct Led_;
  Log& log_;
  Clock& clock_;
  std::vector<std::shared_ptr<Led_>> led_;
  EffectFactory factory_;
};

}  // namespace maily::effects
