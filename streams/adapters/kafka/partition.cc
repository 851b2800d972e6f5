// See partition.h.
#include "streams/adapters/kafka/partition.h"

#include "streams/observe/logging.h"

namespace maily::kafka {
namespace {

// A leader that has just taken over may not know its own end yet (KIP-207): it is asked so often, for so long, before it is believed.
constexpr int kDoubtsMax = 4;
constexpr std::chrono::milliseconds kDoubtTime{1500};

Error Lose(Partition& partition, std::string what) {
  partition.lost =
      Fail(Code::kDiverged,
           "{}: {}: it was truncated (an unclean leader election, a lost disk), or deleted and made anew; nothing is decided from "
           "it any more. Stop Maily, and see docs/howto/run-on-kafka.md, \"A topic was made anew\"",
           partition.Name(), what);
  observe::Log(observe::Level::kError, "a partition of the log has lost records", {{"error", *partition.lost}});
  partition.arrived.notify_all();
  return *partition.lost;
}

// True: its offset was known before. kDiverged: for another record.
Result<bool> IsKnown(Partition& partition, const LogRecord& record) {
  if (partition.lost) return *partition.lost;
  if (record.offset >= partition.recent.end()) return false;
  const LogRecord* const known = partition.recent.At(record.offset);
  if (partition.recent.Covers(record.offset) && (known == nullptr || known->bytes != record.bytes)) {
    return Lose(partition, fmt::format("another record stands at offset {} now", record.offset.value()));
  }
  return true;
}

void Extend(Partition& partition, Offset offset) {
  partition.end = std::max(partition.end, offset.Next());
  partition.high = std::max(partition.high, partition.end);
  partition.arrived.notify_all();
}

}  // namespace

Result<bool> TakeRead(Partition& partition, LogRecord record) {
  MAILY_TRY(const bool known, IsKnown(partition, record));
  partition.trouble.reset();
  if (known) return false;
  const Offset offset = record.offset;
  partition.recent.Push(std::move(record));
  Extend(partition, offset);
  return true;
}

Result<bool> TakeAppended(Partition& partition, LogRecord record) {
  if (!partition.lost && record.offset < partition.opened_at) {
    return Lose(partition, fmt::format("a record just appended stands at offset {}, but {} was durable", record.offset.value(),
                                       partition.end.value()));
  }
  MAILY_TRY(const bool known, IsKnown(partition, record));
  if (known) return false;
  const Offset offset = record.offset;
  if (offset == partition.recent.end()) partition.recent.Push(std::move(record));
  Extend(partition, offset);
  return true;
}

Result<void> Learn(Partition& partition, Watermarks marks) {
  if (partition.lost) return *partition.lost;
  const Offset low(static_cast<uint64_t>(marks.low));
  const Offset high(static_cast<uint64_t>(marks.high));
  const bool shorter = high < std::max(partition.recent.end(), partition.end);
  if (shorter || low < partition.begin) {
    const std::string what = shorter ? fmt::format("it ends at offset {}, but {} was durable", high.value(), partition.end.value())
                                     : fmt::format("it begins at offset {}, but {} was trimmed away", low.value(), partition.begin.value());
    const auto now = std::chrono::steady_clock::now();
    if (partition.doubts++ == 0) partition.doubtful_since = now;
    if (partition.doubts >= kDoubtsMax && now - partition.doubtful_since >= kDoubtTime) return Lose(partition, what);
    return Fail(Code::kRetry, "{}: {}; asking again", partition.Name(), what);
  }
  partition.doubts = 0;
  if (low > partition.begin) {
    partition.begin = low;
    partition.end = std::max(partition.end, low);
    partition.recent.ForgetBefore(low);
  }
  partition.high = std::max(partition.high, high);
  return Ok();
}

}  // namespace maily::kafka
