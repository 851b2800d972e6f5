// THE TABLE: which nouns there are, and what links carry between partitions.
#pragma once

#include "streams/task/pipeline.h"

namespace maily {

// A row a noun. Nouns evolve an event in this order.
task::Pipeline MakePipeline();

}  // namespace maily
