// See find.h.
#include "streams/journal/find.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "streams/journal/frame.h"
#include "streams/journal/reader.h"

namespace maily::journal {
namespace {

constexpr size_t kSinglesMax = 4;          // records read one by one before more are read at once
constexpr size_t kReadBytes = 256 * 1024;  // of one read then

constexpr uint64_t kNearRecords = 64;  // looked through first, from the end, where a place is expected near to it

// How far the partition's own commands are decided, or its decisions go (then only `offset` counts).
struct Place {
  uint32_t generation = 0;
  bool any = false;
  Offset offset;
  uint32_t index = 0;
  auto operator<=>(const Place&) const = default;
};

// The source of the partition's own commands in a frame; null: it decided none.
const FrameSource* OwnSource(const FrameHeader& frame) {
  const auto found = std::ranges::find(frame.sources, 0, &FrameSource::source);
  return found == frame.sources.end() ? nullptr : &*found;
}

// What a frame adds: all after `before` up to and including `upto`. None: nothing, or a reader that stands after it is not known whole.
struct Range {
  Place before;
  Place upto;
};
using RangeOf = std::optional<Range> (*)(const FrameHeader&, const Position& known);

std::optional<Range> RangeOfCommands(const FrameHeader& frame, const Position& /*known*/) {
  const FrameSource* const source = OwnSource(frame);
  if (source == nullptr) return std::nullopt;
  return Range{.before = {source->generation, source->prev_any, source->prev_offset, source->prev_index},
               .upto = {source->generation, true, source->last_offset, source->last_index}};
}

Place PlaceOf(Lsn lsn) { return {.generation = 0, .any = true, .offset = Offset(lsn.value()), .index = 0}; }

// A frame tells of the sources that it decided something of: all that were ever decided must be among them.
std::optional<Range> RangeOfDecisions(const FrameHeader& frame, const Position& known) {
  for (const SourcePosition& source : known.sources) {
    if (!source.any) continue;
    if (std::ranges::find(frame.sources, source.source, &FrameSource::source) == frame.sources.end()) return std::nullopt;
  }
  const uint64_t first = frame.first_lsn.value();
  return Range{.before = PlaceOf(Lsn(first - 1)), .upto = PlaceOf(Lsn(first + frame.count - 1))};
}

// Where the writer of a frame stood when it was appended.
Position Before(const Parsed& record) {
  const FrameHeader& frame = record.frame;
  Position at;
  at.log_id = record.log_id;
  at.partition = record.partition;
  at.epoch = frame.epoch;
  at.nonce = frame.nonce;
  at.seq = frame.seq - 1;
  at.lsn = Lsn(frame.first_lsn.value() - 1);
  at.chain = frame.prev_chain;
  at.time = frame.time;
  at.at_genesis = false;
  for (const FrameSource& s : frame.sources) {
    if (s.prev_any)
      at.sources.push_back({.source = s.source, .generation = s.generation, .any = true, .offset = s.prev_offset, .index = s.prev_index});
  }
  return at;
}

// A frame that may have been accepted, and a reader that stands after it.
struct Suspect {
  Offset offset;
  Place upto;  // the last that it adds
  Position reader;
};

class Search {
 public:
  Search(Log& log, const Position& known, RangeOf range_of, const Place& wanted)
      : log_(log),
        at_{Topic::kJournal, known.partition},
        rules_(ReaderRules::Of(log.settings(), known.partition)),
        known_(known),
        range_of_(range_of),
        wanted_(wanted) {}

  // The offset of the accepted frame that has passed the command; `known` stands after it.
  Result<Offset> Run() {
    low_ = log_.Ends(at_).begin.value();
    high_ = known_.offset_hint.value() + 1;
    while (low_ < high_) {
      const uint64_t middle = low_ + (high_ - low_) / 2;
      MAILY_TRY(const std::optional<Suspect> accepted, FirstAccepted(Offset(middle)));
      if (!accepted) {
        high_ = middle;
      } else if (accepted->upto < wanted_) {
        low_ = accepted->offset.value() + 1;
      } else {
        return accepted->offset;
      }
    }
    return Fail(Code::kNotFound, "journal {}: no frame has decided the command at offset {}", at_.partition.value(),
                wanted_.offset.value());
  }

  // A reader that stands after the last accepted frame that ends before what is wanted. None: there is no such frame.
  Result<std::optional<Position>> LastBefore() {
    const uint64_t begin = log_.Ends(at_).begin.value();
    const uint64_t end = known_.offset_hint.value() + 1;
    std::optional<Position> last;
    high_ = end;
    for (uint64_t near = kNearRecords; !last; near *= 8) {
      low_ = end - begin > near ? end - near : begin;
      MAILY_TRY_VOID(Halve(low_, last));
      if (!last && high_ == begin) return last;
    }
    while (low_ < high_) MAILY_TRY_VOID(Halve(low_ + (high_ - low_) / 2, last));
    return last;
  }

  // The record at `offset`, as an accepted frame.
  Result<FramePtr> Open(Offset offset) {
    MAILY_TRY(const std::vector<LogRecord> records, log_.Read(at_, offset, 1, ReadTo::kDurable));
    MAILY_TRY(const Parsed parsed, ParseJournalRecord(records.at(0).bytes));
    const Position before = Before(parsed);
    const Step step = Judge(rules_, before, offset, records[0].bytes);
    if (step.verdict != Verdict::kAccept)
      return Fail(Code::kCorrupt, "journal {}, offset {}: no frame", at_.partition.value(), offset.value());
    return Unpack(before, step, offset);
  }

 private:
  // Looks at `middle`: moves one of the bounds, and `last` if there is a frame that ends before what is wanted.
  Result<void> Halve(uint64_t middle, std::optional<Position>& last) {
    MAILY_TRY(std::optional<Suspect> accepted, FirstAccepted(Offset(middle)));
    if (!accepted || accepted->upto >= wanted_) {
      high_ = middle;
      return Ok();
    }
    low_ = accepted->offset.value() + 1;
    last = std::move(accepted->reader);
    return Ok();
  }

  // Of the frames from `from` on that begin before what is wanted: an accepted one, the first that shows to be so. None: there is none
  // before `high_`.
  Result<std::optional<Suspect>> FirstAccepted(Offset from) {
    std::vector<Suspect> suspects;
    bool passed = false;  // frames from here on do not begin before it
    std::vector<LogRecord> records;
    for (size_t reads = 0; from <= known_.offset_hint; ++reads) {
      MAILY_TRY(records, log_.Read(at_, from, reads < kSinglesMax ? 1 : kReadBytes, ReadTo::kDurable));
      if (records.empty()) break;
      for (const LogRecord& record : records) {
        if (record.offset > known_.offset_hint) break;
        if (auto proved = Prove(suspects, record)) return proved;
        MAILY_TRY_VOID(Take(suspects, record, passed));
        passed = passed || record.offset.value() >= high_;
        if (passed && suspects.empty()) return std::optional<Suspect>();
      }
      from = records.back().offset.Next();
    }
    for (Suspect& suspect : suspects) {
      if (suspect.reader.chain == known_.chain) return std::optional(std::move(suspect));
    }
    return std::optional<Suspect>();
  }

  // Shows a record to the readers that stand after the suspects: the one whose frame was accepted, if this is what tells.
  std::optional<Suspect> Prove(std::vector<Suspect>& suspects, const LogRecord& record) const {
    std::optional<Suspect> accepted;
    std::erase_if(suspects, [&](Suspect& suspect) {
      const Step step = Judge(rules_, suspect.reader, record.offset, record.bytes);
      if (step.verdict == Verdict::kAccept && step.record.kind == RecordKind::kFrame) accepted = suspect;
      if (step.verdict == Verdict::kAccept) suspect.reader = step.after;
      return step.verdict == Verdict::kStop;
    });
    return accepted;
  }

  // Adds a frame to the suspects if it begins before what is wanted; a later one means that it was `passed`.
  Result<void> Take(std::vector<Suspect>& suspects, const LogRecord& record, bool& passed) const {
    const auto parsed = ParseJournalRecord(record.bytes);
    if (!parsed) return parsed.error().code == Code::kInvalid ? Ok() : Result<void>(parsed.error());
    if (passed || record.offset.value() >= high_ || parsed->kind != RecordKind::kFrame) return Ok();
    if (parsed->frame.window > 1)
      return Fail(Code::kFatal, "journal {}, offset {}: of a writer with several frames in flight; this build cannot search such a journal",
                  at_.partition.value(), record.offset.value());
    const std::optional<Range> range = range_of_(parsed->frame, known_);
    if (!range) return Ok();
    if (range->before >= wanted_) {
      passed = true;
      return Ok();
    }
    const Step step = Judge(rules_, Before(*parsed), record.offset, record.bytes);
    if (step.verdict != Verdict::kAccept) return Ok();  // by no reader
    suspects.push_back({.offset = record.offset, .upto = range->upto, .reader = step.after});
    return Ok();
  }

  Log& log_;
  const TopicPartition at_;
  const ReaderRules rules_;
  const Position& known_;
  const RangeOf range_of_;
  const Place wanted_;
  uint64_t low_ = 0;   // the frame looked for stands here or later,
  uint64_t high_ = 0;  // and before this
};

}  // namespace

Result<Position> PositionBefore(Log& log, const Position& known, Lsn wanted) {
  if (known.at_genesis || wanted > known.lsn) return known;
  MAILY_TRY(std::optional<Position> last, Search(log, known, &RangeOfDecisions, PlaceOf(wanted)).LastBefore());
  return last ? *std::move(last) : Position{};
}

Result<std::optional<FoundDecision>> FindDecision(Log& log, const Position& known, const CommandAt& command) {
  const SourcePosition* const source = known.Source(0);
  const bool decided =
      source != nullptr && CommandAt{known.partition, source->generation, source->offset, source->index} >= command && source->any;
  if (!decided) return std::optional<FoundDecision>();
  Search search(log, known, &RangeOfCommands, {command.generation, true, command.offset, command.index});
  MAILY_TRY(const Offset offset, search.Run());
  FoundDecision found;
  MAILY_TRY(found.frame, search.Open(offset));
  for (const Decision& decision : found.frame->decisions) {
    if (decision.cause.kind == CauseKind::kCommand && decision.cause.at == command) return std::optional(std::move(found));
    ++found.index;
  }
  return Fail(Code::kNotFound, "journal {}: nothing was decided at offset {}, index {}", command.partition.value(), command.offset.value(),
              command.index);
}

Result<Epoch> NewestEpoch(Log& log, PartitionId partition) {
  constexpr uint64_t kNewest = 64;  // a record of an owner that was fenced may stand behind younger ones
  const TopicPartition at{Topic::kJournal, partition};
  const LogEnds ends = log.Ends(at);
  Epoch newest{0};
  Offset from{std::max(ends.begin.value(), ends.durable.value() - std::min(ends.durable.value(), kNewest))};
  while (from < ends.durable) {
    MAILY_TRY(const std::vector<LogRecord> records, log.Read(at, from, kReadBytes, ReadTo::kDurable));
    if (records.empty()) break;
    for (const LogRecord& record : records) {
      const auto parsed = ParseJournalRecord(record.bytes);
      if (!parsed) continue;
      if (parsed->kind == RecordKind::kClaim) newest = std::max(newest, parsed->claim.epoch);
      if (parsed->kind == RecordKind::kFrame) newest = std::max(newest, parsed->frame.epoch);
    }
    from = records.back().offset.Next();
  }
  return newest;
}

}  // namespace maily::journal
