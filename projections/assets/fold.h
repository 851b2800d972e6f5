// The read model of assets, and of the templates' versions that use them.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel AssetsReadModel();

}  // namespace maily::projections
