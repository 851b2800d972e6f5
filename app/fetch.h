// What the settings fetch_… stand for: how pages of others are fetched over HTTPS.
#pragma once

#include "app/config.h"
#include "streams/adapters/curl/curl_fetch.h"
#include "streams/base/result.h"

namespace maily::app {

inline constexpr size_t kFetchRoutesMax = 64;

// kInvalid: an element of fetch_routes is no host=address:port, or there are too many.
Result<curl::FetchOptions> FetchOptionsOf(const Config& config);

}  // namespace maily::app
