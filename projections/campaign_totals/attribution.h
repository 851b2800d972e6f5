// Which campaigns a visit or conversion counts for: by assignment, so that a holdout can be compared with the arms that got mail.
//
//  1. A contact is assigned to an arm, holdouts included, when the audience is planned; the time is that frame's.
//  2. What the contact does from then until 14 days later counts for that campaign and arm; times are those of the journal.
//  3. A contact's visit counts once for a campaign. A contact event named "visit" is a visit for every campaign that the contact is
//  assigned to;
//     a person's click on a tracked link (signal_rules.h) is one for the link's campaign.
//  4. A contact event named "conversion" counts every time, for every such campaign, and its revenue is summed.
#pragma once

#include <cstdint>
#include <string_view>

#include "streams/base/time.h"

namespace maily::projections {

// Raise it with any change of the rule: stored totals are computed anew then.
inline constexpr uint32_t kAttributionVersion = 1;
inline constexpr Duration kAttributionWindow = Days(14);

enum class Signal : uint8_t { kNone, kVisit, kConversion };

// What a contact event of that name is.
Signal SignalOf(std::string_view event_name);

struct Assignment {
  int64_t campaign_id = 0;
  int64_t arm = 0;
  Instant assigned_at;
  bool visited = false;  // a visit is counted already
};

struct Credit {
  int64_t visits = 0;
  int64_t conversions = 0;
  int64_t revenue_cents = 0;
};

// What a signal at `at` adds to the campaign of `assignment`.
Credit CreditOf(const Assignment& assignment, Signal signal, Instant at, int64_t revenue_cents);

}  // namespace maily::projections
