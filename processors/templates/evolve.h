// Folds what happened to templates.
#pragma once

#include "maily/templates/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::templates {

inline constexpr uint32_t kEvolveVersion = 2;
inline constexpr int kVersionsKept = 16;

void Evolve(task::Fold& fold, const v1::TemplateSaved& event);
void Evolve(task::Fold& fold, const v1::PartialPut& event);
void Evolve(task::Fold& fold, const v1::PartialArchived& event);

}  // namespace maily::templates
