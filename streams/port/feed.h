// The feed port: topics that others write and a group of processes takes in, each record by one of them. Adapter: kafka.
//
// What was given and not settled is given again, after a death or when partitions move: so whoever takes records makes that harmless.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily {

struct FeedRecord {
  size_t topic = 0;  // index in the list that the adapter was opened with
  uint16_t partition = 0;
  Offset offset;
  Instant time;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::string>> headers;  // in their order; a name may stand twice
};

// Used by one thread, but for lag().
class Feed {
 public:
  virtual ~Feed() = default;
  virtual const std::string& topic_name(size_t topic) const = 0;

  // The next records of the partitions that are this process's now, in their order within a partition: up to `count_max`, and none more
  // once they hold `bytes_max`. Waits up to `wait` for the first. Records that were deleted before they were given are counted, and logged.
  // kRetry: the broker does not say.
  virtual Result<std::vector<FeedRecord>> Take(size_t count_max, size_t bytes_max, Duration wait) = 0;
  // All that Take has given need not be given again. kRetry: not known, or another process has the partitions now; what it gives again is
  // harmless.
  virtual Result<void> Settle() = 0;
  // Grows whenever partitions have come or gone: what is known of who else wrote what is old then.
  virtual uint64_t assignment() const = 0;
  // Records that wait in this process's partitions. Thread: any.
  virtual uint64_t lag() const = 0;
};

}  // namespace maily
