// What mails call back: open pixels, tracked links, unsubscribe pages. No API key: the signed token authorises.
//
//   GET  /o/{token}.gif   200 image/gif always, also for a forged token; counted only if authentic
//   GET  /c/{token}       302 to the exact target; 404 for a forged token. HEAD redirects uncounted. Of the link that no person sees an
//   empty
//                         page
//   GET  /u/{token}       a page with one button; changes nothing
//   POST /u/{token}       200 once the opt-out is durable, whatever the body (RFC 8058: form, multipart or none); 503 if it is not
// A pixel or link is answered after the durable append, or kSignalWait later all the same: then the signal is counted as unrecorded
// if the append fails. A link's target comes from the campaign's link table in the views, kept in memory from its first use: it never
// changes. Of the reader the user agent (its first 256 bytes) and the network of the connection's other end (/24, /48) are kept, sealed
// under a key of the tenant and month (signal_keys.h); in the open there is the agent's class alone. Where no such key is to be had, the
// signal is recorded without them. What is taken for a person's is the read models' to say (projections/campaign_totals/signal_rules.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/http/router.h"

namespace maily::api {

struct Shared;

inline constexpr Duration kSignalWait = Milliseconds(250);
inline constexpr Duration kOptOutWait = Seconds(5);

// The routes of tracking. They bypass the JSON handlers: no key, no body, few allocations.
std::vector<http::Route> TrackingRoutes(std::shared_ptr<Shared> api);

}  // namespace maily::api
