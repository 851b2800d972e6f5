// The file of the setting site_policies: limits of sites as data.
//
//   - site: google.com              # as the product names it (maily site list), or "*" for all that no other entry names
//                                   # google.com@new: as reached from the source or the addresses called new, and "*@new": all sites from
//                                   # there, before an entry of the site alone
//     connections: 20               # at once
//     mails_per_connection: 100
//     mails_per_minute: 600         # 0 = no limit, as for the next two
//     mails_per_hour: 0
//     mails_per_day: 0
//     warm_up: [50, 100, 500, 1000] # mails of the first day, the second, …: then mails_per_day
//     warm_up_hold_percent: 5       # of a day's mails that bounce, or are deferred with 421 or 4.7.x: above it the next day has the same
//                                   # number
//     pause_seconds: 60             # when the site asks for less; doubled each time
//     refusals_then: slow           # or suspend, or nothing: when it refuses the sender (X.7.x)
//     refusals_percent: 5           # in more than so many
//     refusals_window: 200          # of its last replies
#pragma once

#include <string>

#include "processors/effects/smtp/site.h"
#include "streams/base/result.h"

namespace maily::app {

// Empty path: the built-in ones alone. kInvalid: with file and line what is wrong.
Result<smtp::Sites::PolicyOf> ReadSitePolicies(const std::string& path);

}  // namespace maily::app
