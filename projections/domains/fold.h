// The read model of sending domains.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel DomainsReadModel();

}  // namespace maily::projections
