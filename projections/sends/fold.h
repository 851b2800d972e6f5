// The read model of sends: a row per recipient with its reason, and the history of each.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel SendsReadModel();

}  // namespace maily::projections
