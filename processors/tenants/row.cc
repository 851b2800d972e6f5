// See row.h.
#include "processors/tenants/row.h"

#include "maily/tenants/v1/state.pb.h"
#include "processors/tenants/decide.h"
#include "processors/tenants/evolve.h"
#include "schemas/types.h"

namespace maily::tenants {

task::Noun Row() {
  return task::Noun("tenants", kEvolveVersion)
      .Owns<v1::TenantName, v1::TenantCounter, v1::Tenant>()
      .Decides<v1::CreateTenant>(Decide)
      .Decides<v1::ChangeSettings>(Decide)
      .Decides<v1::RegisterAttribute>(Decide)
      .Decides<v1::CreateApiKey>(Decide)
      .Decides<v1::RevokeApiKey>(Decide)
      .Evolves<v1::TenantCreated>(Evolve)
      .Evolves<v1::SettingsChanged>(Evolve)
      .Evolves<v1::AttributeRegistered>(Evolve)
      .Evolves<v1::ApiKeyCreated>(Evolve)
      .Evolves<v1::ApiKeyRevoked>(Evolve);
}

}  // namespace maily::tenants
