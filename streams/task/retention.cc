// See retention.h.
#include "streams/task/retention.h"

namespace maily::task {

Result<Offset> TrimCommands(Log& log, PartitionId partition, Offset limit, Instant before) {
  const TopicPartition at{Topic::kCommands, partition};
  const Offset begin = log.Ends(at).begin;
  Offset kept = begin;  // everything before is old
  Offset upper = limit;
  Offset probe = begin;  // the oldest record first: mostly it is young enough
  while (kept < upper) {
    MAILY_TRY(const std::vector<LogRecord> records, log.Read(at, probe, 1, ReadTo::kDurable));
    if (!records.empty() && records.front().offset < upper && records.front().time < before) {
      kept = records.front().offset.Next();
    } else {
      upper = probe;
    }
    probe = Offset(kept.value() + (upper.value() - kept.value()) / 2);
  }
  if (kept > begin) MAILY_TRY_VOID(log.Trim(at, kept));
  return kept;
}

}  // namespace maily::task
