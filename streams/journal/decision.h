// A decision: what caused it, how it came out, and the events that follow. [format]
//
// Audit (who, why), idempotency and traces read only this.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/bytes.h"
#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/base/type_number.h"

namespace maily::journal {

inline constexpr size_t kDecisionBytesMax = 256 * 1024;
inline constexpr size_t kEventsMax = 64;  // in one decision, cascades included; a slice may emit more (kSliceEventsMax)
inline constexpr size_t kSliceEventsMax = 256;

// How a command came out. Numbers are stored: never renumber. [format]
enum class Outcome : uint16_t {
  kDone = 0,         // decided; events say what changed
  kUnchanged = 1,    // decided; nothing had to change
  kDuplicate = 2,    // met its first copy: the answer is the first one's
  kConflict = 3,     // not in this state (HTTP 409)
  kNotFound = 4,     // no such thing (404)
  kInvalid = 5,      // understood, but wrong (422)
  kGone = 6,         // erased (410)
  kReused = 7,       // idempotency key used with another request (422)
  kOutOfOrder = 8,   // of a numbered stream, not last + 1: send again from last + 1
  kRejected = 9,     // dead letter: unknown type, unreadable, wrong partition, failed while deciding
  kRetryLater = 10,  // could not be decided now (a key store that is away): nothing changed
};

enum class CauseKind : uint8_t { kCommand = 0, kWork = 1, kTimer = 2 };

// Why a decision was taken.
struct Cause {
  CauseKind kind = CauseKind::kCommand;
  CommandAt at;          // kCommand: where the command stands
  CommandId command_id;  // kCommand
  TypeNumber command_type = 0;
  std::string_view item;  // kWork, kTimer: the key of the work item or timer in the state
};

struct Event {
  TypeNumber type = 0;
  std::string_view payload;  // the serialized message
};

// A decision whose strings point elsewhere: into the decider's buffers, or into a frame that was read.
struct Decision {
  Cause cause;
  TenantId tenant;
  TraceId trace;
  CommandId causation;
  CommandId correlation;
  Instant occurred_at;  // of the command; zero for work and timers
  Outcome outcome = Outcome::kDone;
  std::string_view answer;  // JSON object text, may be empty
  std::string_view actor;
  std::string_view natural_key;  // as in the command; what idempotency is folded from
  uint64_t sequence = 0;
  std::string_view request_hash;
  std::span<const Event> events;
};

// Appends the encoded decision.
void EncodeDecision(std::string& out, const Decision& decision);

// Decodes one decision from the cursor; its events are appended to `events` and its span must be set by the caller once
// `events` no longer moves: `first` and `count` say which. kCorrupt: malformed.
struct DecodedDecision {
  Decision decision;  // events not set
  size_t first = 0;
  size_t count = 0;
};
Result<DecodedDecision> DecodeDecision(Cursor& cursor, std::vector<Event>& events);

}  // namespace maily::journal
