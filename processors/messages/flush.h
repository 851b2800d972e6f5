// Flushes of sites, for messages: as processors/sends/flush.h does it for campaigns.
#pragma once

#include <cstddef>

#include "streams/task/processor.h"

namespace maily::messages {

inline constexpr size_t kFlushedMax = 32;       // made due by one slice: each is one of its events
inline constexpr size_t kFlushLooksMax = 4096;  // looked at by one slice

// One slice. False: there is nothing to flush (any more).
bool FlushSites(task::Context& context);

}  // namespace maily::messages
