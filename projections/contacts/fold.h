// The read model of contacts. It declares a personal table, contacts_pii, and opens what goes into it with the keyring.
#pragma once

#include "projections/projector/read_model.h"

namespace maily::projections {

ReadModel ContactsReadModel();

}  // namespace maily::projections
