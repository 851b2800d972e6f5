// When a wait ends, on whose clock. Pure.
//
// A time of day is read once, when the wait begins: it ends at the first instant after that at which the clock shows it, on a day that
// counts. So it ends once, also where clocks are changed: a time that is left out counts with the offset before, one that comes twice is
// the first (schemas/wall_time.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/journeys/v1/state.pb.h"

namespace maily::journeys {

inline constexpr std::string_view kContactZone = "contact";
inline constexpr std::string_view kTenantZone = "tenant";
inline constexpr uint32_t kEveryWeekday = 0x7F;

struct WaitEnd {
  int64_t due_s = 0;
  std::string zone = {};      // whose clock it was, IANA; empty: of a duration
  bool zone_missing = false;  // the contact has no zone, or one that nobody knows: it was the tenant's
};

// Of a delay or a wait that began at since_s. A time of day is the first one after now_s. `contact` and `rules` may be null.
WaitEnd EndOf(const v1::JourneyStep& step, int64_t since_s, int64_t now_s, const contacts::v1::Contact* contact,
              const campaigns::v1::SendingRules* rules);

// The days that count, bit n of weekday n + 1, Monday first.
uint32_t WeekdaysOf(const v1::DelayStep& delay);

}  // namespace maily::journeys
