// Events from producers: POST /v1/events (one) and /v1/events:batch (many), a verdict for each, in order.
//
// {"id", "type": "visit" | "conversion" | any name, "contact": {"email"} | {"id"}, "occurred_at"?, "revenue_cents"? | "revenue": {"amount",
// "currency"}?, "currency"?, "properties"?}. `properties` are personal and sealed. Verdicts: accepted · duplicate (same id, same event) ·
// conflict (same id, another event) · rejected with code and reason. An event that is durable and not decided within kEventTimeout counts
// as accepted, with "pending": true.
// A batch over a limit is 413 and none of it is taken; if the log cannot append, 503.
#pragma once

#include "api/handlers.h"

namespace maily::api {

inline constexpr size_t kEventsPerBatchMax = 1000;
inline constexpr size_t kEventBytesMax = 64 * 1024;  // of one event's JSON; a command's own limit is a little below
inline constexpr Duration kEventTimeout = Seconds(2);

}  // namespace maily::api
