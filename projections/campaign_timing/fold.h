// The read model of when campaigns go: schedules, holds, throttles, and how many clocks an audience waits for.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel CampaignTimingReadModel();

}  // namespace maily::projections
