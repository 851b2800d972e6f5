// Where a reader of a partition's journal stands: kept by every reader in the same atomic unit as the effect of the frame. [format]
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily::journal {

// How far a source of commands has been decided: the partition's own commands topic (source 0), an inlet (task/intake.h).
struct SourcePosition {
  uint16_t source = 0;
  uint32_t generation = 0;
  bool any = false;  // false: nothing of it was decided yet
  Offset offset{};
  uint32_t index = 0;
  bool operator==(const SourcePosition&) const = default;
};

struct Position {
  LogId log_id;
  PartitionId partition;
  Epoch epoch;         // of the last accepted claim
  uint64_t nonce = 0;  // of the last accepted claim
  uint64_t seq = 0;    // of the last accepted frame in this epoch; 0 = none yet
  Lsn lsn;             // of the last accepted decision
  uint64_t chain = 0;  // hash chain up to and including the last accepted record
  std::vector<SourcePosition> sources;
  bool at_genesis = true;  // nothing accepted yet
  Offset offset_hint;      // of the last accepted record; a hint for where to read on
  Instant time;            // of the last accepted frame; frames never go back
  bool operator==(const Position&) const = default;

  const SourcePosition* Source(uint16_t source) const {
    for (const SourcePosition& s : sources) {
      if (s.source == source) return &s;
    }
    return nullptr;
  }
};

std::string EncodePosition(const Position& position);
// kCorrupt: not a position, or its hash is wrong.
Result<Position> DecodePosition(std::string_view bytes);

}  // namespace maily::journal
