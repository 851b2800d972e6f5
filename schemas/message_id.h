// Ids of messages: a message is addressed like a send of a campaign of its own, so that tokens, return paths, slots and attempts are as
// those of any send. [format]
//
//   message_id = 1 (2 bit, from the left) ‖ partition (16 bit) ‖ number in tenant and partition (46 bit, from 1)
// Ids of campaigns count from 1 and never get there.
#pragma once

#include <cstdint>

#include "streams/base/ids.h"

namespace maily::schema {

inline constexpr uint64_t kMessageNumberMax = (uint64_t{1} << 46) - 1;

struct MessageId {
  PartitionId partition;  // that it was posted in
  uint64_t number = 0;
  bool operator==(const MessageId&) const = default;
};
constexpr bool IsMessage(uint64_t campaign_id) { return campaign_id >> 62 == 1; }
constexpr uint64_t PackMessageId(const MessageId& id) {
  return uint64_t{1} << 62 | uint64_t{id.partition.value()} << 46 | (id.number & kMessageNumberMax);
}
constexpr MessageId UnpackMessageId(uint64_t id) { return {PartitionId(static_cast<uint16_t>(id >> 46 & 0xFFFF)), id & kMessageNumberMax}; }

}  // namespace maily::schema
