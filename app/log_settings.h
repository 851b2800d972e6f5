// The settings of every topic that a process of these settings uses: the log's own, the public ones, those of the inbox.
#pragma once

#include "app/config.h"
#include "streams/adapters/kafka/topics.h"

namespace maily::app {

// Of a log on Kafka (kInvalid: it is not). Where the log's own topics are missing, the others are not looked at. kRetry, kFatal: the
// brokers cannot be asked.
Result<kafka::Examination> ExamineLogSettings(const Config& config);

}  // namespace maily::app
