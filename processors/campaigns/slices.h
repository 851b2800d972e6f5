// Plans a campaign's audience in each partition, a slice of ordinals at a time: a verdict a contact.
#pragma once

#include <string>
#include <string_view>

#include "maily/campaigns/v1/state.pb.h"
#include "streams/task/processor.h"

namespace maily::campaigns {

// Ordinals of one slice: about a millisecond of reading; divides the chunk of 4,096 that SendChunk holds.
inline constexpr uint64_t kPlanOrdinals = 1024;

// The verdicts of AudiencePlanned for the contacts first … last, at most kPlanOrdinals of one chunk, as the state is now.
std::string VerdictsOf(const task::Context& context, uint64_t campaign_id, const v1::CampaignSpec& spec, uint64_t first, uint64_t last);
// Where the slice that follows `done` ends: at multiples of kPlanOrdinals, hence never across a chunk.
uint64_t SliceEnds(uint64_t done, uint64_t end);

// The same for those of them that are `asked` for, a bit each, after the audience of an evergreen campaign was planned: emits their
// verdicts, of which 0 means: not in the audience, or there is one already.
void PlanEntrants(task::Context& context, uint64_t campaign_id, const v1::CampaignRun& run, uint64_t first, uint64_t last,
                  const std::string& asked);

// Work kind kPlan. Runs while the campaign does; waits while it is paused. What a plan asks of a segment
// that is being put into force waits for it.
task::SliceEnd Plan(task::Context& context, std::string_view subject);

}  // namespace maily::campaigns
