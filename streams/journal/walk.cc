// See walk.h.
#include "streams/journal/walk.h"

#include "streams/base/hash.h"
#include "streams/journal/reader.h"

namespace maily::journal {
namespace {

constexpr size_t kReadBytes = 4 << 20;

}  // namespace

Result<Walked> WalkJournal(Log& log, PartitionId partition, const std::function<Result<void>(std::vector<LogRecord>&)>& show) {
  const TopicPartition at{Topic::kJournal, partition};
  const ReaderRules rules = ReaderRules::Of(log.settings(), partition);
  const LogEnds ends = log.Ends(at);
  if (ends.begin != Offset(0)) {
    return Fail(Code::kDiverged, "journal {} begins at offset {}: what was before is missing", partition.value(), ends.begin.value());
  }
  Walked walked;
  walked.end.log_id = rules.log_id;
  walked.end.partition = partition;
  while (Offset(walked.records) < ends.durable) {
    MAILY_TRY(auto records, log.Read(at, Offset(walked.records), kReadBytes, ReadTo::kDurable));
    if (records.empty()) return Fail(Code::kRetry, "journal {}: offset {} is not shown yet", partition.value(), walked.records);
    for (const LogRecord& record : records) {
      if (record.offset != Offset(walked.records)) {
        return Fail(Code::kDiverged, "journal {}: offset {} is missing", partition.value(), walked.records);
      }
      Step step = Judge(rules, walked.end, record.offset, record.bytes);
      if (step.verdict == Verdict::kStop) return *std::move(step.stop);
      if (step.verdict == Verdict::kAccept) walked.end = std::move(step.after);
      ++walked.records;
      walked.bytes += record.bytes.size();
      walked.hash = Xxh3_64Chain(walked.hash, record.bytes, record.bytes.size());
    }
    MAILY_TRY_VOID(show(records));
  }
  return walked;
}

}  // namespace maily::journal
