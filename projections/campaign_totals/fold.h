// The read model of campaign totals: recipients, deliveries, engagement, and attributed visits and conversions per arm.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel CampaignTotalsReadModel();

}  // namespace maily::projections
