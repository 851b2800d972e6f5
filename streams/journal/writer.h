// The one writer of a partition's journal: claims leadership, appends frames, and knows which of them were accepted.
//
// Step numbers are those of the design: 1 assignment is only a hint, 2 read to the durable end, 3 append Claim{E+1, nonce}, 4 read until
// the own nonce is seen, 5 decide on the fold up to the claim, one frame in flight, 6 delivery reports, 7 only after acceptance: replies,
// readers, flush, links, 8 fenced: drop everything unaccepted, 9 hand-over: drain.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "streams/journal/decision.h"
#include "streams/journal/position.h"
#include "streams/journal/tail.h"
#include "streams/port/env.h"
#include "streams/port/log.h"

namespace maily::journal {

inline constexpr size_t kFrameBytesAim = 256 * 1024;  // a task closes a frame at this many encoded, uncompressed bytes
inline constexpr size_t kFrameBytesMax = 900'000;     // of a stored frame
inline constexpr uint16_t kDraftSourcesMax = 2;       // sources of commands that a task has

// Decisions that are taken and not yet appended; encoded as they are added.
class FrameDraft {
 public:
  void Add(const Decision& decision) {
    EncodeDecision(body_, decision);
    ++count_;
  }
  // The last command of a source (below kDraftSourcesMax) that this frame has decided.
  void Consumed(uint16_t source, const CommandAt& last) {
    last_[source] = last;
    consumed_[source] = true;
  }
  // Journal time of the frame: never below the last frame's.
  void SetTime(Instant time) { time_ = time; }

  Instant time() const { return time_; }
  uint32_t count() const { return count_; }
  size_t bytes() const { return body_.size(); }
  const std::string& body() const { return body_; }
  // Null: none of this source.
  const CommandAt* last(uint16_t source) const { return consumed_[source] ? &last_[source] : nullptr; }
  bool empty() const { return count_ == 0; }

 private:
  std::string body_;
  uint32_t count_ = 0;
  std::array<CommandAt, kDraftSourcesMax> last_{};
  std::array<bool, kDraftSourcesMax> consumed_{};
  Instant time_;
};

// How long an owner waits that lost to another's claim and is still wanted: 1 to 10 s, drawn, so that two of them differ.
Duration ReclaimPause(Entropy& entropy);

// Lives on the task's executor: all calls and callbacks there.
class Writer {
 public:
  struct Options {
    PartitionId partition;
    std::string owner;  // endpoint of this process, for operators
    std::string build;
    uint32_t level = 1;  // event types this build writes
  };
  Writer(Log& log, Tail& tail, Executor& executor, Entropy& entropy, Options options);
  ~Writer();

  // Steps 2-4. Hands every accepted frame after `from` to `fold`, in order (yielding to the executor between batches), claims, reads
  // until the own claim is accepted, then calls `led` with the new epoch. If another owner claims first, waits 1-10 s and tries again.
  // An error of `fold`, or kCorrupt/kDiverged of the journal, ends in `led`.
  void Lead(const Position& from, std::function<Result<void>(const AcceptedFrame&)> fold, std::function<void(Result<Epoch>)> led);

  // Steps 5-7. Only while leading and !in_flight(). `accepted` gets the position after the frame once it is durable and by the reader
  // rules accepted; kFenced: another owner claimed, this frame and all later ones are void; kDiverged, kFatal: stop.
  // A failed append is read back and resent as the same bytes until it is in or fenced.
  void Append(FrameDraft draft, std::function<void(Result<Position>)> accepted);

  bool in_flight() const;
  // After the last accepted frame.
  const Position& position() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::journal
