// Plans a campaign's audience in each partition, a slice of ordinals at a time: a verdict a contact.
#pragma once

#include <string_view>

#include "streams/task/processor.h"

namespace maily::campaigns {

// Ordinals of one slice: about a millisecond of reading; divides the chunk of 4,096 that SendChunk holds.
inline constexpr uint64_t kPlanOrdinals = 1024;

// Work kind kPlan. Runs while the campaign does; waits while it is paused.
task::SliceEnd Plan(task::Context& context, std::string_view subject);

}  // namespace maily::campaigns
