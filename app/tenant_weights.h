// The setting tenant_weights, "2:3, 5:10": what parts tenants get of a site, or of the relay, that several want more of than it takes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "streams/base/ids.h"
#include "streams/base/result.h"

namespace maily::app {

inline constexpr uint32_t kTenantWeightMax = 1000;

// Of a tenant that is not named: 1. kInvalid: which entry is wrong.
Result<std::function<uint32_t(TenantId)>> TenantWeights(const std::string& text);

}  // namespace maily::app
