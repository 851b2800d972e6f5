// The read models of a stopped process: brought to the end of the journal, and their digests.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "app/config.h"
#include "projections/projector/digest.h"
#include "streams/base/result.h"

namespace maily::app {

// {"table", "kind": folded or personal, "rows", "digest"} of each table.
nlohmann::json TablesJson(const projections::GroupDigest& digest);

// Folds the journal that the settings name, with nothing else at work, into the read models that they name, as `serve` would: goes on from
// their positions, or builds them. Gives {"groups": [{"name", "digest", "tables"}], "lsns": [by partition]}. Blocks until that is done.
// kConflict: a process uses the data directory, or folds these read models. Errors of the log, the keyring and the database.
Result<nlohmann::json> FoldAndDigest(const Config& config);

}  // namespace maily::app
