// Decides what is asked of sending domains: in the tenant's home; and in each partition what the home announced.
#pragma once

#include "maily/domains/v1/commands.pb.h"
#include "maily/domains/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::domains {

// Limits of one tenant, and of one domain.
inline constexpr int kDomainsMax = 1'000;
inline constexpr int kKeysMax = 8;
inline constexpr int kCheckLinesMax = 40;
// A key that does not sign any more is kept so long: a mail is signed on every attempt as on the first.
inline constexpr Duration kKeptAfterRetired = Seconds(14 * 24 * 3600);

// ---- In the home ----
// Codes of refusal: "invalid_domain", "domain_exists", "too_many_domains".
void Decide(task::Context& context, const v1::AddDomain& command);
// "domain_not_found", "invalid_domain", "keys_pending" (there are some already that do not sign yet), "keys_conflict".
void Decide(task::Context& context, const v1::AddDomainKeys& command);
// "domain_not_found", "no_keys_pending".
void Decide(task::Context& context, const v1::ActivateDomainKeys& command);
// "domain_not_found", "invalid_check".
void Decide(task::Context& context, const v1::RecordDomainCheck& command);
// "domain_not_found".
void Decide(task::Context& context, const v1::RemoveDomain& command);

// ---- In each partition ----
void Decide(task::Context& context, const v1::DomainAdded& added);
void Decide(task::Context& context, const v1::DomainKeysActivated& activated);
void Decide(task::Context& context, const v1::DomainRemoved& removed);

}  // namespace maily::domains
