// The reader rules of the journal as a pure step: a position and a record give acceptance, a skip, or a stop.
//
// Every reader of a journal (store, projections, effects, links, the writer itself) goes through Judge and nothing else.
#pragma once

#include <optional>
#include <string_view>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/journal/frame.h"
#include "streams/journal/position.h"
#include "streams/port/topic.h"

namespace maily::journal {

// The highest level of event types that this build can read. Frames above it stop every reader with "upgrade".
inline constexpr uint32_t kReaderLevel = 1;

// What a reader knows besides its position.
struct ReaderRules {
  LogId log_id{};
  PartitionId partition{};
  uint16_t partition_count = 0;
  uint32_t level = kReaderLevel;

  static ReaderRules Of(const LogSettings& settings, PartitionId partition) {
    return {.log_id = settings.log_id, .partition = partition, .partition_count = settings.partition_count};
  }
};

enum class Verdict : uint8_t { kAccept, kSkip, kStop };
enum class SkipWhy : uint8_t { kStray, kGenesis, kOldClaim, kFenced, kDuplicate, kGap };
inline constexpr size_t kSkipWhyCount = 6;
// "stray", "genesis", …: the label in metrics.
const char* SkipName(SkipWhy why);

struct Step {
  Verdict verdict = Verdict::kSkip;
  SkipWhy skip = SkipWhy::kStray;  // kSkip
  std::optional<Error> stop;       // kStop
  Position after;                  // kAccept: where the reader stands now
  Parsed record;                   // unless it was a stray or damaged; points into the bytes given
};

// Rules 1-6, numbered as in the design:
//  1. No magic: skip (stray). Magic, but a hash, log_id or partition is wrong: stop kCorrupt.
//  2. Claim: epoch > E: accepted, S = 0. Else skip.      (Genesis: accepted first of all, and only there.)
//  3. Frame of an older epoch, or of E with another nonce: skip (fenced). Of a newer epoch: stop kCorrupt.
//  4. seq <= S: skip (duplicate). S+1 < seq <= S+window: skip (gap; it will be resent). Beyond: stop kDiverged.
//  5. seq = S+1: reader_level above mine: stop kFatal, "upgrade". prev_chain, first_lsn, time or a source's prev does not fit: stop
//     kDiverged. An in-sequence frame is never skipped.
//  6. The caller applies the whole frame and `after` in one atomic unit.
// Pure: depends on its arguments alone.
Step Judge(const ReaderRules& rules, const Position& at, Offset offset, std::string_view record);

// Rule 7: the record found at the offset hint of a stored position must be the one that the position stands after.
// A claim does not hold the chain before it: its epoch and nonce are compared, the chain by the next frame (rule 5).
// kDiverged: it is not.
Result<void> CheckHint(const ReaderRules& rules, const Position& at, std::string_view record);

}  // namespace maily::journal
