// See tenant_weights.h.
#include "app/tenant_weights.h"

#include <algorithm>
#include <charconv>
#include <map>

namespace maily::app {

Result<std::function<uint32_t(TenantId)>> TenantWeights(const std::string& text) {
  std::map<uint32_t, uint32_t> weights;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    std::string_view entry = std::string_view(text).substr(at, end - at);
    at = end + 1;
    while (entry.starts_with(' ')) entry.remove_prefix(1);
    while (entry.ends_with(' ')) entry.remove_suffix(1);
    uint32_t tenant = 0, weight = 0;
    const char* const last = entry.data() + entry.size();
    const auto id = std::from_chars(entry.data(), last, tenant);
    const bool colon = id.ec == std::errc() && id.ptr != last && *id.ptr == ':';
    const auto of = colon ? std::from_chars(id.ptr + 1, last, weight) : std::from_chars_result{last, std::errc::invalid_argument};
    if (of.ec != std::errc() || of.ptr != last || tenant == 0 || weight < 1 || weight > kTenantWeightMax) {
      return Fail(Code::kInvalid, "tenant_weights: \"{}\" is not a tenant's id and a weight from 1 to {}, like 2:3", entry,
                  kTenantWeightMax);
    }
    if (!weights.emplace(tenant, weight).second) return Fail(Code::kInvalid, "tenant_weights: tenant {} stands there twice", tenant);
  }
  return std::function<uint32_t(TenantId)>([weights = std::move(weights)](TenantId tenant) {
    const auto found = weights.find(tenant.value());
    return found == weights.end() ? 1U : found->second;
  });
}

}  // namespace maily::app
