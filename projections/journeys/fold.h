// The read model of journeys: schema.sql says what it holds.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel JourneysReadModel();

}  // namespace maily::projections
