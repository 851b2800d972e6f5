// Asks a virus scanner of the operator's about an asset before it is stored.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/api.h"
#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily::app {

struct AssetScannerOptions {
  std::vector<std::string> words = {};  // the program and its arguments: it gets the bytes on its standard input
  Duration time_max = Seconds(30);
};

// By the exit status, as clamscan and clamdscan have it: 0 = clean, 1 = not clean. Anything else, no answer in time or no such program:
// kRetry, and nobody knows. Blocks up to `time_max`. Thread: any.
Result<api::AssetVerdict> ScanAsset(const AssetScannerOptions& options, std::string_view bytes);

}  // namespace maily::app
