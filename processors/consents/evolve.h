// Folds consents: texts and forms in the home; with each contact its named purposes and what it was asked to confirm.
#pragma once

#include "maily/consents/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::consents {

inline constexpr uint32_t kEvolveVersion = 1;

void Evolve(task::Fold& fold, const v1::ConsentTextDefined& event);
void Evolve(task::Fold& fold, const v1::FormDefined& event);
void Evolve(task::Fold& fold, const v1::FormArchived& event);
void Evolve(task::Fold& fold, const v1::ConsentGranted& event);
void Evolve(task::Fold& fold, const v1::ConsentWithdrawn& event);
void Evolve(task::Fold& fold, const v1::ConfirmationAsked& event);
void Evolve(task::Fold& fold, const v1::OptOutPassedOn& event);

}  // namespace maily::consents
