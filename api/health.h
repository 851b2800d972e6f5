// For load balancers and operators: /healthz (the process runs), /readyz (it can serve), /metrics (Prometheus text), / (a plain page).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/http/router.h"

namespace maily::api {

struct Shared;

// Without an API key: those of every process (/healthz, /readyz, /metrics), which is ready while `not_ready` says nothing.
std::vector<http::Route> ProcessRoutes(std::function<std::string()> not_ready);
// And the plain page of one that serves the API.
std::vector<http::Route> HealthRoutes(std::shared_ptr<Shared> api);

}  // namespace maily::api
