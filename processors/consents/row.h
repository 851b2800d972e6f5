// The row of consents in the pipeline.
#pragma once

#include "streams/task/processor.h"

namespace maily::consents {

task::Noun Row();

}  // namespace maily::consents
