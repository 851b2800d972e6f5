// The row of lists in the pipeline.
#pragma once

#include "streams/task/processor.h"

namespace maily::lists {

task::Noun Row();

}  // namespace maily::lists
