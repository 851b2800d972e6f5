// Dates in templates: read from text, written by a format, in a time zone. Pure: the time it is now is an argument. Thread: any, but for
// Zones: one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace maily::liquid {

// A moment as a calendar shows it.
struct Moment {
  int64_t seconds = 0;  // since 1970 in UTC
  int32_t nanos = 0;
  int32_t offset = 0;        // seconds east of UTC
  std::string zone = "UTC";  // for %Z; may be empty
};

// Time zones by their name in the tz database, "Europe/Berlin"; those asked for are remembered.
class Zones {
 public:
  Zones();
  ~Zones();
  // `moment` in that zone; nullopt: there is no such zone.
  std::optional<Moment> In(std::string_view name, const Moment& moment);

 private:
  struct Entry;
  std::vector<std::unique_ptr<Entry>> entries_;
};

// "now", "today", seconds since 1970, and the ways of writing a date and a time that are common: ISO 8601, RFC 5322, "March 14, 2016",
// "14 March 2016", "14/3/2016" (day first), "2016-03-14 10:20 am +02:00". What is left out is taken from `now_us`, what has no zone is in
// UTC. nullopt: no date.
std::optional<Moment> ReadMoment(std::string_view text, int64_t now_us);

// The directives of Ruby's strftime, with its flags and widths; an unknown directive stays as it is. At most `bytes_max` bytes more in
// `out`; false: it would be more.
bool AppendFormatted(std::string_view format, const Moment& moment, size_t bytes_max, std::string& out);

}  // namespace maily::liquid
