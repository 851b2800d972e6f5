// The row of sends in the pipeline.
#pragma once

#include "streams/task/processor.h"

namespace maily::sends {

task::Noun Row();

}  // namespace maily::sends
