// See chance.h.
#include "processors/journeys/chance.h"

#include <string>

#include "streams/base/bytes.h"
#include "streams/base/hash.h"

namespace maily::journeys {

uint32_t ChanceOf(PartitionId partition, uint64_t ordinal, uint64_t journey_id, std::string_view step, uint32_t total) {
  std::string bytes;
  PutOrdered<uint16_t>(bytes, partition.value());
  PutOrdered<uint64_t>(bytes, ordinal);
  PutOrdered<uint64_t>(bytes, journey_id);
  bytes.append(step);
  return static_cast<uint32_t>((Xxh3_64(bytes) >> 32) * total >> 32);
}

}  // namespace maily::journeys
