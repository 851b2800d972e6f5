// Calendar days of a zone whose local time is given as a table; pure, so that an answer never depends on what this machine knows of zones.
//
// A day begins at the first instant whose local date is that day, also where midnight is left out or comes twice; it ends where the next
// one begins. So days have 23, 24 or 25 hours, or what the zone did. Instants in whole seconds since 1970-01-01 UTC.
#pragma once

#include <cstdint>

#include "maily/segments/v1/state.pb.h"
#include "schemas/wall_time.h"

namespace maily::audience {

// The table of a zone, as of `now`: its changes from five years before until thirty years after; what is later has the last offset.
segments::v1::Zone TableOf(const schema::Zone& zone, Instant now);

int64_t StartOfDay(const segments::v1::Zone& zone, int32_t day);
int32_t DayOf(const segments::v1::Zone& zone, int64_t at_s);

}  // namespace maily::audience
