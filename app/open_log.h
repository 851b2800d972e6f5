// Opens the log that the settings name: the embedded one in the data directory, or Kafka.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "app/config.h"
#include "app/instance.h"
#include "streams/adapters/kafka/options.h"
#include "streams/adapters/rocks/options.h"
#include "streams/port/env.h"
#include "streams/port/log.h"

namespace maily::app {

// Whether the setting `log` is an address.
bool IsOnKafka(const Config& config);

// Of the settings `log` and `kafka_properties`. kInvalid: one of them cannot be read.
Result<kafka::Options> KafkaOptions(const Config& config);

// The embedded log is made if there is none; on Kafka `maily topics create` has to have made it. `resources`, `clock` and `entropy` outlive
// the log. Errors as the adapters'.
Result<std::unique_ptr<Log>> OpenLog(const Config& config, const std::string& data, const rocks::Resources& resources, Clock& clock,
                                     Entropy& entropy);

// Where that log is, and the highest epoch that is known of it: what decides whether this is the original (instance.h). `recorded`: the
// epoch that the data directory knows of.
Result<std::pair<Instance::Place, uint64_t>> PlaceOf(const Config& config, const std::string& data, Log& log, uint64_t recorded);

}  // namespace maily::app
