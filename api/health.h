// For load balancers and operators: /healthz (the process runs), /readyz (it can serve), /metrics (Prometheus text), / (a plain page).
#pragma once

#include <memory>
#include <vector>

#include "api/http/router.h"

namespace maily::api {

struct Shared;

// Without an API key.
std::vector<http::Route> HealthRoutes(std::shared_ptr<Shared> api);

}  // namespace maily::api
