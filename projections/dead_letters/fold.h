// The read model of dead letters: rejected commands.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel DeadLettersReadModel();

}  // namespace maily::projections
