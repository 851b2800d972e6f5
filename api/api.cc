// See api.h.
#include "api/api.h"

#include <algorithm>

#include "api/health.h"
#include "api/import/import.h"
#include "api/inbound_mail.h"
#include "api/openapi.h"
#include "api/people_pages.h"
#include "api/routes.h"
#include "api/tracking.h"
#include "api/webhooks.h"

namespace maily::api {
namespace {

using gateway::Caller;
using gateway::Scope;
using http::Request;
using http::Respond;
using http::Response;

// Calls `then` with the caller, if he may.
void Guarded(const std::shared_ptr<Shared>& api, Scope scope, Request request, Respond respond, std::move_only_function<void(Call)> then) {
  const std::string authorization(request.headers["authorization"]);
  if (scope == Scope::kNone) return then({.api = api, .request = std::move(request), .caller = {}, .respond = std::move(respond)});
  api->auth.Authenticate(authorization, [api, scope, request = std::move(request), respond = std::move(respond),
                                         then = std::move(then)](Result<Caller> caller) mutable {
    Call call{.api = api, .request = std::move(request), .caller = {}, .respond = std::move(respond)};
    if (!caller) {
      if (caller.error().code == Code::kRetry) return Refuse(call, caller.error());
      return Refuse(call, http::Problem{.status = 401, .code = "unauthorized", .message = caller.error().message});
    }
    call.caller = std::move(*caller);
    if (!call.caller.May(scope)) {
      return Refuse(
          call, http::Problem{
                    .status = 403, .code = "forbidden", .message = fmt::format("this API key has no scope {}", gateway::ScopeName(scope))});
    }
    then(std::move(call));
  });
}

// What is wrong with the query parameters: one that the route does not know, or of all reads one that does not fit.
std::optional<http::Problem> CheckParameters(const Call& call, const std::vector<std::string>& known) {
  for (const auto& [name, value] : call.request.QueryParams()) {
    if (std::ranges::find(known, name) == known.end()) {
      const std::string near = Nearest(name, known);
      return BadParameter(
          name, near.empty() ? "there is no such parameter here" : "there is no such parameter here; did you mean " + near + "?", 422);
    }
    if ((name == "strict" || name == "dry_run") && value != "true" && value != "false") return BadParameter(name, "is true or false", 422);
  }
  if (!NumberParameter(call, "page_size", kPageSizeDefault, 1, kPageSizeMax))
    return BadParameter("page_size", fmt::format("a number from 1 to {}", kPageSizeMax), 422);
  return std::nullopt;
}

}  // namespace

http::Router MakeRouter(const Dependencies& dependencies) {
  auto api = std::make_shared<Shared>(dependencies);
  NameInboundMetrics();
  NameWebhookMetrics();
  http::Router router;
  for (const RouteRow& row : Routes()) {
    http::Route route{.method = row.method, .pattern = std::string(row.pattern), .body_bytes_max = row.body_bytes_max};
    if (row.handler != nullptr) {
      route.handler = [api, scope = row.scope, handler = row.handler, known = QueryParametersOf(row)](Request request, Respond respond) {
        if (request.target.find('?') == std::string::npos) return Guarded(api, scope, std::move(request), std::move(respond), handler);
        Guarded(api, scope, std::move(request), std::move(respond), [handler, known](Call call) {
          if (const auto wrong = CheckParameters(call, known)) return Refuse(call, *wrong);
          handler(std::move(call));
        });
      };
    } else {
      route.open =
          import::OpenImport({.gateway = api->gateway, .auth = api->auth, .jobs = api->imports, .bulk = api->parts.bulk, .owner = api});
      route.body_bytes_max = SIZE_MAX;
    }
    router.Add(std::move(route));
  }
  for (const OperatorRoute& row : api->parts.operator_routes) {
    router.Add({.method = row.method, .pattern = row.pattern, .handler = [api, &row](Request request, Respond respond) {
                  Guarded(api, row.scope, std::move(request), std::move(respond), [&row](Call call) {
                    Executor& blocking = call.api->blocking();
                    blocking.Post([&row, call = std::move(call)]() mutable {
                      auto answer = row.answer(call.request);
                      if (!answer) return Refuse(call, answer.error());
                      call.respond(Response::Json(200, std::move(*answer)));
                    });
                  });
                }});
  }
  for (http::Route& route : TrackingRoutes(api)) router.Add(std::move(route));
  for (http::Route& route : PeopleRoutes(api)) router.Add(std::move(route));
  for (http::Route& route : HostedRoutes(api)) router.Add(std::move(route));
  for (http::Route& route : HealthRoutes(api)) router.Add(std::move(route));
  router.Add({.method = http::Method::kGet,
              .pattern = "/api/openapi.json",
              .handler = [text = OpenApiJson(Routes(), api->parts.operator_routes, api->parts.version)](const Request&, Respond respond) {
                respond(Response::Json(200, text));
              }});
  router.Add({.method = http::Method::kGet,
              .pattern = "/api/docs",
              .handler = [text = DocsPage(Routes(), api->parts.operator_routes)](const Request&, Respond respond) {
                respond(Response::Html(200, text));
              }});
  return router;
}

}  // namespace maily::api
