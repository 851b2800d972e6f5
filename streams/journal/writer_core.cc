// See writer_core.h.
#include "streams/journal/writer_core.h"

#include <algorithm>
#include <utility>

namespace maily::journal {

WriterCore::WriterCore(ReaderRules rules, JudgeFunction judge) : rules_(rules), judge_(judge) {}

WriterCore::Action WriterCore::Claim(const Position& at, uint64_t nonce, uint32_t level, std::string_view owner, std::string_view build) {
  MAILY_CHECK(phase_ == Phase::kIdle && !in_flight(), "a claim in phase {}", static_cast<int>(phase_));
  phase_ = Phase::kClaiming;
  position_ = at;
  epoch_ = at.epoch.Next();
  nonce_ = nonce;
  seq_ = 0;
  level_ = level;
  record_ =
      BuildClaim(rules_.log_id, rules_.partition, {.epoch = epoch_, .nonce = nonce, .writer_level = level, .owner = owner, .build = build});
  awaits_report_ = true;
  return {Do::kAppend, {}};
}

WriterCore::Action WriterCore::Append(const FrameDraft& draft) {
  MAILY_CHECK(phase_ == Phase::kLeading && !in_flight(), "a frame in phase {}", static_cast<int>(phase_));
  FrameHeader header{.epoch = epoch_,
                     .nonce = nonce_,
                     .seq = position_.seq + 1,
                     .window = 1,
                     .first_lsn = position_.lsn.Next(),
                     .count = draft.count(),
                     .time = std::max(draft.time(), position_.time),
                     .reader_level = level_,
                     .prev_chain = position_.chain,
                     .sources = {},
                     .body_hash = 0,
                     .body_size = 0};
  for (uint16_t number = 0; number < kDraftSourcesMax; ++number) {
    const CommandAt* const last = draft.last(number);
    if (last == nullptr) continue;
    FrameSource source{.source = number, .generation = last->generation, .last_offset = last->offset, .last_index = last->index};
    if (const SourcePosition* mine = position_.Source(number); mine != nullptr && mine->generation == source.generation && mine->any) {
      source.prev_any = true;
      source.prev_offset = mine->offset;
      source.prev_index = mine->index;
    }
    header.sources.push_back(source);
  }
  seq_ = header.seq;
  record_ = BuildFrame(rules_.log_id, rules_.partition, std::move(header), draft.body());
  if (record_.size() > kFrameBytesMax) {
    return Stop(Fail(Code::kInvalid, "journal {}: a frame of {} decisions has {} bytes, more than {}", rules_.partition.value(),
                     draft.count(), record_.size(), kFrameBytesMax));
  }
  awaits_report_ = true;
  return {Do::kAppend, {}};
}

WriterCore::Action WriterCore::OnReport(const Result<Appended>& report) {
  MAILY_CHECK(awaits_report_, "a report without an append");
  awaits_report_ = false;
  acknowledged_.reset();
  if (!report) {
    const Code code = report.error().code;
    if (code == Code::kFatal || code == Code::kInvalid) return Stop(report.error());
    return {Do::kRead, {}};  // it says nothing: the record may be there, come later, or never
  }
  if (!report->offset) return {Do::kRead, {}};
  const Offset offset = *report->offset;
  if (!position_.at_genesis && offset <= position_.offset_hint) {
    return Stop(Fail(Code::kDiverged, "journal {}: a record was appended at offset {}, but {} was already read: the log was truncated",
                     rules_.partition.value(), offset.value(), position_.offset_hint.value()));
  }
  acknowledged_ = offset;
  // Directly after what was read: nothing stands between, so that the rules can be asked without reading it back.
  if (phase_ == Phase::kLeading && offset == position_.offset_hint.Next()) {
    const Step step = judge_(rules_, position_, offset, record_);
    if (step.verdict == Verdict::kStop) return Stop(*step.stop);
    if (step.verdict == Verdict::kAccept) return OnPosition(step.after);
  }
  return {Do::kRead, {}};
}

WriterCore::Action WriterCore::OnPosition(const Position& now) {
  if (phase_ != Phase::kClaiming && phase_ != Phase::kLeading) return {};
  const bool mine = now.epoch == epoch_ && now.nonce == nonce_;
  if (phase_ == Phase::kClaiming) {
    if (mine) {
      position_ = now;
      phase_ = Phase::kLeading;
      return Finish(Do::kLed);
    }
    if (now.epoch < epoch_) return {};
    phase_ = Phase::kIdle;
    return Finish(Do::kLost);
  }
  if (mine && (!in_flight() || now.seq < seq_)) return {};
  if (mine) {
    position_ = now;
    return Finish(Do::kAccepted);
  }
  if (now.epoch <= epoch_) return {};  // read from further back
  phase_ = Phase::kFenced;
  Action action = Finish(Do::kFenced);
  action.why = Fail(Code::kFenced, "journal {}: epoch {} was claimed by another owner; this one led epoch {}", rules_.partition.value(),
                    now.epoch.value(), epoch_.value());
  return action;
}

WriterCore::Action WriterCore::OnEnd(Offset end) {
  if (!in_flight() || awaits_report_) return {};
  if (acknowledged_ && *acknowledged_ < end) {
    return Stop(Fail(Code::kDiverged, "journal {}: the log acknowledged a record at offset {}, and reading past it did not find it",
                     rules_.partition.value(), acknowledged_->value()));
  }
  awaits_report_ = true;
  return {Do::kAppend, {}};  // a second copy is a duplicate and skipped
}

WriterCore::Action WriterCore::OnReaderStop(Error why) { return Stop(std::move(why)); }

WriterCore::Action WriterCore::Finish(Do what) {
  record_.clear();
  acknowledged_.reset();
  return {what, {}};
}

WriterCore::Action WriterCore::Stop(Error why) {
  phase_ = Phase::kStopped;
  Action action = Finish(Do::kStop);
  action.why = std::move(why);
  return action;
}

}  // namespace maily::journal
