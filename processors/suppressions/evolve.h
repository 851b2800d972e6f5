// Folds who gets no mail at all.
#pragma once

#include "maily/suppressions/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::suppressions {

inline constexpr uint32_t kEvolveVersion = 1;

void Evolve(task::Fold& fold, const v1::SuppressionAdded& event);
void Evolve(task::Fold& fold, const v1::SuppressionRemoved& event);
void Evolve(task::Fold& fold, const v1::SoftBounceCounted& event);

}  // namespace maily::suppressions
