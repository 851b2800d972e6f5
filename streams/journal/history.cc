// See history.h.
#include "streams/journal/history.h"

#include <algorithm>
#include <functional>
#include <string_view>
#include <vector>

#include "streams/journal/frame.h"
#include "streams/journal/reader.h"

namespace maily::journal {
namespace {

constexpr uint64_t kLook = 64;     // records before what was found; four times as many in each further look for it
constexpr uint64_t kLooksMax = 5;  // it stands nearer than 20,000 records
constexpr size_t kReadBytes = 1 << 20;

// What stands in [from, to), told to `visit` in its order; records that do not parse are left out.
Result<void> ReadRange(Log& log, TopicPartition at, Offset from, Offset to, const std::function<void(const Parsed&)>& visit) {
  while (from < to) {
    MAILY_TRY(const auto records, log.Read(at, from, kReadBytes, ReadTo::kDurable));
    if (records.empty()) return Ok();
    for (const LogRecord& record : records) {
      if (record.offset >= to) return Ok();
      if (const auto parsed = ParseJournalRecord(record.bytes)) visit(*parsed);
    }
    from = records.back().offset.Next();
  }
  return Ok();
}

}  // namespace

Result<void> CheckPassed(Log& log, const Position& position) {
  const TopicPartition at{Topic::kJournal, position.partition};
  const auto diverged = [&](std::string_view what) {
    return Fail(Code::kDiverged, "the journal of partition {} does not pass through epoch {}, seq {}, lsn {} at its offset {}: {}",
                position.partition.value(), position.epoch.value(), position.seq, position.lsn.value(), position.offset_hint.value(), what);
  };
  if (position.seq == 0) return diverged("no frame stands there");
  const LogEnds ends = log.Ends(at);
  if (position.offset_hint >= ends.durable) return diverged("it ends before");
  if (position.offset_hint < ends.begin) return diverged("it begins later");
  MAILY_TRY(const auto records, log.Read(at, position.offset_hint, 1, ReadTo::kDurable));
  if (records.empty() || records.front().offset != position.offset_hint) return diverged("there is no record");
  if (const auto hint = CheckHint(ReaderRules::Of(log.settings(), position.partition), position, records.front().bytes); !hint) {
    return diverged(hint.error().message);
  }
  MAILY_TRY(const Parsed own, ParseJournalRecord(records.front().bytes));
  const FrameHeader& frame = own.frame;
  if (frame.first_lsn.value() + frame.count - 1 != position.lsn.value()) return diverged("its frame ends at another lsn");

  // Back to the frame or claim that it follows, and a little further: what is found may be a copy that came late.
  bool follows = false;
  bool claimed = false;  // by another owner
  uint64_t count = kLook;
  Offset to = position.offset_hint;
  for (uint64_t looks = 0; looks < kLooksMax && !claimed && to > ends.begin; ++looks) {
    const bool last = follows;
    const Offset from(std::max(ends.begin.value(), to.value() - std::min(to.value(), last ? kLook : count)));
    MAILY_TRY_VOID(ReadRange(log, at, from, to, [&](const Parsed& record) {
      if (record.kind == RecordKind::kClaim) {
        if (record.claim.epoch > frame.epoch) claimed = true;
        if (frame.seq == 1 && record.claim.epoch == frame.epoch && record.claim.nonce == frame.nonce) follows = true;
      } else if (record.kind == RecordKind::kFrame && record.frame.epoch == frame.epoch && record.frame.nonce == frame.nonce &&
                 record.frame.seq + 1 == frame.seq && ChainAfter(record.frame.prev_chain, record) == frame.prev_chain) {
        follows = true;
      }
    }));
    if (last) break;
    to = from;
    count *= 4;
  }
  if (claimed) return diverged("another owner had claimed the partition before");
  if (!follows) return diverged("the frame before it is not there");
  return Ok();
}

}  // namespace maily::journal
