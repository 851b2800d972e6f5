// Folds what happened to contacts.
#pragma once

#include "maily/contacts/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::contacts {

inline constexpr uint32_t kEvolveVersion = 1;

void Evolve(task::Fold& fold, const v1::ContactCreated& event);
void Evolve(task::Fold& fold, const v1::ContactChanged& event);
void Evolve(task::Fold& fold, const v1::ContactErased& event);
void Evolve(task::Fold& fold, const v1::ErasedContactMet& event);
void Evolve(task::Fold& fold, const v1::ContactKeysDestroyed& event);

}  // namespace maily::contacts
