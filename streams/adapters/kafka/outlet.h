// The outlet on Kafka: records in topics that any client can read, by an idempotent producer of its own.
//
// acks=all, enable.idempotence, and no time-out of single records: so of a batch the broker takes a first part or all, once each. A batch
// that is not acknowledged within `append_timeout` ends the producer, and every batch under way with it, in kRetry; the next ones go to a
// new producer. What the old one had sent may be stored a moment later all the same.
//
// Threads: two of the adapter's, and librdkafka's one a client and broker.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "streams/adapters/kafka/options.h"
#include "streams/port/outlet.h"

namespace maily::kafka {

struct OutletOptions {
  std::vector<std::string> topics;  // full names
  uint16_t partitions = 1;
  size_t in_flight_bytes_max = 64 << 20;  // of batches not answered yet; beyond: kRetry (one batch is always taken)
  Duration append_timeout = Seconds(10);  // short: what is left behind then can still come
  std::string compression = "lz4";        // none, gzip, snappy, lz4 or zstd
};

// Makes no topic and asks for none: appends to one that is missing end in kRetry. kInvalid: librdkafka does not know a property.
// Destroying it drops what is under way; nothing is called any more.
Result<std::unique_ptr<Outlet>> OpenOutlet(const Options& options, const OutletOptions& outlet);

}  // namespace maily::kafka
