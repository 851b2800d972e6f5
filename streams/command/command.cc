// See command.h.
#include "streams/command/command.h"

#include <cstring>

#include "streams/base/bytes.h"
#include "streams/base/hash.h"

namespace maily::command {
namespace {

constexpr std::string_view kMagic = "MCMD";
constexpr uint8_t kVersion = 1;

// Offsets in the header. [format]
constexpr size_t kVersionAt = 4;
constexpr size_t kPartitionAt = 5;
constexpr size_t kGenerationAt = 7;
constexpr size_t kLogIdAt = 11;
constexpr size_t kCountAt = 27;
constexpr size_t kBodySizeAt = 31;
constexpr size_t kBodyHashAt = 35;
constexpr size_t kHeaderHashAt = 43;
constexpr size_t kHeaderBytes = 51;

// Which optional fields of a command follow.
enum Has : uint8_t { kTrace = 1, kCausation = 2, kCorrelation = 4, kNaturalKey = 8, kSequence = 16, kRequestHash = 32, kKnown = 63 };

// flags, type, id, occurred_at, and one byte each for tenant, key, actor and payload.
constexpr size_t kCommandBytesMin = 1 + 2 + 16 + 8 + 4;
// The fixed part, the tenant, three ids, the sequence, and the sizes of five strings.
constexpr size_t kCommandOverheadMax = 1 + 2 + 16 + 8 + 5 + 48 + 10 + 5 * 5;

// command = flags u8 | type u16 | id 16 | occurred_at i64 | tenant varint | key bytes | actor bytes | [trace 16] [causation 16]
//           [correlation 16] [natural_key bytes] [sequence varint] [request_hash bytes] | payload bytes;  bytes = size varint, then them.
char* EncodeCommand(char* out, const Command& c) {
  char* const flags_at = out++;
  uint8_t flags = 0;
  out = StoreFixed(out, c.type);
  out = StoreRaw(out, c.id.view());
  out = StoreFixed(out, c.occurred_at.us);
  out = StoreVarint(out, c.tenant.value());
  out = StoreBytes(out, c.key);
  out = StoreBytes(out, c.actor);
  if (!c.trace.IsZero()) {
    flags |= kTrace;
    out = StoreRaw(out, c.trace.view());
  }
  if (!c.causation.IsZero()) {
    flags |= kCausation;
    out = StoreRaw(out, c.causation.view());
  }
  if (!c.correlation.IsZero()) {
    flags |= kCorrelation;
    out = StoreRaw(out, c.correlation.view());
  }
  if (!c.natural_key.empty()) {
    flags |= kNaturalKey;
    out = StoreBytes(out, c.natural_key);
  }
  if (c.sequence != 0) {
    flags |= kSequence;
    out = StoreVarint(out, c.sequence);
  }
  if (!c.request_hash.empty()) {
    flags |= kRequestHash;
    out = StoreBytes(out, c.request_hash);
  }
  *flags_at = static_cast<char>(flags);
  return StoreBytes(out, c.payload);
}

template <class T>
T Load(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

bool DecodeCommand(Cursor& in, Command& c) {
  const auto flags = in.Fixed<uint8_t>();
  c.type = in.Fixed<TypeNumber>();
  c.id = CommandId::From(in.Take(16));
  c.occurred_at = Instant{in.Fixed<int64_t>()};
  const uint64_t tenant = in.Varint();
  c.tenant = TenantId(static_cast<uint32_t>(tenant));
  c.key = in.Bytes();
  c.actor = in.Bytes();
  if ((flags & kTrace) != 0) c.trace = TraceId::From(in.Take(16));
  if ((flags & kCausation) != 0) c.causation = CommandId::From(in.Take(16));
  if ((flags & kCorrelation) != 0) c.correlation = CommandId::From(in.Take(16));
  if ((flags & kNaturalKey) != 0) c.natural_key = in.Bytes();
  if ((flags & kSequence) != 0) c.sequence = in.Varint();
  if ((flags & kRequestHash) != 0) c.request_hash = in.Bytes();
  c.payload = in.Bytes();
  return in.ok() && (flags & ~kKnown) == 0 && tenant <= UINT32_MAX;
}

}  // namespace

size_t EncodedBytesMax(const Command& c) {
  return kCommandOverheadMax + c.key.size() + c.actor.size() + c.natural_key.size() + c.request_hash.size() + c.payload.size();
}

bool RecordBuilder::Add(const Command& command) {
  const size_t most = EncodedBytesMax(command);
  MAILY_CHECK(most <= kCommandBytesMax, "a command of type {} has {} bytes, more than {}", command.type, most, kCommandBytesMax);
  const size_t start = record_.empty() ? kHeaderBytes : record_.size();
  if (start + most > kRecordBytesMax) return false;
  record_.resize_and_overwrite(start + most,
                               [&](char* data, size_t) { return static_cast<size_t>(EncodeCommand(data + start, command) - data); });
  ++count_;
  return true;
}

std::string RecordBuilder::Finish(const LogId& log_id, uint32_t generation, PartitionId partition) {
  if (record_.empty()) record_.resize(kHeaderBytes);
  const std::string_view body = std::string_view(record_).substr(kHeaderBytes);
  char* const header = record_.data();
  std::memcpy(header, kMagic.data(), kMagic.size());
  StoreFixed(header + kVersionAt, kVersion);
  StoreFixed(header + kPartitionAt, partition.value());
  StoreFixed(header + kGenerationAt, generation);
  StoreRaw(header + kLogIdAt, log_id.view());
  StoreFixed(header + kCountAt, count_);
  StoreFixed(header + kBodySizeAt, static_cast<uint32_t>(body.size()));
  StoreFixed(header + kBodyHashAt, Xxh3_64(body));
  StoreFixed(header + kHeaderHashAt, Xxh3_64({header, kHeaderHashAt}));
  count_ = 0;
  return std::exchange(record_, {});
}

Result<void> ParseRecordInto(std::vector<Command>& commands, std::string_view bytes, const LogId& log_id, uint32_t generation,
                             PartitionId partition) {
  commands.clear();
  if (!bytes.starts_with(kMagic)) return Fail(Code::kInvalid, "a record of {} bytes without the magic of commands", bytes.size());
  if (bytes.size() < kHeaderBytes) return Fail(Code::kCorrupt, "a command record of {} bytes is shorter than its header", bytes.size());
  if (Load<uint64_t>(bytes, kHeaderHashAt) != Xxh3_64(bytes.substr(0, kHeaderHashAt))) {
    return Fail(Code::kCorrupt, "the header hash of a command record is wrong");
  }
  if (const auto version = Load<uint8_t>(bytes, kVersionAt); version != kVersion) {
    return Fail(Code::kCorrupt, "a command record of version {}, this build reads {}", version, kVersion);
  }
  if (LogId::From(bytes.substr(kLogIdAt, 16)) != log_id) {
    return Fail(Code::kCorrupt, "a command record of log {}, expected {}", LogId::From(bytes.substr(kLogIdAt, 16)).ToHex(), log_id.ToHex());
  }
  if (const auto stored = Load<uint16_t>(bytes, kPartitionAt); stored != partition.value()) {
    return Fail(Code::kCorrupt, "a command record of partition {} in partition {}", stored, partition.value());
  }
  if (const auto stored = Load<uint32_t>(bytes, kGenerationAt); stored != generation) {
    return Fail(Code::kCorrupt, "a command record of generation {} in generation {}", stored, generation);
  }
  const std::string_view body = bytes.substr(kHeaderBytes);
  if (Load<uint32_t>(bytes, kBodySizeAt) != body.size() || Load<uint64_t>(bytes, kBodyHashAt) != Xxh3_64(body)) {
    return Fail(Code::kCorrupt, "the body of a command record does not match its header");
  }
  const auto count = Load<uint32_t>(bytes, kCountAt);
  if (count > body.size() / kCommandBytesMin) return Fail(Code::kCorrupt, "{} commands in {} bytes", count, body.size());
  commands.resize(count);
  Cursor cursor(body);
  for (uint32_t i = 0; i < count; ++i) {
    if (!DecodeCommand(cursor, commands[i])) {
      commands.clear();
      return Fail(Code::kCorrupt, "command {} of {} in a record is malformed", i, count);
    }
  }
  if (!cursor.AtEnd()) {
    commands.clear();
    return Fail(Code::kCorrupt, "{} bytes after the last command of a record", cursor.rest().size());
  }
  return Ok();
}

Result<std::vector<Command>> ParseRecord(std::string_view bytes, const LogId& log_id, uint32_t generation, PartitionId partition) {
  std::vector<Command> commands;
  MAILY_TRY_VOID(ParseRecordInto(commands, bytes, log_id, generation, partition));
  return commands;
}

}  // namespace maily::command
