// Old commands are forgotten: those that are decided and older than the operator keeps them.
#pragma once

#include "streams/port/log.h"

namespace maily::task {

// Trims a partition's commands: of the records before `limit` those that the log took before `before`. Gives the first offset that is
// kept. The times of a partition never decrease, so the place is found by halving: at most 64 reads of one record each, one if nothing
// is old enough. Thread: any, one caller a partition at a time. Errors are the log's; kRetry: nothing was trimmed, ask again later.
Result<Offset> TrimCommands(Log& log, PartitionId partition, Offset limit, Instant before);

}  // namespace maily::task
