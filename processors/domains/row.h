// The row of sending domains in the pipeline.
#pragma once

#include "streams/task/processor.h"

namespace maily::domains {

task::Noun Row();

}  // namespace maily::domains
