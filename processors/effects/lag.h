// How far an effect is behind: what the journal asked of it and it has not brought back yet.
#pragma once

#include <memory>
#include <string>

#include "streams/base/ids.h"
#include "streams/observe/metrics.h"
#include "streams/port/env.h"

namespace maily::effects {

// Of one effect of one partition, shown as maily_effect_lag_records and maily_effect_lag_seconds (the age of the oldest) for as long as it
// lives. Thread: any, with a lock.
class Lag {
 public:
  Lag(Clock& clock, const std::string& effect, PartitionId partition);

  // One thing that is asked for; done when the last copy is gone. It may outlive the Lag, not the clock.
  class Item;
  using Open = std::shared_ptr<const Item>;
  // `age`: for how long it has been asked for.
  [[nodiscard]] Open Begin(Duration age = {});

  size_t records() const;
  Duration oldest() const;  // zero: none is open

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
  observe::Metrics::Probe records_, seconds_;
};

}  // namespace maily::effects
