// Decides what is asked of tenants: CreateTenant in the partition of the key "tenants", the rest in the tenant's home.
#pragma once

#include "maily/tenants/v1/commands.pb.h"
#include "streams/task/processor.h"

namespace maily::tenants {

// Limits of one tenant.
inline constexpr int kSendersMax = 100;
inline constexpr uint32_t kHoldoutBpMax = 5000;  // hundredths of a per cent: half of the contacts
inline constexpr int kAttributesMax = 1'000;
inline constexpr int kApiKeysMax = 1'000;  // revoked ones included

// Codes of refusal: "invalid_name", "tenant_exists" (with its tenant_id).
void Decide(task::Context& context, const v1::CreateTenant& command);
// "invalid_settings".
void Decide(task::Context& context, const v1::ChangeSettings& command);
// "invalid_attribute", "reserved_name", "attribute_exists" (with another type or protection), "too_many_attributes".
void Decide(task::Context& context, const v1::RegisterAttribute& command);
// "invalid_api_key", "api_key_exists", "too_many_api_keys".
void Decide(task::Context& context, const v1::CreateApiKey& command);
// "api_key_not_found".
void Decide(task::Context& context, const v1::RevokeApiKey& command);

}  // namespace maily::tenants
