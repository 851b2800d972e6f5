// Which partitions this process is told to lead. A hint: what keeps two from deciding the same is the claim in the journal.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "streams/base/ids.h"

namespace maily {

class Assignment {
 public:
  virtual ~Assignment() = default;  // Leave was called, or others wait until they notice

  // Calls `assign` with all that this process is to lead, now and at every change, on a thread of the adapter; it must not block.
  virtual void Join(std::function<void(std::vector<PartitionId>)> assign) = 0;
  // Tells the others that this process leads nothing any more. Blocks until they know, for some seconds at most.
  virtual void Leave() = 0;

  // Partitions that no process is told to lead, as far as this process knows. Thread: any.
  virtual std::vector<PartitionId> Unassigned() const = 0;
  // Why it does not know; empty = it does. Thread: any.
  virtual std::string trouble() const = 0;
};

}  // namespace maily
