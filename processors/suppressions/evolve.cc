// See evolve.h.
#include "processors/suppressions/evolve.h"

#include <algorithm>

#include "maily/suppressions/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::suppressions {

void Evolve(task::Fold& fold, const v1::SuppressionAdded& event) {
  v1::Suppression& suppression = fold.table<v1::Suppression>().Edit(state::Key(fold.tenant(), event.contact_key()));
  suppression.set_reason(event.reason());
  suppression.set_added_at_us(fold.now().us);
  suppression.set_stream(event.stream());
  const std::string key = state::Key(fold.tenant(), event.contact_key());
  if (fold.table<v1::SoftBounces>().Find(key) != nullptr) fold.table<v1::SoftBounces>().Erase(key);
}

void Evolve(task::Fold& fold, const v1::SoftBounceCounted& event) {
  v1::SoftBounces& bounces = fold.table<v1::SoftBounces>().Edit(state::Key(fold.tenant(), event.contact_key()));
  bounces.set_count(event.count());
  bounces.set_first_at_us(event.first_at_us());
  bounces.set_campaign_id(std::max(bounces.campaign_id(), event.campaign_id()));
}

void Evolve(task::Fold& fold, const v1::SuppressionRemoved& event) {
  fold.table<v1::Suppression>().Erase(state::Key(fold.tenant(), event.contact_key()));
}

void Evolve(task::Fold& fold, const v1::DomainSuppressionAdded& event) {
  const std::string key = state::Key(fold.tenant(), event.domain());
  auto counters = fold.table<v1::DomainSuppressionCounter>();
  if (fold.table<v1::DomainSuppression>().Find(key) == nullptr) {
    v1::DomainSuppressionCounter& counter = counters.Edit(state::Key(fold.tenant()));
    counter.set_domains(counter.domains() + 1);
  }
  v1::DomainSuppression& suppression = fold.table<v1::DomainSuppression>().Edit(key);
  suppression.set_stream(event.stream());
  suppression.set_domain_key(event.domain_key());
}

void Evolve(task::Fold& fold, const v1::DomainSuppressionRemoved& event) {
  fold.table<v1::DomainSuppression>().Erase(state::Key(fold.tenant(), event.domain()));
  v1::DomainSuppressionCounter& counter = fold.table<v1::DomainSuppressionCounter>().Edit(state::Key(fold.tenant()));
  counter.set_domains(counter.domains() - 1);
}

void Evolve(task::Fold& fold, const v1::SuppressedDomainChanged& event) {
  const std::string key = state::Key(fold.tenant(), event.domain_key());
  const std::string tenant = state::Key(fold.tenant());
  auto domains = fold.table<v1::SuppressedDomain>();
  auto counters = fold.table<v1::SuppressedDomainCounter>();
  const bool known = domains.Find(key) != nullptr;
  if (event.suppressed()) {
    domains.Edit(key).set_stream(event.stream());
    if (known) return;
    v1::SuppressedDomainCounter& counter = counters.Edit(tenant);
    counter.set_domains(counter.domains() + 1);
  } else if (known) {
    domains.Erase(key);
    v1::SuppressedDomainCounter& counter = counters.Edit(tenant);
    counter.set_domains(counter.domains() - 1);
    if (counter.domains() == 0) counters.Erase(tenant);
  }
}

}  // namespace maily::suppressions
