// GET /: a plain page for a person with a browser: whether this instance is ready, and, to who has a key, its campaigns.
//
// The page holds no data. Its script asks for an API key, keeps it in sessionStorage (gone with the tab), asks GET /v1/campaigns with it,
// and puts what comes in as text only. The Content-Security-Policy allows this one script by its hash, and requests to this server alone.
#pragma once

#include "api/api.h"

namespace maily::api {

http::Response StatusPage(const Dependencies& parts);

}  // namespace maily::api
