// What links in mails lead to: opens, clicks, one-click unsubscribe. No API key: the signed token authorises.
//
// A reader never sees an error for an authentic link: if a signal is not durable within 250 ms, or cannot be, the picture or redirect is sent
// all the same and the signal counted as unrecorded. An unsubscribe that is not durable gets 503. The user agent and the IP address are not
// kept yet: they are personal, and the token does not carry the contact key that they would be sealed under.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "api/http/router.h"
#include "streams/base/ids.h"
#include "streams/command/sender.h"
#include "streams/keyring/keyring.h"
#include "streams/port/env.h"

namespace maily::api {

// How long a click or open waits to be durable before it is answered anyway.
inline constexpr Duration kSignalPatience = Milliseconds(250);

struct TrackingNeeds {
  command::Sender& sender;
  keyring::Keyring& keyring;
  Clock& clock;
  Entropy& entropy;
  Executor& executor;  // for the 250 ms
  // The links of a campaign's template version, in their order; none = no such campaign. Thread: any; asked once a campaign.
  std::function<std::optional<std::vector<std::string>>(TenantId, uint64_t campaign)> links;
};

// Adds GET /o/{token}, GET /c/{token}, GET and POST /u/{token}. `needs` must outlive the router.
void AddTrackingRoutes(http::Router& router, const TrackingNeeds& needs);

}  // namespace maily::api
