// Those who wait for the winner of a campaign's test: released to the arm that won, chunk by chunk; skipped if the campaign was cancelled
// before.
//
// A contact that waits has the status AWAITING: no walk comes to it, no lane and no bucket counts it. When it is released its lane and
// bucket count it, and their cursors go back to before it.
#pragma once

#include "maily/campaigns/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::sends {

inline constexpr uint8_t kRestVerdict = 192;  // [format] of AudiencePlanned

// A step of the slice that sends. True: it has released those of one chunk, and there may be more.
bool ReleaseRest(task::Context& context, uint64_t campaign_id);

void Evolve(task::Fold& fold, const v1::RestReleased& event);

}  // namespace maily::sends
