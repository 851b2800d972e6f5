// What the adapter knows of one partition of a topic. Internal to the adapter.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "streams/adapters/kafka/client.h"
#include "streams/adapters/kafka/recent.h"
#include "streams/port/channel.h"

namespace maily::kafka {

// Lock order: `mutex` before nothing; the channel's alone.
struct Partition {
  Partition(TopicPartition at_in, std::string topic_in, Watermarks marks, size_t recent_bytes_max)
      : at(at_in),
        topic(std::move(topic_in)),
        begin(static_cast<uint64_t>(marks.low)),
        opened_at(static_cast<uint64_t>(marks.high)),
        end(opened_at),
        high(end),
        recent(end, recent_bytes_max) {}

  uint16_t number() const { return at.partition.value(); }
  std::string Name() const { return fmt::format("{} partition {}", topic, number()); }

  const TopicPartition at;
  const std::string topic;

  std::mutex mutex;
  std::condition_variable arrived;  // something below has changed
  Offset begin;                     // first record still there
  const Offset opened_at;           // the end when this process began: what it appends stands behind
  Offset end;                       // one past the last record known to be durable
  Offset high;                      // the highest watermark seen; >= end: what lies between holds no record of ours
  Recent recent;
  std::optional<Error> lost;     // what was durable is gone: truncated, or another topic of the same name
  std::optional<Error> trouble;  // why nothing new comes now; goes away by itself
  int doubts = 0;                // answers in a row that contradict what is known
  std::chrono::steady_clock::time_point doubtful_since;

  Channel channel;
};

// All of them are called with the partition locked.
//
// The next record that was read at the end: between recent.end() and it there is none. True: it is new. kDiverged: another one stands at
// its offset.
Result<bool> TakeRead(Partition& partition, LogRecord record);
// A record that was acknowledged; others before it may not have been read yet. As above; kDiverged also if it stands where records were
// before this process began.
Result<bool> TakeAppended(Partition& partition, LogRecord record);
// What the cluster says of the ends. kRetry: it contradicts what is known, and more than one answer is needed to believe it; kDiverged:
// what was durable is gone.
Result<void> Learn(Partition& partition, Watermarks marks);

}  // namespace maily::kafka
