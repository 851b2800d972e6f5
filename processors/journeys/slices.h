// Journeys in slices: who is due goes on from step to step until the next wait; and everybody in a journey is looked at once after a
// version that moves people, a resumption, or an archiving.
#pragma once

#include <string_view>

#include "streams/base/ids.h"
#include "streams/task/processor.h"

namespace maily::journeys {

// Work kind kStepJourneys. At most kTurnsMax instances a slice, the longest due first: so catching up after a standstill is paced. An
// instance makes one send a turn.
inline constexpr size_t kTurnsMax = 48;
task::SliceEnd StepJourneys(task::Context& context, std::string_view subject);

// Work kind kSweepJourney, at most kSweptMax instances a slice.
inline constexpr size_t kSweptMax = 256;
task::SliceEnd SweepJourney(task::Context& context, std::string_view subject);

// Timer kDueStep.
void DueCome(task::Context& context, std::string_view subject);

}  // namespace maily::journeys
