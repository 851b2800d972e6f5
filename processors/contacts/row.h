// The row of contacts in the pipeline.
#pragma once

#include "streams/task/processor.h"

namespace maily::contacts {

task::Noun Row();

}  // namespace maily::contacts
