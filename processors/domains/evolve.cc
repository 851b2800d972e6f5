// See evolve.h.
#include "processors/domains/evolve.h"

#include "maily/domains/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::domains {
namespace {

v1::Domain& EditDomain(task::Fold& fold, const std::string& name) { return fold.table<v1::Domain>().Edit(state::Key(fold.tenant(), name)); }

}  // namespace

void Evolve(task::Fold& fold, const v1::DomainAdded& event) {
  v1::Domain& domain = EditDomain(fold, event.name());
  *domain.mutable_keys() = event.keys();
  for (v1::SigningKey& key : *domain.mutable_keys()) key.set_active_from_us(fold.now().us);
  domain.set_return_path(event.return_path());
  domain.set_generation(1);
}

void Evolve(task::Fold& fold, const v1::DomainKeysAdded& event) {
  v1::Domain& domain = EditDomain(fold, event.name());
  domain.mutable_keys()->MergeFrom(event.keys());
  domain.set_generation(event.generation());
}

void Evolve(task::Fold& fold, const v1::DomainKeysActivated& event) {
  v1::Domain& domain = EditDomain(fold, event.name());
  google::protobuf::RepeatedPtrField<v1::SigningKey> kept;
  for (v1::SigningKey& key : *domain.mutable_keys()) {
    if (key.active_to_us() != 0) continue;  // published no longer than its successor's successor
    if (key.active_from_us() == 0) {
      key.set_active_from_us(fold.now().us);
    } else {
      key.set_active_to_us(fold.now().us);
    }
    *kept.Add() = key;
  }
  domain.mutable_keys()->Swap(&kept);
}

void Evolve(task::Fold& fold, const v1::DomainChecked& event) {
  v1::Domain& domain = EditDomain(fold, event.name());
  domain.set_checked_at_us(fold.now().us);
  domain.set_passed(event.passed());
}

void Evolve(task::Fold& fold, const v1::DomainRemoved& event) { fold.table<v1::Domain>().Erase(state::Key(fold.tenant(), event.name())); }

void Evolve(task::Fold& fold, const v1::SigningChanged& event) {
  const std::string key = state::Key(fold.tenant(), event.name());
  if (event.keys().empty()) return fold.table<v1::SigningDomain>().Erase(key);
  v1::SigningDomain& signing = fold.table<v1::SigningDomain>().Edit(key);
  *signing.mutable_keys() = event.keys();
  signing.set_return_path(event.return_path());
}

}  // namespace maily::domains
