// The read model of engagements: what each contact did.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel EngagementsReadModel();

}  // namespace maily::projections
