// Which partitions have commands that nobody decides: what a process sees of owners elsewhere.
#pragma once

#include <cstdint>
#include <vector>

#include "streams/base/time.h"

namespace maily::app {

// What is known of one partition at a moment.
struct PartitionLook {
  bool led_here = false;
  uint64_t waiting = 0;  // commands that are not decided
  uint64_t lsn = 0;      // of the last decision
};

// Not thread-safe.
class Stalls {
 public:
  static constexpr Duration kPatience = Seconds(5);

  // `partitions` always of the same size.
  void Look(const std::vector<PartitionLook>& partitions, Duration now);
  // Those where commands wait for longer than kPatience, none was decided meanwhile, and this process does not lead them.
  std::vector<uint16_t> stalled() const;

 private:
  struct Seen {
    bool waits = false;
    uint64_t lsn = 0;
    Duration since;
  };
  std::vector<Seen> seen_;
  Duration now_;
};

}  // namespace maily::app
