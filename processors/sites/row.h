// The row of sites in the pipeline.
#pragma once

#include "streams/task/processor.h"

namespace maily::sites {

task::Noun Row();

}  // namespace maily::sites
