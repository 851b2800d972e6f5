// The read model of lists: members, and global opt-outs.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel ListsReadModel();

}  // namespace maily::projections
