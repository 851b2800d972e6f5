// Where `maily log copy` writes to: a log that nobody can open before it is whole.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "streams/base/result.h"
#include "streams/port/env.h"
#include "streams/port/log.h"

namespace maily::app {

// Used by one thread. Destroyed without Close, what was written is no log: of an embedded one it is removed by the next attempt, on Kafka
// topics remain that lack their settings.
class CopyTarget {
 public:
  virtual ~CopyTarget() = default;
  // Appends records of one partition, and waits until they are durable: each once, in their order. After an error nothing is known of them.
  virtual Result<void> Append(TopicPartition at, std::vector<std::string> records) = 0;
  // Makes a log of it, and opens that.
  virtual Result<std::unique_ptr<Log>> Close() = 0;
};

// A place is a data directory, or kafka://host:port[,host:port…][/prefix].
struct CopyPlace {
  std::string where;
  std::string kafka_properties = {};  // path; empty: none
  uint16_t replication = 0;           // of topics that are made; 0 = three, or as many as there are brokers
  bool on_kafka() const { return where.starts_with("kafka://"); }
};

// The log that is there, with `settings` made if need be. kConflict: the target is not empty.
Result<std::unique_ptr<CopyTarget>> OpenCopyTarget(const CopyPlace& place, const LogSettings& settings, Clock& clock);
// For reading. Of a data directory it holds the lock, too. kConflict: a server is using it. kNotFound: there is none.
Result<std::unique_ptr<Log>> OpenCopySource(const CopyPlace& place, Clock& clock);

}  // namespace maily::app
