// Flushes of sites: what waits for a retry there is due now, before its time.
//
// A flush that a partition hears of (SiteFlushSet) has an order among all of that partition. Each campaign looks through its mails that
// wait, in slices, for those whose last deferral came from a site that was flushed since it looked last, and whose attempt was opened
// before. They join the queue of retries, where they wait for credits like all others: a flush makes no site quicker.
#pragma once

#include <cstdint>

#include "streams/task/processor.h"

namespace maily::sends {

inline constexpr size_t kFlushedMax = 128;      // made due by one slice
inline constexpr size_t kFlushLooksMax = 4096;  // looked at by one slice

// One slice. False: there is nothing to flush (any more).
bool FlushSites(task::Context& context, uint64_t campaign_id);

}  // namespace maily::sends
