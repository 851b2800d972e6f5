// All records of a partition's journal, in order, also those that readers skip: for copies, and to compare two journals.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/journal/position.h"
#include "streams/port/log.h"

namespace maily::journal {

struct Walked {
  Position end;  // where a reader stands that has read all of it
  uint64_t records = 0;
  uint64_t bytes = 0;
  uint64_t hash = 0;  // chained over every record
  bool operator==(const Walked&) const = default;
};

// Shows the records from offset 0 up to the durable end as of the call, some at a time, after the reader rules were applied to them. What
// `show` moves out of a record is gone. Stops at its first error.
// kCorrupt, kDiverged, kFatal: a reader rule says stop. kDiverged: an offset is missing, or the journal does not begin at 0: another log
// could not give its records the same places. kRetry: the log cannot be read now.
// Blocks. Thread: any.
Result<Walked> WalkJournal(Log& log, PartitionId partition, const std::function<Result<void>(std::vector<LogRecord>&)>& show);

}  // namespace maily::journal
