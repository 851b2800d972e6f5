// The row of suppressions in the pipeline.
#pragma once

#include "streams/task/processor.h"

namespace maily::suppressions {

task::Noun Row();

}  // namespace maily::suppressions
