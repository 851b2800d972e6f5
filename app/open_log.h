// Opens the log that the settings name: the embedded one in the data directory, or Kafka.
#pragma once

#include <memory>
#include <string>

#include "app/config.h"
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

}  // namespace maily::app
