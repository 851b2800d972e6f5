// Opens attempts: a credit each, after the last check; and reports how far a partition has come with a campaign.
#pragma once

#include <string_view>

#include "maily/campaigns/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::sends {

// Work kind kSend: 0 flushes of sites (flush.h), 1 retries, 2 the walk over the audience, 3 the report that all is settled.
task::SliceEnd Send(task::Context& context, std::string_view subject);

// Nobody is pending, open or waiting; of an evergreen campaign: until somebody comes.
bool IsIdle(const task::Context& context, uint64_t campaign_id);
// Nobody is pending, open or waiting any more, and nobody comes.
bool IsSettled(const task::Context& context, uint64_t campaign_id);

// Of the sample of a campaign's test: everybody was tried once.
bool IsSampled(const task::Context& context, uint64_t campaign_id);

// What the home announced is in force: the partition says so, with its sums.
void React(task::Context& context, const campaigns::v1::RunStateChanged& event);

}  // namespace maily::sends
