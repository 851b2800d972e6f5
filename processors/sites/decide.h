// Decides what is asked of sites: in the partition of the site's key; and in each partition what was announced there.
//
// Mails of a site with a limit of an hour or a day, or with a warm-up plan, begin only against a lease. A lease is a small part of what is
// left, and counts as sent from the moment it is given: what its holder does not begin it returns, and if it dies, that is lost to the day.
// So a number is never exceeded, whoever sends, and whenever who dies. Hours and days are those of journal time, in UTC.
//
// A warm-up plan goes on by one step when a new day is asked for, unless the last day with mails used less than half of its number, or was
// bad: more than hold_percent of its mails bounced or were deferred with 421 or 4.7.x. Then its step is held.
#pragma once

#include "maily/sites/v1/commands.pb.h"
#include "maily/sites/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::sites {

inline constexpr uint64_t kLeaseMailsMax = 200;
// The part of what is left that is leased at once: what a process that dies takes with it.
inline constexpr uint64_t kLeasePart = 16;
// What nobody has begun by then goes back to all.
inline constexpr Duration kLeaseTime = Seconds(600);
inline constexpr int kWarmUpDaysMax = 100;
// Beyond it nobody pauses (app/site_policies.h): what is told of a longer one is taken for this.
inline constexpr Duration kPauseMax = Hours(24);
inline constexpr size_t kReasonBytesMax = 500;
inline constexpr size_t kReplyBytesMax = 1000;

// ---- In the partition of the site's key ----
// Codes of refusal: "invalid_site" (of all), "site_suspended" (of DrainSite).
void Decide(task::Context& context, const v1::SlowSite& command);
void Decide(task::Context& context, const v1::RecoverSite& command);
void Decide(task::Context& context, const v1::SuspendSite& command);
// Suspended: nothing begins, and what has begun and not ended its data does not go on. Drained: nothing begins, what has begun ends.
void Decide(task::Context& context, const v1::DrainSite& command);
void Decide(task::Context& context, const v1::ResumeSite& command);
// Answers flush, its number.
void Decide(task::Context& context, const v1::FlushSite& command);
// Answers mails (0: none are left), hour and until_us of the lease; of none, until when there is nothing.
void Decide(task::Context& context, const v1::LeaseSite& command);
void Decide(task::Context& context, const v1::ReturnSiteLease& command);

// ---- In each partition ----
void Decide(task::Context& context, const v1::SiteSuspended& suspended);
void Decide(task::Context& context, const v1::SiteDrained& drained);
void Decide(task::Context& context, const v1::SiteResumed& resumed);
// Campaigns look for mails that wait there (processors/sends/flush.h).
void Decide(task::Context& context, const v1::SiteFlushed& flushed);
void Decide(task::Context& context, const v1::SitePaced& paced);

}  // namespace maily::sites
