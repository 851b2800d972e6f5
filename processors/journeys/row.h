// The row of journeys in the pipeline.
#pragma once

#include "streams/task/processor.h"

namespace maily::journeys {

task::Noun Row();

}  // namespace maily::journeys
