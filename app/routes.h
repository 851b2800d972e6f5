// The file of the setting routes: exceptions from the DNS, where routing is mx. The first rule that fits decides.
//
//   - tenant: 3                        # its number; without it all
//     domain: "*.example.com"          # of the recipient: that domain, or with "*." those below it; without it all
//     via: smtp.provider.example:587   # a relay, or mx: by the DNS all the same
//     tls: verified                    # off, opportunistic (the default without user), required, verified (the default with user)
//     roots: /etc/maily/roots.pem      # trusted authorities; without it the system's
//     user: apikey                     # a login; only with tls required or verified
//     password: env:PROVIDER_PASSWORD  # env:NAME or file:PATH, which hold it
//     from: bulk                       # with via: mx, the pool or source that mails leave from (app/sources.h); without it the default one
#pragma once

#include <string>
#include <vector>

#include "app/sources.h"
#include "processors/effects/smtp/smarthost.h"
#include "streams/base/result.h"

namespace maily::app {

// Empty path: no rules. kInvalid: with file and line what is wrong.
Result<std::vector<smtp::RouteRule>> ReadRoutes(const std::string& path, const SourceFile& sources);

}  // namespace maily::app
