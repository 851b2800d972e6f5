// Do the log's clock and the machine's agree? While they are a minute apart, no timer fires: nobody knows which of the two is right.
#pragma once

#include <algorithm>

#include "streams/base/time.h"

namespace maily::task {

inline constexpr Duration kClocksApart = Seconds(60);

// Of one leadership of one partition; lives on its executor. A Tick tells both clocks at one moment; any other command only what the log's
// has reached.
class ClockWatch {
 public:
  // A Tick that the machine's clock sent at `sent` was taken by the log at `taken`: later by a wait, earlier only by its clock.
  void Ticked(Instant sent, Instant taken) { behind_ = std::min(Duration{}, taken - sent); }

  // `latest` is the time of the newest command seen, `now` the machine's. Gives the log's clock minus the machine's, as far as it is known.
  Duration Look(Instant latest, Instant now) {
    // The log has come to `latest` already, so it is behind by no more than the way from there.
    behind_ = std::min(Duration{}, std::max(behind_, latest - now));
    return latest > now ? latest - now : behind_;
  }

  static bool Apart(Duration skew) { return skew >= kClocksApart || skew <= Duration{} - kClocksApart; }

 private:
  Duration behind_;  // never above zero
};

}  // namespace maily::task
