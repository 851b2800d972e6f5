// The table of projection groups and the read models in them.
#pragma once

#include <vector>

#include "projections/projector/read_model.h"
#include "projections/views/views.h"

namespace maily::projections {

// Every group; lives as long as the process.
const std::vector<Group>& ReadModelGroups();
// What each group lets be asked: for Views.
std::vector<GroupQueries> ReadModelQueries();

}  // namespace maily::projections
