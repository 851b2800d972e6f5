// A small data directory with everything in it, made by the production code.
#pragma once

#include <string>

#include "tests/rot/known.h"

namespace maily::rot {

// Makes `data`, with contacts, a template, a campaign and clicks, read models, snapshots, keys, slots; its identity record lies where
// $XDG_STATE_HOME says. `killed` is called while the process is there and quiet: what lies in `data` then is what kill -9 leaves.
// Afterwards the process stops in order. CHECK: anything goes wrong.
Known MakeData(const std::string& data, size_t contacts, const std::function<void()>& killed);

}  // namespace maily::rot
