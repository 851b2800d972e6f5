// What mails call back: open pixels, tracked links, unsubscribe pages. No API key: the signed token authorises.
//
//   GET  /o/{token}.gif   200 image/gif always, also for a forged token; counted only if authentic
//   GET  /c/{token}       302 to the exact target; 404 for a forged token. HEAD redirects uncounted
//   GET  /u/{token}       a page with one button; changes nothing
//   POST /u/{token}       200 once the opt-out is durable, whatever the body (RFC 8058: form, multipart or none); 503 if it is not
// A pixel or link is answered after the durable append, or kSignalWait later all the same: then the signal is counted as unrecorded
// if the append fails. A link's target comes from the campaign's link table in the views, kept in memory from its first use: it never
// changes. User agent and address of the reader are kept for nobody: their fields stay empty, as the contact's key is not at hand here
// without its address, and nothing personal is stored unsealed.
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
