// Which branch of a split by weights a contact takes: chance that is a function of these alone, so that a second look agrees.
#pragma once

#include <cstdint>
#include <string_view>

#include "streams/base/ids.h"

namespace maily::journeys {

// From 0, in proportion to the weights. `total` = their sum.
uint32_t ChanceOf(PartitionId partition, uint64_t ordinal, uint64_t journey_id, std::string_view step, uint32_t total);

}  // namespace maily::journeys
