// Looks for anomalies in a history: what clients of a log were told, against each other and against a final read of everything.
//
// Knows nothing of the log but its promises, and nothing of the product but these. A value is appended at most once, so one value at two
// offsets is the log's doing. Memory: 16 bytes an append; tracks are read where they are.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/histories/event.h"

namespace maily::histories {

enum class Anomaly : uint8_t {
  kLostWrite,           // acknowledged, or shown by a durable read, and not in the final read
  kDuplicate,           // one value at two offsets, and the log promises otherwise or nothing explains it
  kInconsistentOffset,  // two values at one offset
  kAbortedRead,         // a value is read whose append was refused
  kNonmonotonicPoll,    // a reader's offsets go back, and it did not seek
  kSkippedPoll,         // a reader goes past an offset that holds a record
  kNonmonotonicSend,    // two acknowledged appends of one thread to one partition, in another order
  kHole,                // a crash took back a record and left a younger one that it had to take back too
  kForeignRead,         // a record that nobody appended, or there, or with other bytes
  kStalePoll,           // nothing is read where this process was acknowledged a record before it asked
  kBadAnswer,           // an error that no fault explains: of lost records, say
};
inline constexpr std::array<std::string_view, 11> kAnomalyNames{"lost_write",        "duplicate",    "inconsistent_offset", "aborted_read",
                                                                "nonmonotonic_poll", "skipped_poll", "nonmonotonic_send",   "hole",
                                                                "foreign_read",      "stale_poll",   "bad_answer"};

struct Track {
  std::string name;
  std::span<const Event> events;  // zeros may follow
};

struct Report {
  std::array<uint64_t, kAnomalyNames.size()> anomalies{};
  std::vector<std::string> examples;  // the first ones, in words

  uint64_t appends = 0;
  uint64_t acknowledged = 0;
  uint64_t acknowledged_somewhere = 0;  // of them without an offset
  uint64_t refused = 0;
  uint64_t unknown = 0;     // errors that say nothing about the record
  uint64_t unanswered = 0;  // the process was killed first
  uint64_t polls = 0;       // that gave records
  uint64_t polls_empty = 0;
  uint64_t polls_failed = 0;
  uint64_t records_read = 0;
  uint64_t seeks = 0;
  uint64_t trims = 0;
  uint64_t taken_back = 0;      // reads to the written end of what a crash took back then, as it may
  uint64_t stored_twice = 0;    // values at two offsets, where that is explained
  uint64_t not_verifiable = 0;  // acknowledged without an offset, and trimmed before anybody read it
  uint64_t sessions = 0;
  bool complete = false;  // there is a final read

  uint64_t found() const {
    uint64_t all = 0;
    for (const uint64_t each : anomalies) all += each;
    return all;
  }
  uint64_t of(Anomaly which) const { return anomalies[static_cast<size_t>(which)]; }
};

// Tracks in any order.
Report Check(std::span<const Track> tracks);

}  // namespace maily::histories
