// The row of tenants in the pipeline.
#pragma once

#include "streams/task/processor.h"

namespace maily::tenants {

task::Noun Row();

}  // namespace maily::tenants
