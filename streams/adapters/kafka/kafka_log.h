// The log on Kafka, or what speaks its protocol: a partition of the log is one of the topic's (topics.h), acknowledged by all in-sync
// replicas.
//
// Reads are up to the high watermark, which is all that Kafka shows: written and durable ends are the same. The newest records of each
// partition are in memory (recent.h), put there by one consumer that follows all ends, and by acknowledgements; older ones are read by
// cursors (cursors.h). Ends() is what this process knows: what it appended, and, a round trip later, what others did.
//
// Time-outs end in kRetry after Options::append_timeout, and the record may be stored all the same. An error that ends librdkafka's
// producer replaces it; appends under way then end in kRetry. An acknowledgement can lack its offset. While brokers are away reads and
// appends end in kRetry and succeed again by themselves. A partition whose durable records are gone (truncated, or a topic deleted and made
// anew) answers kDiverged from then on.
//
// LogRecord::time is the broker's LogAppendTime in ms: at a change of leader it can step back by as much as the brokers' clocks differ.
//
// Memory: recent_bytes_max + append_queue_bytes_max + 40 MiB that the following consumer may hold + 2 MiB for each cursor in use (at most
// 3 a partition and topic), as asked of the allocator: glibc's keeps up to twice that in the arenas of many threads, see
// docs/howto/run-on-kafka.md. Threads: four of the adapter's, and librdkafka's one a client and broker.
#pragma once

#include <memory>

#include "streams/adapters/kafka/options.h"
#include "streams/port/log.h"

namespace maily::kafka {

class KafkaLog {
 public:
  // Opens the log whose topics are there (topics.h makes them), after a look at their settings. `partition_count` 0 = whatever is there.
  // kNotFound: there is no such log. kConflict: another number of partitions, or a topic setting that the log cannot live with; the message
  // names the command that mends it. kRetry: no broker answers. kFatal: refused.
  // Destroying the log waits until appends under way are answered, up to Options::close_timeout.
  static Result<std::unique_ptr<Log>> Open(const Options& options, uint16_t partition_count);
};

}  // namespace maily::kafka
