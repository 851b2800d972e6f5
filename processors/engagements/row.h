// The row of engagements in the pipeline.
#pragma once

#include "streams/task/processor.h"

namespace maily::engagements {

task::Noun Row();

}  // namespace maily::engagements
