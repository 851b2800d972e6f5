// Whether a journal ever stood where a position from elsewhere says it did: asked before anything is built on that position.
#pragma once

#include "streams/base/result.h"
#include "streams/journal/position.h"
#include "streams/port/log.h"

namespace maily::journal {

// `position` stands after a frame of this log's partition, kept by who may since have been fenced, or beside a log that has lost its end.
// Rule 7 alone is not enough for it: a frame that the reader rules skip, as its writer was fenced, hashes to its own chain all the same.
// Relied on is that a writer has one frame in flight, so that the frame before it was accepted: it is fenced only if another epoch was
// claimed between the two; and that copies of a frame that come late come within 64 records. kDiverged: the accepted history does not pass
// through it; the message says why. kRetry, kCorrupt: of the log. Reads a few records near to it; blocks. Thread: any.
Result<void> CheckPassed(Log& log, const Position& position);

}  // namespace maily::journal
