// Folds what happened to tenants.
#pragma once

#include "maily/tenants/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::tenants {

inline constexpr uint32_t kEvolveVersion = 1;

void Evolve(task::Fold& fold, const v1::TenantCreated& event);
void Evolve(task::Fold& fold, const v1::SettingsChanged& event);
void Evolve(task::Fold& fold, const v1::AttributeRegistered& event);
void Evolve(task::Fold& fold, const v1::ApiKeyCreated& event);
void Evolve(task::Fold& fold, const v1::ApiKeyRevoked& event);

}  // namespace maily::tenants
