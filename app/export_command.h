// `maily export`.
#pragma once

#include "app/subcommand.h"

namespace maily::app {

void AddExport(CLI::App& app, Chosen& chosen);

}  // namespace maily::app
