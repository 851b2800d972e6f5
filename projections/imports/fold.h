// What imports have replaced: the table import_notes. In a partition a note goes with the first one that is kUndoableTime younger.
#pragma once

#include "projections/projector/read_model.h"
#include "streams/base/time.h"

namespace maily::projections {

inline constexpr Duration kUndoableTime = Seconds(30LL * 24 * 3600);

ReadModel ImportsReadModel();

}  // namespace maily::projections
