// Folds who gets no mail.
#pragma once

#include "maily/suppressions/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::suppressions {

inline constexpr uint32_t kEvolveVersion = 1;

void Evolve(task::Fold& fold, const v1::SuppressionAdded& event);
void Evolve(task::Fold& fold, const v1::SuppressionRemoved& event);
void Evolve(task::Fold& fold, const v1::SoftBounceCounted& event);
void Evolve(task::Fold& fold, const v1::DomainSuppressionAdded& event);
void Evolve(task::Fold& fold, const v1::DomainSuppressionRemoved& event);
void Evolve(task::Fold& fold, const v1::SuppressedDomainChanged& event);

}  // namespace maily::suppressions
