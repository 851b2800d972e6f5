// The API described: OpenAPI 3.1 and a plain page, made of the table of routes, their examples and the schema's own messages.
#pragma once

#include <span>
#include <string>

#include "api/api.h"
#include "api/routes.h"

namespace maily::api {

std::string OpenApiJson(std::span<const RouteRow> rows, const std::vector<OperatorRoute>& more, const std::string& version);
std::string DocsPage(std::span<const RouteRow> rows, const std::vector<OperatorRoute>& more);

}  // namespace maily::api
