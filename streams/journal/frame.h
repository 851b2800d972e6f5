// The records of the journal: Genesis, Claim and Frame, built and parsed; the rules about them are in reader.h. [format]
//
// Every header is little-endian and of fixed width, begins {magic "MJNL", kind u8, version u8, log_id 16, partition u16} and ends with
// header_hash u64 (XXH3_64 of what precedes it), so that a flipped bit is never read as "duplicate" or "fenced".
//   genesis = begin | partition_count u16 | header_hash
//   claim   = begin | epoch u64 | nonce u64 | writer_level u32 | owner_size u16 | build_size u16 | owner | build | header_hash
//   frame   = begin | epoch u64 | nonce u64 | seq u64 | window u32 | first_lsn u64 | count u32 | time i64 | reader_level u32
//             | prev_chain u64 | source_count u16, each {source u16, generation u32, prev_any u8, prev offset u64, prev index u32,
//             last offset u64, last index u32} | body_hash u64 | body_size u32 | header_hash | body
//   body    = the encoded decisions, zstd level 1
// The chain: genesis H = XXH3_64(0 ‖ record); claim H' = XXH3_64(H ‖ record); frame H' = XXH3_64(H ‖ header ‖ body_hash), where
// header runs to the end of header_hash. Always over stored bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily::journal {

inline constexpr uint8_t kRecordVersion = 1;
inline constexpr size_t kSourcesMax = 64;               // in one frame
inline constexpr size_t kFrameRawBytesMax = 8'000'000;  // of a body unpacked: bounds what a damaged frame can make a reader allocate
inline constexpr size_t kClaimTextBytesMax = 1'024;     // of owner and of build

enum class RecordKind : uint8_t { kGenesis = 1, kClaim = 2, kFrame = 3 };

struct Genesis {
  uint16_t partition_count = 0;
};

struct Claim {
  Epoch epoch{};
  uint64_t nonce = 0;         // random, fresh with every claim
  uint32_t writer_level = 0;  // the event types that the writer's build writes
  std::string_view owner{};   // endpoint of the owner, for operators
  std::string_view build{};
};

// What a frame has decided of one source of commands: everything after prev up to and including last.
struct FrameSource {
  uint16_t source = 0;
  uint32_t generation = 0;
  bool prev_any = false;  // false: nothing of this generation was decided before
  Offset prev_offset{};
  uint32_t prev_index = 0;
  Offset last_offset{};
  uint32_t last_index = 0;
};

struct FrameHeader {
  Epoch epoch{};
  uint64_t nonce = 0;
  uint64_t seq = 0;           // dense from 1 in an epoch
  uint32_t window = 1;        // the writer's most frames in flight
  Lsn first_lsn{};            // of the first decision
  uint32_t count = 0;         // of decisions
  Instant time{};             // journal time; never decreases
  uint32_t reader_level = 1;  // a reader below this level stops
  uint64_t prev_chain = 0;
  std::vector<FrameSource> sources{};
  uint64_t body_hash = 0;  // of the stored body; set by BuildFrame
  uint32_t body_size = 0;
};

// Owner and build are cut at kClaimTextBytesMax.
std::string BuildGenesis(const LogId& log_id, PartitionId partition, const Genesis& genesis);
std::string BuildClaim(const LogId& log_id, PartitionId partition, const Claim& claim);
// Compresses `raw_body`. The result may exceed what a log takes: the caller looks at its size.
std::string BuildFrame(const LogId& log_id, PartitionId partition, FrameHeader header, std::string_view raw_body);

// A record read back; its views point into the record.
struct Parsed {
  RecordKind kind = RecordKind::kGenesis;
  LogId log_id{};
  PartitionId partition{};
  Genesis genesis;  // of its kind, as the next two
  Claim claim;
  FrameHeader frame;
  std::string_view header;  // the stored header, header_hash included
  std::string_view body;    // frame: still compressed; its hash was checked
};
// kInvalid: no magic, a stray record. kCorrupt: magic, but a hash, a size or the version is wrong.
Result<Parsed> ParseJournalRecord(std::string_view record);

// The chain after `record`, which follows a record with chain `before` (0 before genesis).
uint64_t ChainAfter(uint64_t before, const Parsed& record);

}  // namespace maily::journal
