// The read model of sites, and of each decision on how fast mail goes there.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel SitesReadModel();

}  // namespace maily::projections
