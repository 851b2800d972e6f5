// Folds what happened to sending domains.
#pragma once

#include "maily/domains/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::domains {

inline constexpr uint32_t kEvolveVersion = 1;

void Evolve(task::Fold& fold, const v1::DomainAdded& event);
void Evolve(task::Fold& fold, const v1::DomainKeysAdded& event);
void Evolve(task::Fold& fold, const v1::DomainKeysActivated& event);
void Evolve(task::Fold& fold, const v1::DomainChecked& event);
void Evolve(task::Fold& fold, const v1::DomainRemoved& event);
void Evolve(task::Fold& fold, const v1::SigningChanged& event);

}  // namespace maily::domains
