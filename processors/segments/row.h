// The row of segments in the pipeline.
#pragma once

#include "streams/task/processor.h"

namespace maily::segments {

task::Noun Row();

}  // namespace maily::segments
