// The public topics: events as CloudEvents for anybody with a Kafka client, in the Kafka binding's binary mode.
//
// <prefix>.campaigns, .contacts, .sends and .engagements have the log's partitions; an event stands in the partition that decided it. Which
// event goes where says its type ((public_topic) in schemas/). Personal fields are in plain in .contacts, where a key still opens them, and
// absent elsewhere. Key: the contact's id, or the tenant's home key.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/config.h"
#include "streams/adapters/kafka/topics.h"
#include "streams/journal/tail.h"
#include "streams/keyring/keyring.h"
#include "streams/link/publisher.h"
#include "streams/port/env.h"
#include "streams/port/log.h"

namespace maily::app {

// Whether the settings ask for them: public_topics is on, or auto where the log is on Kafka.
bool WantsPublicTopics(const Config& config);

std::vector<kafka::PublicTopic> PublicTopicsOf(const kafka::Options& options);

enum class PublicFormat : uint8_t { kJson, kProtobuf };

// Makes records of events; topics in the order of schema::kPublicTopics. Both outlive it.
std::unique_ptr<link::Mapping> MakePublicMapping(keyring::Keyring& keyring, PublicFormat format);

// Publishes what is led here, on a thread of its own. Thread: any.
class PublicTopics {
 public:
  // With the settings off it publishes nothing. Everything given outlives it. kInvalid: the settings ask for them and the log is not on
  // Kafka. kConflict: a topic is missing, or could lose records; the message names the command that mends it. kRetry: no broker answers.
  static Result<std::unique_ptr<PublicTopics>> Open(const Config& config, Log& log, keyring::Keyring& keyring, Clock& clock);
  virtual ~PublicTopics() = default;

  // For task::Host::Listener. `tail` lives until Stop.
  virtual void Led(PartitionId partition, const journal::Position& position, journal::Tail& tail) = 0;
  virtual void Stopped(PartitionId partition) = 0;
  // Ends its thread; nothing is published any more. Call before the host's tails die.
  virtual void Stop() = 0;
};

}  // namespace maily::app
