// What a partition still has to tell others: events that links carry, numbered for each destination, kept in the state until acknowledged.
//
// Folded from the journal like any other state, so it survives whatever the state survives; the numbers are what the receiving
// partition's "only last + 1" counts.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/bytes.h"
#include "streams/base/ids.h"
#include "streams/base/type_number.h"
#include "streams/state/table.h"

namespace maily::link {

// Key: destination (2 bytes, big-endian).
struct OutboxCursor {
  uint64_t last = 0;   // number of the newest item
  uint64_t acked = 0;  // the destination has decided everything up to here

  bool AppendToString(std::string* out) const {
    PutVarint(*out, last);
    PutVarint(*out, acked);
    return true;
  }
  bool ParseFromArray(const void* data, int size) {
    Cursor cursor(std::string_view(static_cast<const char*>(data), static_cast<size_t>(size)));
    last = cursor.Varint();
    acked = cursor.Varint();
    return cursor.ok();
  }
  size_t SpaceUsedLong() const { return sizeof(*this); }
};

// Key: destination (2 bytes) ‖ number (8 bytes).
struct OutboxItem {
  TypeNumber type = 0;
  TenantId tenant;
  TraceId trace;
  CommandId correlation;
  std::string payload;

  bool AppendToString(std::string* out) const {
    PutVarint(*out, type);
    PutVarint(*out, tenant.value());
    out->append(trace.view());
    out->append(correlation.view());
    PutBytes(*out, payload);
    return true;
  }
  bool ParseFromArray(const void* data, int size) {
    Cursor cursor(std::string_view(static_cast<const char*>(data), static_cast<size_t>(size)));
    type = static_cast<TypeNumber>(cursor.Varint());
    tenant = TenantId(static_cast<uint32_t>(cursor.Varint()));
    trace = TraceId::From(cursor.Take(16));
    correlation = CommandId::From(cursor.Take(16));
    payload = cursor.Bytes();
    return cursor.ok();
  }
  size_t SpaceUsedLong() const { return sizeof(*this) + payload.capacity(); }
};

// Acknowledges what a destination has decided. Command LinkAck (type 2) carries it, event LinkAcked (type 3) records it.
struct LinkAcked {
  PartitionId destination;
  uint64_t upto = 0;

  std::string Encode() const {
    std::string out;
    PutVarint(out, destination.value());
    PutVarint(out, upto);
    return out;
  }
  bool Parse(std::string_view bytes) {
    Cursor cursor(bytes);
    destination = PartitionId(static_cast<uint16_t>(cursor.Varint()));
    upto = cursor.Varint();
    return cursor.ok();
  }
};
// What a link's stream is called: this and the source's partition in decimal. It counts over all tenants. [format]
inline constexpr std::string_view kLinkStream = "link/";
inline std::string LinkStream(PartitionId source) { return fmt::format("{}{}", kLinkStream, source.value()); }
inline constexpr TypeNumber kLinkAckCommand = 2;
inline constexpr TypeNumber kLinkAckedEvent = 3;

// Reads and folds the outbox of one partition. Lives on its executor.
class Outbox {
 public:
  explicit Outbox(state::Cache& cache) : cache_(&cache) {}

  // Fold: the next number for `destination` is this item's.
  void Add(PartitionId destination, OutboxItem item);
  // Fold: items up to `acked.upto` are done with.
  void Ack(const LinkAcked& acked);

  OutboxCursor At(PartitionId destination) const;
  // Items after `after` up to `upto`, at most `max`, in order of their numbers.
  void Read(PartitionId destination, uint64_t after, uint64_t upto, size_t max,
            const std::function<void(uint64_t number, const OutboxItem& item)>& visit) const;

 private:
  state::Cache* cache_;
};

}  // namespace maily::link

namespace maily {
template <>
inline TypeNumber TypeNumberOf<link::OutboxCursor>() {
  return 12;
}
template <>
inline TypeNumber TypeNumberOf<link::OutboxItem>() {
  return 13;
}
}  // namespace maily
