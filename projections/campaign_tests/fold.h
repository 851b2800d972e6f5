// The read model of A/B tests: their set-up, how far they are, and their decisions.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel CampaignTestsReadModel();

}  // namespace maily::projections
