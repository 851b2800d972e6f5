// What an effect is: the hands of one partition, for as long as it is led here.
//
// It sees accepted events in order, acts on the outside world, and brings back what happened as commands. It has no store of its own: what
// is open at take-over it reads from the state. Lives on the partition's executor.
#pragma once

#include "streams/base/ids.h"
#include "streams/journal/position.h"
#include "streams/journal/tail.h"
#include "streams/state/cache.h"
#include "streams/task/credits.h"

namespace maily::effects {

// A partition that this process leads, from take-over until Stop.
struct Leadership {
  PartitionId partition;
  Epoch epoch;
  journal::Position position;        // the state as the effect first sees it; accepted frames follow from here
  state::Cache* cache = nullptr;     // for state::View<T>(*cache); complete at Lead, later it may run ahead of what is accepted
  task::Credits* credits = nullptr;  // of this partition
};

class Effect {
 public:
  virtual ~Effect() = default;
  // The partition is led from now on. Called before anything is decided under this leadership.
  virtual void Lead(const Leadership& leadership) = 0;
  // The next accepted frame, in order, none missing. One of a later epoch than the leadership's is another owner's: this one is fenced and
  // has not been told yet.
  virtual void Accepted(const journal::AcceptedFrame& frame) = 0;
  // The partition is not led any more: forget everything, start nothing. What is on the wire ends by itself.
  virtual void Stop() = 0;
};

}  // namespace maily::effects
