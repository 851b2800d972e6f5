// The topics that Maily keeps, and which partition a key belongs to.
#pragma once

#include <cstdint>
#include <string_view>

#include "streams/base/hash.h"
#include "streams/base/ids.h"

namespace maily {

enum class Topic : uint8_t { kCommands = 0, kJournal = 1 };
inline constexpr Topic kTopics[] = {Topic::kCommands, Topic::kJournal};

constexpr std::string_view TopicName(Topic topic) { return topic == Topic::kCommands ? "maily.commands" : "maily.journal"; }

struct TopicPartition {
  Topic topic = Topic::kCommands;
  PartitionId partition;
  auto operator<=>(const TopicPartition&) const = default;
};

// Fixed when the log is created; a move to another log keeps them.
struct LogSettings {
  LogId log_id;                   // random, made at creation
  uint16_t partition_count = 16;  // 1 … 1,024
  uint32_t generation = 1;        // grows when the topics are made anew
};

// partition = murmur2(key) mod count, the same on every adapter.
inline PartitionId PartitionOf(std::string_view key, uint16_t partition_count) {
  return PartitionId(static_cast<uint16_t>(Murmur2(key) % partition_count));
}

}  // namespace maily
