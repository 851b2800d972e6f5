// The read model of templates.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel TemplatesReadModel();

}  // namespace maily::projections
