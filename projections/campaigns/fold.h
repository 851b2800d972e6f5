// The read model of campaigns: definition, status, links, and each partition's progress.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel CampaignsReadModel();

}  // namespace maily::projections
