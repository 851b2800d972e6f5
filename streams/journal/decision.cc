// See decision.h.
#include "streams/journal/decision.h"

#include <cstring>
#include <limits>

namespace maily::journal {
namespace {

// Bits 0-1: the cause's kind. The rest: which optional fields follow. [format]
enum Flag : uint16_t {
  kKindMask = 3,
  kTrace = 1 << 2,
  kCausation = 1 << 3,
  kCorrelation = 1 << 4,
  kOccurredAt = 1 << 5,
  kAnswer = 1 << 6,
  kActor = 1 << 7,
  kNaturalKey = 1 << 8,
  kSequence = 1 << 9,
  kRequestHash = 1 << 10,
  kKnownFlags = (1 << 11) - 1,
};

constexpr uint16_t kOutcomeLast = static_cast<uint16_t>(Outcome::kRetryLater);

// flags, outcome, three times kind, at most 5+10+5+2+16+3 of the cause, tenant, three ids, time, sequence, six sizes, event count.
constexpr size_t kOverheadMax = 2 + 3 + 41 + 5 + 48 + 8 + 10 + 6 * 5 + 5;
constexpr size_t kEventOverheadMax = 3 + 5;

uint16_t FlagsOf(const Decision& d) {
  uint16_t flags = static_cast<uint16_t>(d.cause.kind);
  if (!d.trace.IsZero()) flags |= kTrace;
  if (!d.causation.IsZero()) flags |= kCausation;
  if (!d.correlation.IsZero()) flags |= kCorrelation;
  if (d.occurred_at.us != 0) flags |= kOccurredAt;
  if (!d.answer.empty()) flags |= kAnswer;
  if (!d.actor.empty()) flags |= kActor;
  if (!d.natural_key.empty()) flags |= kNaturalKey;
  if (d.sequence != 0) flags |= kSequence;
  if (!d.request_hash.empty()) flags |= kRequestHash;
  return flags;
}

// decision = flags u16 | outcome varint | tenant varint
//            | command: partition varint, generation varint, offset varint, index varint, type varint, id 16;  work, timer: item bytes
//            | [trace 16] [causation 16] [correlation 16] [occurred_at i64] [answer bytes] [actor bytes] [natural_key bytes]
//              [sequence varint] [request_hash bytes]
//            | event count varint, each: type varint, payload bytes
char* Encode(char* out, const Decision& d) {
  const uint16_t flags = FlagsOf(d);
  out = StoreFixed(out, flags);
  out = StoreVarint(out, static_cast<uint16_t>(d.outcome));
  out = StoreVarint(out, d.tenant.value());
  if (d.cause.kind == CauseKind::kCommand) {
    out = StoreVarint(out, d.cause.at.partition.value());
    out = StoreVarint(out, d.cause.at.generation);
    out = StoreVarint(out, d.cause.at.offset.value());
    out = StoreVarint(out, d.cause.at.index);
    out = StoreVarint(out, d.cause.command_type);
    out = StoreRaw(out, d.cause.command_id.view());
  } else {
    out = StoreBytes(out, d.cause.item);
  }
  if ((flags & kTrace) != 0) out = StoreRaw(out, d.trace.view());
  if ((flags & kCausation) != 0) out = StoreRaw(out, d.causation.view());
  if ((flags & kCorrelation) != 0) out = StoreRaw(out, d.correlation.view());
  if ((flags & kOccurredAt) != 0) out = StoreFixed(out, d.occurred_at.us);
  if ((flags & kAnswer) != 0) out = StoreBytes(out, d.answer);
  if ((flags & kActor) != 0) out = StoreBytes(out, d.actor);
  if ((flags & kNaturalKey) != 0) out = StoreBytes(out, d.natural_key);
  if ((flags & kSequence) != 0) out = StoreVarint(out, d.sequence);
  if ((flags & kRequestHash) != 0) out = StoreBytes(out, d.request_hash);
  out = StoreVarint(out, d.events.size());
  for (const Event& event : d.events) {
    out = StoreVarint(out, event.type);
    out = StoreBytes(out, event.payload);
  }
  return out;
}

// A varint that has to fit in T.
template <class T>
T Narrow(Cursor& in, bool& fits) {
  const uint64_t value = in.Varint();
  fits = fits && value <= static_cast<uint64_t>(std::numeric_limits<T>::max());
  return static_cast<T>(value);
}

}  // namespace

void EncodeDecision(std::string& out, const Decision& d) {
  size_t most = kOverheadMax + d.cause.item.size() + d.answer.size() + d.actor.size() + d.natural_key.size() + d.request_hash.size();
  for (const Event& event : d.events) most += kEventOverheadMax + event.payload.size();
  const size_t start = out.size();
  out.resize_and_overwrite(start + most, [&](char* data, size_t) { return static_cast<size_t>(Encode(data + start, d) - data); });
}

Result<DecodedDecision> DecodeDecision(Cursor& in, std::vector<Event>& events) {
  DecodedDecision decoded;
  Decision& d = decoded.decision;
  bool fits = true;
  const auto flags = in.Fixed<uint16_t>();
  const auto outcome = Narrow<uint16_t>(in, fits);
  d.outcome = static_cast<Outcome>(outcome);
  d.tenant = TenantId(Narrow<uint32_t>(in, fits));
  const auto kind = static_cast<uint8_t>(flags & kKindMask);
  d.cause.kind = static_cast<CauseKind>(kind);
  if (d.cause.kind == CauseKind::kCommand) {
    d.cause.at.partition = PartitionId(Narrow<uint16_t>(in, fits));
    d.cause.at.generation = Narrow<uint32_t>(in, fits);
    d.cause.at.offset = Offset(in.Varint());
    d.cause.at.index = Narrow<uint32_t>(in, fits);
    d.cause.command_type = Narrow<TypeNumber>(in, fits);
    d.cause.command_id = CommandId::From(in.Take(16));
  } else {
    d.cause.item = in.Bytes();
  }
  if ((flags & kTrace) != 0) d.trace = TraceId::From(in.Take(16));
  if ((flags & kCausation) != 0) d.causation = CommandId::From(in.Take(16));
  if ((flags & kCorrelation) != 0) d.correlation = CommandId::From(in.Take(16));
  if ((flags & kOccurredAt) != 0) d.occurred_at = Instant{in.Fixed<int64_t>()};
  if ((flags & kAnswer) != 0) d.answer = in.Bytes();
  if ((flags & kActor) != 0) d.actor = in.Bytes();
  if ((flags & kNaturalKey) != 0) d.natural_key = in.Bytes();
  if ((flags & kSequence) != 0) d.sequence = in.Varint();
  if ((flags & kRequestHash) != 0) d.request_hash = in.Bytes();
  decoded.first = events.size();
  decoded.count = Narrow<uint32_t>(in, fits);
  fits = fits && decoded.count <= in.rest().size() / 2;  // an event has at least two bytes
  for (size_t i = 0; fits && i < decoded.count; ++i) {
    Event event;
    event.type = Narrow<TypeNumber>(in, fits);
    event.payload = in.Bytes();
    if (!in.ok()) break;
    events.push_back(event);
  }
  if (!in.ok() || !fits || (flags & ~kKnownFlags) != 0 || kind > static_cast<uint8_t>(CauseKind::kTimer) || outcome > kOutcomeLast) {
    events.resize(decoded.first);
    return Fail(Code::kCorrupt, "a decision is malformed (flags {:#x}, outcome {})", flags, outcome);
  }
  return decoded;
}

}  // namespace maily::journal
