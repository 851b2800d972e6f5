// A plain topic of Kafka as an inlet.
//
// One consumer for all partitions, each with a queue of its own that its reader empties on its own thread. It fetches ahead, up to
// kInletAheadBytes of keys and values a partition; librdkafka adds some 400 bytes a record to that. What stops it there is told when half
// of it is taken: librdkafka 2.0.2 would look again only once a second.
#pragma once

#include <memory>

#include "streams/adapters/kafka/options.h"
#include "streams/port/inlet.h"

namespace maily::kafka {

inline constexpr size_t kInletAheadBytes = 8 << 20;

class KafkaInlet {
 public:
  // `options` say where the cluster is; the log's prefix has no meaning here. kNotFound: there is no such topic. kRetry: no broker answers.
  static Result<std::unique_ptr<Inlet>> Open(const Options& options, const std::string& topic);
};

}  // namespace maily::kafka
