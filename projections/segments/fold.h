// The read model of segments: definitions, how many are members, who was one when, previews.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel SegmentsReadModel();

}  // namespace maily::projections
