// The read model of tenants: settings, senders, registered attributes, API keys.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel TenantsReadModel();

}  // namespace maily::projections
