// Folds what people did: counts, and nothing else that a decision needs.
#pragma once

#include "maily/engagements/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::engagements {

inline constexpr uint32_t kEvolveVersion = 1;

void Evolve(task::Fold& fold, const v1::Opened& event);
void Evolve(task::Fold& fold, const v1::Clicked& event);
void Evolve(task::Fold& fold, const v1::Unsubscribed& event);
// Leaves no state.
void Evolve(task::Fold& fold, const v1::ContactEventRecorded& event);
void Evolve(task::Fold& fold, const v1::HoneypotFollowed& event);

}  // namespace maily::engagements
