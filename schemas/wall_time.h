// What clocks show: wall time of a zone of the IANA database, and the instant at which it is shown. Pure: a table, ICU's, which is part of
// the program's libraries and not of the machine's settings. Which table it was is TzVersion(); whoever keeps what he computed keeps it
// too.
//
// As RFC 5545 §3.3.5 says: a wall time that a clock leaves out is taken with the offset before the gap (02:30 becomes 03:30 where an hour
// is left out), and one that it shows twice is the first of the two.
//
// Instants are microseconds since 1970-01-01 UTC; local times are those that the clock shows, counted as if it were UTC. Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/time.h"

namespace maily::schema {

inline constexpr size_t kZoneBytesMax = 64;  // of a zone's name

// A local time: days since 1970-01-01, and the second of that day.
struct WallTime {
  int32_t day = 0;
  int32_t second = 0;  // 0 to 86,399
  bool operator==(const WallTime&) const = default;
  auto operator<=>(const WallTime&) const = default;
};

// "2026-12-01T09:00" or "2026-12-01T09:00:30", of the years 1970 to 2199. None: it is none, or no such day.
std::optional<WallTime> ParseWallTime(std::string_view text);
std::string WallTimeText(const WallTime& wall);  // with seconds only where they are not 0

// One zone. Values; kept alive by ZoneNamed's table.
class Zone {
 public:
  // What is added to UTC, in seconds.
  int32_t OffsetAt(Instant at) const;
  // The first change of the offset after `at`, at or before `until`; none: it does not change.
  std::optional<Instant> NextChange(Instant at, Instant until) const;
  WallTime At(Instant at) const;
  Instant InstantOf(const WallTime& wall) const;
  const std::string& name() const { return name_; }

 private:
  friend const Zone* ZoneNamed(std::string_view name);
  struct Rules;
  std::string name_;
  std::shared_ptr<const Rules> rules_;
};

// The zone of an IANA name as it stands in the database ("Europe/Berlin", also a link such as "US/Pacific"), case and all. Null: there is
// none. "GMT+2", offsets and ICU's own names are none. The answer lives as long as the thread.
const Zone* ZoneNamed(std::string_view name);
const Zone& Utc();
// All of them, in the order of their names.
std::vector<std::string> ZoneNames();
// The nearest name, to be shown beside one that is none.
std::string NearestZone(std::string_view name);
// Of the table: "2024a".
std::string TzVersion();

}  // namespace maily::schema
