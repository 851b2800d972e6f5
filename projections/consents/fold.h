// The read model of consents: the ledger, texts and forms. It declares a personal table, consent_events_pii.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel ConsentsReadModel();

}  // namespace maily::projections
