// Whoever is out of a journey gets no mail of it any more.
#pragma once

#include <string>

#include "maily/journeys/v1/state.pb.h"
#include "streams/task/processor.h"

namespace maily::journeys {

// Takes back the messages of the instance that wait to be sent, while the decision has fewer than `events_max` events: it may not break the
// limit of them. The others are for the check before each attempt, which knows opt-outs and suppressions.
inline constexpr size_t kWithdrawEventsMax = 40;        // of a decision on a command
inline constexpr size_t kWithdrawSliceEventsMax = 100;  // of a slice
void Withdraw(task::Context& context, const v1::JourneyInstance& instance, const std::string& why, size_t events_max);

}  // namespace maily::journeys
