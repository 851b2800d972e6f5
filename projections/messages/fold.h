// The read model of messages: what each was; the sends say what became of it.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel MessagesReadModel();

}  // namespace maily::projections
