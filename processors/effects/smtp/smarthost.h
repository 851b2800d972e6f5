// Rules of some tenants, or of mails to some domains: what is handed to a relay, and what leaves from other addresses of this machine.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processors/effects/smtp/session.h"
#include "processors/effects/smtp/source.h"
#include "streams/base/ids.h"
#include "streams/port/net.h"
#include "streams/tls/channel.h"

namespace maily::smtp {

// A relay, and how one talks to it. Its site is its name.
struct Smarthost {
  Endpoint host = {};
  TlsUse use_tls = TlsUse::kIfOffered;
  std::shared_ptr<const tls::Context> tls = nullptr;  // wherever use_tls asks for it
  tls::Verify verify = tls::Verify::kRecord;
  std::optional<Login> login = {};
};

struct RouteRule {
  std::optional<TenantId> tenant = {};               // none: all
  std::string domain = {};                           // A-labels in lower case; empty: all
  bool below = false;                                // the domains below it, and not itself
  std::shared_ptr<const Smarthost> via = nullptr;    // null: by the DNS
  std::shared_ptr<const SourcePool> from = nullptr;  // by the DNS from these; null: as where no rule fits

  bool Fits(TenantId of, std::string_view recipient_domain) const;
};

// The first rule that fits; null: none does. `recipient_domain`: in A-labels; case does not count.
const RouteRule* RuleOf(const std::vector<RouteRule>& rules, TenantId tenant, std::string_view recipient_domain);

}  // namespace maily::smtp
