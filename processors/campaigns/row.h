// The row of campaigns in the pipeline.
#pragma once

#include "streams/task/processor.h"

namespace maily::campaigns {

task::Noun Row();

}  // namespace maily::campaigns
