// Where in a journal a command was decided, or a decision stands: found by bisection, as what a partition has decided only grows.
//
// Not every frame in a journal counts: duplicates and frames of fenced writers stand there too. Relied on is this, as every writer has one
// frame in flight:
//  1. Whatever became of a frame, what it names as decided before it (its source's prev) was accepted at a smaller offset.
//  2. A frame was accepted if, and only if, a reader that stands after it accepts another frame, or comes to stand where `known` does. A
//     reader that stands after any other frame is stopped by the next accepted one: the chain differs.
#pragma once

#include <cstddef>
#include <optional>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/journal/position.h"
#include "streams/journal/tail.h"
#include "streams/port/log.h"

namespace maily::journal {

// Where a reader may stand that has not seen the decision `wanted`, near to it: after the last accepted frame before it that decided
// something of every source that `known` names, or at genesis. `known`: where a reader stands; `wanted` is later than that: `known` itself.
// Errors, cost and thread as below.
Result<Position> PositionBefore(Log& log, const Position& known, Lsn wanted);

struct FoundDecision {
  FramePtr frame;
  size_t index = 0;  // in frame->decisions

  const Decision& decision() const { return frame->decisions[index]; }
};

// The decision on a command of the partition of `known`, where a reader of its journal stands. None: not decided up to there. kNotFound:
// passed there, and no command was decided at this place. kRetry, kCorrupt: of the log.
// Reads about two records for each halving of the journal; where frames in a row decide no command, only work and timers, all of them.
// Blocks while it reads. Thread: any.
Result<std::optional<FoundDecision>> FindDecision(Log& log, const Position& known, const CommandAt& command);

// The highest epoch among the newest records of a partition's journal; 0: nobody ever claimed it. Errors as Log::Read's.
Result<Epoch> NewestEpoch(Log& log, PartitionId partition);

}  // namespace maily::journal
