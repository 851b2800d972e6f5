// The row of messages in the pipeline.
#pragma once

#include "streams/task/processor.h"

namespace maily::messages {

task::Noun Row();

}  // namespace maily::messages
