// For how long a process may hand over what it has opened, once it cannot know any more whether it still leads.
//
// The journal decides who leads: what was accepted under a claim was appended before the next claim. So a proof of leading is a moment
// before which something was not yet appended that was accepted later under the own claim; the one who takes over claims after that
// moment, and waits for kLease + kLeaseMargin from its own taking over. No clock of one machine is compared with that of another; the
// clocks have to run equally fast, but for the margin.
#pragma once

#include <algorithm>
#include <limits>

#include "streams/base/time.h"

namespace maily::smtp {

// From the newest proof: until then a mail may begin, and its final dot be handed to the wire.
inline constexpr Duration kLease = Seconds(30);
// How much longer the next owner waits before it calls what another process opened unknown.
inline constexpr Duration kLeaseMargin = Seconds(10);
// A proof so old is renewed while mails are under way: a relay that takes minutes for a mail is no reason to lose the lease.
inline constexpr Duration kLeaseRenew = Seconds(10);

// Of one leadership of one partition; lives on its executor. All times are steady times of this process, which go on while the process
// is stopped and the machine suspended.
class Lease {
 public:
  void Proved(Duration at) { proved_at_ = std::max(proved_at_, at); }
  bool Holds(Duration now) const { return proved_at_ > kNever && now - proved_at_ < kLease; }
  bool WantsProof(Duration now) const { return proved_at_ == kNever || now - proved_at_ >= kLeaseRenew; }

 private:
  static constexpr Duration kNever{std::numeric_limits<int64_t>::min()};
  Duration proved_at_ = kNever;
};

}  // namespace maily::smtp
