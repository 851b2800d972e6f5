// What a partition tells the home of a campaign: its sums, whole each time, so that a report that is lost in a newer one is no loss.
#pragma once

#include <cstdint>

#include "maily/campaigns/v1/state.pb.h"
#include "streams/task/processor.h"

namespace maily::sends {

inline constexpr int kSitesReportedMax = 8;          // those with most refusals for the sender
inline constexpr uint64_t kSitesTalliedMax = 1'000;  // of a campaign in a partition

// Emits CampaignProgressed.
void Report(task::Context& context, uint64_t campaign_id, campaigns::v1::RunState state);

// After a result or a notice: reports if there is enough news since the newest report. Enough is a sixteenth more, and at least 8 answered
// sends or render errors, 4 hard bounces or replies with X.7.x, one complaint: some 200 reports for a million of them, and the home's rates
// are never older than that. With the last result it is silent: the slice that finds that all is settled reports.
enum class News : uint8_t { kResult, kNotice };
void ReportNews(task::Context& context, uint64_t campaign_id, News news);

}  // namespace maily::sends
