// The row of templates in the pipeline.
#pragma once

#include "streams/task/processor.h"

namespace maily::templates {

task::Noun Row();

}  // namespace maily::templates
