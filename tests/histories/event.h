// One event of a client's history, 16 bytes, and the numbers in it. All that recorder and checker share.
//
// A history is a directory of tracks: files of events in the order in which one client had them. A track is written through a mapping of
// its file, so what a killed client did is there to its last event; zeros follow.
#pragma once

#include <cstdint>

namespace maily::histories {

enum class Kind : uint8_t {
  kNothing = 0,  // the end of a track
  // First of each track. subject = session (a life of the recording process), arg = Role, detail: see Role.
  kTrack = 1,
  // Of appends: subject = value.
  kInvoked = 2,      // before the call; arg = 1 if it asked for a sync at once, detail = size of the record
  kOk = 3,           // detail = offset
  kOkSomewhere = 4,  // acknowledged without an offset
  kRefused = 5,      // an error by which the record was not taken; arg = code
  kUnknown = 6,      // any other error: the record may turn up or not; arg = code
  // Of polls: arg = partition, subject = the position.
  kSeek = 7,     // the reader moves to the position
  kPolled = 8,   // records were read from the position on; detail = their number, so many kRecord follow
  kEmpty = 9,    // none; detail = one past the last offset that this process was acknowledged there before it asked
  kFailed = 10,  // detail = code
  kRecord = 11,  // subject = value, detail = offset, arg = 1 if the bytes are not those of that value
  // Of the log: arg = partition, subject = an offset.
  kTrimming = 12,  // before the call: what is before the offset may go
  kBegins = 13,    // what the log says is its first offset, before the final read
  kEnded = 14,     // of kSession: the process ended in order, nothing was under way
};

enum class Role : uint8_t {
  kSession = 0,   // about the life itself; detail: kOrdered, kOnce
  kProducer = 1,  // detail = client: part of its values
  kOutcomes = 2,  // of all producers of a session
  kDurable = 3,   // a reader to the durable end; detail = number of the reader
  kWritten = 4,   // a reader to the written end
  kFinal = 5,     // reads every partition once, when nothing else happens any more
};

// What a log promises beyond others.
inline constexpr uint64_t kOrdered = 1;  // one order over all partitions
inline constexpr uint64_t kOnce = 2;     // every record is stored once, whatever happens

struct Event {
  uint64_t subject = 0;
  uint64_t rest = 0;  // kind (8 bits), arg (8), detail (48); stored last

  static constexpr uint64_t kDetailMax = (uint64_t{1} << 48) - 1;
  static constexpr Event Of(Kind kind, uint64_t subject, uint8_t arg, uint64_t detail) {
    return {subject, uint64_t{static_cast<uint8_t>(kind)} << 56 | uint64_t{arg} << 48 | (detail & kDetailMax)};
  }
  constexpr Kind kind() const { return static_cast<Kind>(rest >> 56); }
  constexpr uint8_t arg() const { return static_cast<uint8_t>(rest >> 48); }
  constexpr uint64_t detail() const { return rest & kDetailMax; }
};
static_assert(sizeof(Event) == 16);

// What a producer appends: never twice the same. Partition (8 bits), client (16), number from 1 (40).
constexpr uint64_t ValueOf(uint8_t partition, uint16_t client, uint64_t number) {
  return uint64_t{partition} << 56 | uint64_t{client} << 40 | number;
}
constexpr uint8_t PartitionOfValue(uint64_t value) { return static_cast<uint8_t>(value >> 56); }
constexpr uint16_t ClientOf(uint64_t value) { return static_cast<uint16_t>(value >> 40); }
constexpr uint64_t NumberOf(uint64_t value) { return value & ((uint64_t{1} << 40) - 1); }

// How a code of the log is written in arg and detail.
enum class Answer : uint8_t { kRetry, kConflict, kNotFound, kInvalid, kFenced, kCorrupt, kDiverged, kFatal };

}  // namespace maily::histories
