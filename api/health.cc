// See health.h.
#include "api/health.h"

#include "api/call.h"
#include "api/status_page.h"
#include "streams/observe/metrics.h"

namespace maily::api {
namespace {

using http::Method;
using http::Request;
using http::Respond;
using http::Response;

}  // namespace

std::vector<http::Route> ProcessRoutes(std::function<std::string()> not_ready) {
  std::vector<http::Route> routes;
  routes.push_back({.method = Method::kGet, .pattern = "/healthz", .handler = [](const Request&, Respond respond) {
                      respond(Response::Json(200, R"({"status":"ok"})"));
                    }});
  routes.push_back({.method = Method::kGet, .pattern = "/readyz", .handler = [not_ready](const Request&, Respond respond) {
                      const std::string why = not_ready();
                      const Json body{{"status", why.empty() ? "ready" : "not ready"}, {"reason", why}};
                      respond(Response::Json(why.empty() ? 200 : 503, body.dump(-1, ' ', false, Json::error_handler_t::replace)));
                    }});
  routes.push_back({.method = Method::kGet, .pattern = "/metrics", .handler = [](const Request&, Respond respond) {
                      Response response;
                      response.headers.Add("content-type", "text/plain; version=0.0.4; charset=utf-8");
                      response.body = observe::Metrics::Process().PrometheusText();
                      respond(std::move(response));
                    }});
  return routes;
}

std::vector<http::Route> HealthRoutes(std::shared_ptr<Shared> api) {
  std::vector<http::Route> routes = ProcessRoutes(api->parts.not_ready);
  routes.push_back(
      {.method = Method::kGet, .pattern = "/", .handler = [api](const Request&, Respond respond) { respond(StatusPage(api->parts)); }});
  return routes;
}

}  // namespace maily::api
