// Folds what happened to assets, and which of them templates use.
#pragma once

#include "maily/assets/v1/events.pb.h"
#include "maily/templates/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::assets {

inline constexpr uint32_t kEvolveVersion = 1;

void Evolve(task::Fold& fold, const v1::AssetAdded& event);
void Evolve(task::Fold& fold, const v1::AssetArchived& event);
void Evolve(task::Fold& fold, const v1::AssetDeleted& event);
void Evolve(task::Fold& fold, const v1::AssetEnclosed& event);
void Evolve(task::Fold& fold, const templates::v1::TemplateSaved& event);
// All its versions use them no more.
void Evolve(task::Fold& fold, const templates::v1::TemplateDeleted& event);

}  // namespace maily::assets
