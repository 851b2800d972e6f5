// The read model of suppressions.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel SuppressionsReadModel();

}  // namespace maily::projections
