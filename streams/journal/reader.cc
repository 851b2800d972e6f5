// See reader.h.
#include "streams/journal/reader.h"

#include <utility>

namespace maily::journal {
namespace {

Step Skip(SkipWhy why, Parsed record = {}) {
  Step step;
  step.verdict = Verdict::kSkip;
  step.skip = why;
  step.record = std::move(record);
  return step;
}

Step Stop(Error why, Parsed record = {}) {
  Step step;
  step.verdict = Verdict::kStop;
  step.stop = std::move(why);
  step.record = std::move(record);
  return step;
}

Step Accept(Position after, Offset offset, Parsed record) {
  Step step;
  step.verdict = Verdict::kAccept;
  step.after = std::move(after);
  step.after.chain = ChainAfter(step.after.chain, record);
  step.after.offset_hint = offset;
  step.record = std::move(record);
  return step;
}

Step JudgeGenesis(const ReaderRules& rules, const Position& at, Offset offset, Parsed record) {
  if (record.genesis.partition_count != rules.partition_count) {
    return Stop(Fail(Code::kCorrupt, "journal {} begins for {} partitions, the log has {}", rules.partition.value(),
                     record.genesis.partition_count, rules.partition_count));
  }
  if (!at.at_genesis) return Skip(SkipWhy::kGenesis, std::move(record));
  Position after;
  after.log_id = rules.log_id;
  after.partition = rules.partition;
  after.at_genesis = false;
  return Accept(std::move(after), offset, std::move(record));
}

Step JudgeClaim(const Position& at, Offset offset, Parsed record) {
  if (record.claim.epoch <= at.epoch) return Skip(SkipWhy::kOldClaim, std::move(record));
  Position after = at;
  after.epoch = record.claim.epoch;
  after.nonce = record.claim.nonce;
  after.seq = 0;
  return Accept(std::move(after), offset, std::move(record));
}

// The first thing in which an in-sequence frame does not continue the position, or null. Moves `sources` on.
const char* Misfit(const Position& at, const FrameHeader& frame, std::vector<SourcePosition>& sources) {
  if (frame.prev_chain != at.chain) return "its prev_chain";
  if (frame.first_lsn != at.lsn.Next()) return "its first lsn";
  if (frame.time < at.time) return "its time";
  for (const FrameSource& source : frame.sources) {
    SourcePosition* mine = nullptr;
    for (SourcePosition& s : sources) {
      if (s.source == source.source) mine = &s;
    }
    if (mine == nullptr) mine = &sources.emplace_back(SourcePosition{.source = source.source, .generation = source.generation});
    if (source.generation < mine->generation) return "the generation of a source";
    if (source.generation > mine->generation) *mine = SourcePosition{.source = source.source, .generation = source.generation};
    if (source.prev_any != mine->any) return "the start of a source";
    if (mine->any) {
      const auto prev = std::pair(source.prev_offset, source.prev_index);
      if (prev != std::pair(mine->offset, mine->index)) return "the previous position of a source";
      if (std::pair(source.last_offset, source.last_index) <= prev) return "the last position of a source";
    }
    mine->any = true;
    mine->offset = source.last_offset;
    mine->index = source.last_index;
  }
  return nullptr;
}

Step JudgeFrame(const ReaderRules& rules, const Position& at, Offset offset, Parsed record) {
  const FrameHeader& frame = record.frame;
  const auto where = [&] {
    return fmt::format("journal {}, offset {}, epoch {}, seq {}", rules.partition.value(), offset.value(), frame.epoch.value(), frame.seq);
  };
  // 3.
  if (frame.epoch > at.epoch) {
    return Stop(Fail(Code::kCorrupt, "{}: a frame of an epoch that nobody claimed; I stand at epoch {}", where(), at.epoch.value()));
  }
  if (frame.epoch < at.epoch || frame.nonce != at.nonce) return Skip(SkipWhy::kFenced, std::move(record));
  // 4.
  if (frame.seq <= at.seq) return Skip(SkipWhy::kDuplicate, std::move(record));
  if (frame.seq - at.seq > 1) {
    if (frame.seq - at.seq <= frame.window) return Skip(SkipWhy::kGap, std::move(record));
    return Stop(Fail(Code::kDiverged, "{}: frames between seq {} and it are missing", where(), at.seq));
  }
  // 5.
  if (frame.reader_level > rules.level) {
    return Stop(Fail(Code::kFatal, "{}: holds events of level {}, this build reads up to {}: upgrade this process", where(),
                     frame.reader_level, rules.level));
  }
  Position after = at;
  if (const char* misfit = Misfit(at, frame, after.sources)) {
    return Stop(Fail(Code::kDiverged, "{}: {} does not continue what was read before (my chain is {:016x})", where(), misfit, at.chain));
  }
  after.seq = frame.seq;
  after.lsn = Lsn(at.lsn.value() + frame.count);
  after.time = frame.time;
  return Accept(std::move(after), offset, std::move(record));
}

}  // namespace

const char* SkipName(SkipWhy why) {
  switch (why) {
    case SkipWhy::kStray:
      return "stray";
    case SkipWhy::kGenesis:
      return "genesis";
    case SkipWhy::kOldClaim:
      return "old_claim";
    case SkipWhy::kFenced:
      return "fenced";
    case SkipWhy::kDuplicate:
      return "duplicate";
    case SkipWhy::kGap:
      return "gap";
  }
  return "stray";
}

Step Judge(const ReaderRules& rules, const Position& at, Offset offset, std::string_view bytes) {
  // 1.
  auto parsed = ParseJournalRecord(bytes);
  if (!parsed) {
    if (parsed.error().code == Code::kInvalid) return Skip(SkipWhy::kStray);
    return Stop(Fail(Code::kCorrupt, "journal {}, offset {}: {}", rules.partition.value(), offset.value(), parsed.error().message));
  }
  if (parsed->log_id != rules.log_id || parsed->partition != rules.partition) {
    return Stop(Fail(Code::kCorrupt, "journal {}, offset {}: a record of log {}, partition {}; this is log {}", rules.partition.value(),
                     offset.value(), parsed->log_id.ToHex(), parsed->partition.value(), rules.log_id.ToHex()));
  }
  if (at.at_genesis && parsed->kind != RecordKind::kGenesis) {
    return Stop(Fail(Code::kCorrupt, "journal {}, offset {}: a record before genesis", rules.partition.value(), offset.value()));
  }
  switch (parsed->kind) {
    case RecordKind::kGenesis:
      return JudgeGenesis(rules, at, offset, std::move(*parsed));
    case RecordKind::kClaim:
      return JudgeClaim(at, offset, std::move(*parsed));  // 2.
    case RecordKind::kFrame:
      break;
  }
  return JudgeFrame(rules, at, offset, std::move(*parsed));
}

Result<void> CheckHint(const ReaderRules& rules, const Position& at, std::string_view bytes) {
  const auto diverged = [&](std::string_view what) {
    return Fail(Code::kDiverged,
                "journal {}: a stored position (epoch {}, seq {}, lsn {}) does not fit the record at its offset {}: {}; "
                "rebuild or restore a snapshot",
                rules.partition.value(), at.epoch.value(), at.seq, at.lsn.value(), at.offset_hint.value(), what);
  };
  if (at.log_id != rules.log_id || at.partition != rules.partition) return diverged("it is of another log or partition");
  const auto parsed = ParseJournalRecord(bytes);
  if (!parsed) return diverged(parsed.error().message);
  if (parsed->log_id != rules.log_id || parsed->partition != rules.partition) return diverged("the record is of another log or partition");
  switch (parsed->kind) {
    case RecordKind::kGenesis:
      if (at.epoch.value() != 0 || ChainAfter(0, *parsed) != at.chain) return diverged("it is genesis");
      break;
    case RecordKind::kClaim:
      if (parsed->claim.epoch != at.epoch || parsed->claim.nonce != at.nonce || at.seq != 0) return diverged("it is another claim");
      break;
    case RecordKind::kFrame: {
      const FrameHeader& frame = parsed->frame;
      if (frame.epoch != at.epoch || frame.nonce != at.nonce || frame.seq != at.seq) return diverged("it is another frame");
      if (ChainAfter(frame.prev_chain, *parsed) != at.chain) return diverged("the chain differs");
      break;
    }
  }
  return Ok();
}

}  // namespace maily::journal
