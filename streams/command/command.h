// Commands, and the record that carries many of them. [format]
//
// A record costs, not a command: so what one source has for one partition goes into one record.
//   record  = magic "MCMD" | version u8 | partition u16 | generation u32 | log_id 16 | count u32 | body_size u32 | body_hash u64 |
//   header_hash u64 | body command = see EncodeCommand in command.cc
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/base/type_number.h"

namespace maily::command {

// Limits, in bytes. [format]
inline constexpr size_t kCommandBytesMax = 64 * 1024;
inline constexpr size_t kRecordBytesMax = 900'000;

// The type of a command that does nothing but take its natural key. The same one again is a duplicate, another one under that key is
// refused as reused: so a key is known whatever partition the command of its request goes to. [format]
inline constexpr TypeNumber kTakeKeyCommand = 4;

// One thing that is asked. The views stay valid as long as what they point into: the sender's strings, or the record read.
struct Command {
  CommandId id;         // unique; answers and traces are found by it
  TypeNumber type = 0;  // what the payload is
  TenantId tenant;
  std::string_view key;    // what the partition was computed from; empty for what is addressed to a partition itself
  std::string_view actor;  // who asks: "key:<id>", "cli", "tracking", "effect:smtp", "link:<partition>"
  Instant occurred_at;     // event time, as the producer says; data only
  TraceId trace;
  CommandId causation;    // what led to this one; zero = none
  CommandId correlation;  // first of the chain; zero = none
  // Idempotency. sequence = 0: natural_key names this request (24 h; empty = none). sequence > 0: number in the stream that
  // natural_key names (an import, a link), accepted only as last + 1.
  std::string_view natural_key;
  uint64_t sequence = 0;
  std::string_view request_hash;  // 16 bytes of HMAC over the canonical plaintext, or empty
  std::string_view payload;       // the serialized message of `type`
};

// Gathers commands of one partition into a record.
class RecordBuilder {
 public:
  // False if it does not fit any more (then nothing was added). CHECK: a command over kCommandBytesMax.
  bool Add(const Command& command);
  uint32_t count() const { return count_; }
  // Of the record as it would be finished now.
  size_t bytes() const { return record_.size(); }
  // The finished record; the builder is empty afterwards. A record without commands is allowed.
  std::string Finish(const LogId& log_id, uint32_t generation, PartitionId partition);

 private:
  std::string record_;  // space for the header, then the commands as they will be stored
  uint32_t count_ = 0;
};

// The encoded size of a command, at most. Whoever takes commands from outside refuses those above kCommandBytesMax.
size_t EncodedBytesMax(const Command& command);

// A record read back. Commands point into `bytes`, which must outlive them.
// kInvalid: no magic (a stray record). kCorrupt: magic, but a hash, the log_id, the partition or the body is wrong.
Result<std::vector<Command>> ParseRecord(std::string_view bytes, const LogId& log_id, uint32_t generation, PartitionId partition);
// The same into a vector whose memory is used again; empty after an error.
Result<void> ParseRecordInto(std::vector<Command>& commands, std::string_view bytes, const LogId& log_id, uint32_t generation,
                             PartitionId partition);

}  // namespace maily::command
