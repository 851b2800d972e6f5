// Timers kept in the state: ordered by when they are due, restored and undone like all else. [format]
//
// Entry: key = due time (8 bytes) ‖ tenant (4) ‖ step (2) ‖ subject, all big-endian, so that they sort by time; no value.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/ids.h"
#include "streams/base/time.h"
#include "streams/base/type_number.h"
#include "streams/state/table.h"

namespace maily::state {

// The entry itself: all that a timer is stands in its key.
struct TimerEntry {
  bool AppendToString(std::string*) const { return true; }
  bool ParseFromArray(const void*, int size) { return size == 0; }
  size_t SpaceUsedLong() const { return sizeof(*this); }
};

}  // namespace maily::state

namespace maily {
template <>
inline TypeNumber TypeNumberOf<state::TimerEntry>() {
  return 10;
}
}  // namespace maily

namespace maily::state {

struct Timer {
  Instant due;
  TenantId tenant;
  uint16_t step = 0;    // what is to be done
  std::string subject;  // to what
  bool operator==(const Timer&) const = default;
};

// The key of a timer's entry: names it in decisions too.
std::string TimerKey(Instant due, TenantId tenant, uint16_t step, std::string_view subject);
// kCorrupt: too short to be one.
Result<Timer> ParseTimerKey(std::string_view key);

// One per cache, on the task's executor: remembers the earliest timer between calls.
class Timers {
 public:
  explicit Timers(Cache& cache) : cache_(&cache), table_(cache) {}

  // Idempotent; a time before 1970 counts as 1970. Arm and Disarm are edits: undone with their decision.
  void Arm(Instant due, TenantId tenant, uint16_t step, std::string_view subject);
  void Disarm(Instant due, TenantId tenant, uint16_t step, std::string_view subject);

  // Up to `max` timers that are due at `now` or before, in order; they stay armed. Costs nothing while none is due.
  std::vector<Timer> Due(Instant now, size_t max);
  // When the first timer is due; none = no timer is armed.
  std::optional<Instant> Next();

 private:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  // Forgets what was derived from edits that were undone since.
  void CheckUndone();

  Cache* cache_;
  Table<TimerEntry> table_;
  int64_t no_earlier_us_ = 0;  // nothing is armed before this
  bool exact_ = false;         // something is armed at no_earlier_us_ (or nothing at all, if it is kNever)
  uint64_t undos_ = 0;         // of the cache, when the two above were known to be right
};

}  // namespace maily::state
