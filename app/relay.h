// What the settings routing, relay_…, mx_… and helo_name stand for: how mail is handed over.
#pragma once

#include "app/config.h"
#include "processors/effects/smtp/delivery.h"
#include "streams/base/result.h"
#include "streams/port/resolver.h"

namespace maily::app {

// Relay, session and TLS of the effect's options; the others as they are by default. kInvalid: settings that do not go together, or files
// that cannot be read.
Result<smtp::SharedOptions> RelayOptions(const Config& config);

// What mails bear so that more comes back: mail_host, relay_provider. kInvalid: mail_host is no host name, or no relay has that provider.
Result<smtp::Returns> ReturnsOf(const Config& config);

// By the DNS; null: to a relay. `resolver` outlives it. Its `sts` is the caller's, but for the TLS of it.
Result<std::shared_ptr<smtp::MxOptions>> MxOptionsOf(const Config& config, Resolver& resolver, size_t workers);

}  // namespace maily::app
