// Decides what an attempt came to, and what is done about it.
//
//   PENDING ──slice──▶ OPEN ──▶ SENT · HARD_BOUNCED · SKIPPED · EXPIRED        for good
//                       │ ▲ └─▶ UNKNOWN ──resolved: received──▶ SENT; not received ──▶ WAITING
//                       ▼ │ slice
//                     WAITING (for a timer, then in the retry queue for a credit) ──▶ SKIPPED · EXPIRED
#pragma once

#include <string_view>

#include "maily/sends/v1/commands.pb.h"
#include "streams/base/ids.h"
#include "streams/base/time.h"
#include "streams/task/processor.h"

namespace maily::sends {

// A mail that is deferred for this long since its first attempt is given up (RFC 5321 §4.5.4.1 asks for four to five days of a relay;
// marketing mail is stale before).
inline constexpr Duration kGiveUpAfter = Hours(48);

// How long a mail waits that was deferred `tries` times before, without its jitter:
//  5, 15, 30, 60, 120 minutes where this mail is not taken now (greylisting wants a few minutes, RFC 6647 §2.2);
//  1, 2, 5 minutes where the site wants fewer mails (421, 4.7.x): it is the site that backs off then (smtp/site.h), not the mail;
//  15 s to 5 minutes where nobody could be reached: stages "connect", "greeting", "starttls" and "auth".
Duration RetryDelay(const v1::RecordAttempt& command, uint32_t tries);
// Beside it: from 0 to a fifth of `delay`, by chance of the send's id and the attempt's number, so that mails which were put off together
// do not come back together. The same at every replay.
Duration RetryJitter(Duration delay, TenantId tenant, PartitionId partition, const v1::RecordAttempt& command);

// Counts only while that attempt is open; a stale result changes nothing.
void Decide(task::Context& context, const v1::RecordAttempt& command);
// Code of refusal: "not_unknown".
void Decide(task::Context& context, const v1::ResolveUnknown& command);
// Of a mail that went out, whatever is known of it: nothing of the attempts changes. Codes of refusal: "unknown_send" if no mail of that
// campaign can have gone to that contact, "invalid_notice".
void Decide(task::Context& context, const v1::RecordNotice& command);
// Codes of refusal: "invalid_review"; "unknown_bounce" if no server has refused that mail; "stale_review" if it is not judged any more as
// `was` says.
void Decide(task::Context& context, const v1::ReclassifyBounce& command);

// Timer kRetryStep.
void Retry(task::Context& context, std::string_view subject);

}  // namespace maily::sends
