// The row of assets in the pipeline.
#pragma once

#include "streams/task/processor.h"

namespace maily::assets {

task::Noun Row();

}  // namespace maily::assets
