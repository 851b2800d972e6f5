// Idempotency, folded from decisions: a request that comes again meets its first copy; a numbered stream accepts only last + 1.
// A request that was answered "not found" is not remembered: it is decided afresh, as what it names may be there by then.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "streams/base/bytes.h"
#include "streams/base/ids.h"
#include "streams/base/time.h"
#include "streams/journal/decision.h"
#include "streams/state/table.h"
#include "streams/state/timers.h"

namespace maily::task {

// How long a request is remembered. The window is published by the API.
inline constexpr Duration kDedupeWindow = Hours(24);

// Key: tenant, natural key.
struct FirstCopy {
  uint16_t outcome = 0;
  int64_t at_us = 0;
  std::string request_hash;
  std::string answer;

  bool AppendToString(std::string* out) const {
    PutVarint(*out, outcome);
    PutFixed<int64_t>(*out, at_us);
    PutBytes(*out, request_hash);
    PutBytes(*out, answer);
    return true;
  }
  bool ParseFromArray(const void* data, int size) {
    Cursor cursor(std::string_view(static_cast<const char*>(data), static_cast<size_t>(size)));
    outcome = static_cast<uint16_t>(cursor.Varint());
    at_us = cursor.Fixed<int64_t>();
    request_hash = cursor.Bytes();
    answer = cursor.Bytes();
    return cursor.ok();
  }
  size_t SpaceUsedLong() const { return sizeof(*this) + request_hash.capacity() + answer.capacity(); }
};

// Key: hour of decision (8 bytes) ‖ tenant ‖ natural key: what to forget when that hour's window has passed.
struct Forgettable {
  bool AppendToString(std::string* out) const {
    out->push_back('\1');
    return true;
  }
  bool ParseFromArray(const void*, int size) { return size == 1; }
  size_t SpaceUsedLong() const { return sizeof(*this); }
};

// Key: tenant, stream name.
struct StreamCursor {
  uint64_t last = 0;

  bool AppendToString(std::string* out) const {
    PutVarint(*out, last);
    return true;
  }
  bool ParseFromArray(const void* data, int size) {
    Cursor cursor(std::string_view(static_cast<const char*>(data), static_cast<size_t>(size)));
    last = cursor.Varint();
    return cursor.ok();
  }
  size_t SpaceUsedLong() const { return sizeof(*this); }
};

// Step of the timers that forget.
inline constexpr uint16_t kForgetStep = 1;

// Of one partition; lives on its executor.
class Dedupe {
 public:
  Dedupe(state::Cache& cache, state::Timers& timers) : cache_(&cache), timers_(&timers) {}

  // Adds what Check will look up.
  static void LookUp(TenantId tenant, std::string_view natural_key, uint64_t sequence, state::Wanted& wanted);
  // What a command that came before was answered, if this one may not be decided. The answer is JSON text.
  struct Seen {
    journal::Outcome outcome;
    std::string answer;
    journal::Outcome first = journal::Outcome::kDone;  // of kDuplicate: how the first copy was decided
  };
  std::optional<Seen> Check(TenantId tenant, std::string_view natural_key, uint64_t sequence, std::string_view request_hash) const;

  // Fold: this decision was taken.
  void Record(const journal::Decision& decision, Instant now);
  // Fold: the hour's window has passed; forgets a bounded number and arms the timer again for the rest.
  void Forget(uint64_t hour, Instant now);

 private:
  state::Cache* cache_;
  state::Timers* timers_;
};

}  // namespace maily::task

namespace maily {
template <>
inline TypeNumber TypeNumberOf<task::FirstCopy>() {
  return 14;
}
template <>
inline TypeNumber TypeNumberOf<task::StreamCursor>() {
  return 15;
}
template <>
inline TypeNumber TypeNumberOf<task::Forgettable>() {
  return 16;
}
}  // namespace maily
