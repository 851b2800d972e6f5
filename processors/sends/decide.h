// Decides what an attempt came to, and what is done about it.
//
//   PENDING ──slice──▶ OPEN ──▶ SENT · HARD_BOUNCED · SKIPPED · EXPIRED        for good
//                       │ ▲ └─▶ UNKNOWN ──resolved: received──▶ SENT; not received ──▶ WAITING
//                       ▼ │ slice
//                     WAITING (for a timer, then in the retry queue for a credit) ──▶ SKIPPED · EXPIRED
#pragma once

#include <string_view>

#include "maily/sends/v1/commands.pb.h"
#include "streams/base/time.h"
#include "streams/task/processor.h"

namespace maily::sends {

// A mail that is deferred for this long since its first attempt is given up (RFC 5321 §4.5.4.1 asks for four to five days of a relay;
// marketing mail is stale before).
inline constexpr Duration kGiveUpAfter = Hours(48);

// How long a mail waits that was deferred `tries` times before. A relay that cannot be reached is asked again sooner than one that says
// "later": stages "connect", "greeting", "starttls" and "auth".
Duration RetryDelay(std::string_view stage, uint32_t tries);

// Counts only while that attempt is open; a stale result changes nothing.
void Decide(task::Context& context, const v1::RecordAttempt& command);
// Code of refusal: "not_unknown".
void Decide(task::Context& context, const v1::ResolveUnknown& command);
// Of a mail that went out, whatever is known of it: nothing of the attempts changes. Codes of refusal: "unknown_send" if no mail of that
// campaign can have gone to that contact, "invalid_notice".
void Decide(task::Context& context, const v1::RecordNotice& command);

// Timer kRetryStep.
void Retry(task::Context& context, std::string_view subject);

}  // namespace maily::sends
