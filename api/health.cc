// See health.h.
#include "api/health.h"

#include "api/call.h"
#include "streams/observe/metrics.h"

namespace maily::api {
namespace {

using http::Method;
using http::Request;
using http::Respond;
using http::Response;

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out.push_back(c);
    }
  }
  return out;
}

Response StatusPage(const Shared& api) {
  const std::string why = api.parts.not_ready();
  const std::string banner = api.parts.banner.empty() ? "" : "<p role=\"status\"><b>" + Escaped(api.parts.banner) + "</b></p>";
  const std::string state = why.empty() ? "<b>ready</b>" : "<b>not ready</b>: " + Escaped(why);
  Response response = Response::Html(
      200,
      fmt::format(
          "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Maily</title><style>body{{font:16px/1.5 "
          "system-ui,sans-serif;margin:8vh auto;"
          "max-width:44em;padding:0 "
          "1em}}pre{{background:#f4f4f4;padding:1em;overflow:auto}}</style></head><body>{}<h1>Maily</h1><p>Version "
          "{}, {}.</p>"
          "<ul><li><a href=\"/api/docs\">The API's routes, with examples</a></li><li><a href=\"/api/openapi.json\">OpenAPI 3.1</a></li>"
          "<li><a href=\"/readyz\">Readiness</a>, <a href=\"/metrics\">metrics</a></li></ul>"
          "<p>Campaigns, with the key that the first start wrote:</p><pre>curl -H \"Authorization: Bearer $(cat admin.key)\" "
          "http://HOST:PORT/v1/campaigns</pre></body></html>",
          banner, Escaped(api.parts.version), state));
  response.headers.Add("cache-control", "no-store");
  return response;
}

}  // namespace

std::vector<http::Route> HealthRoutes(std::shared_ptr<Shared> api) {
  std::vector<http::Route> routes;
  routes.push_back({.method = Method::kGet, .pattern = "/healthz", .handler = [](const Request&, Respond respond) {
                      respond(Response::Json(200, R"({"status":"ok"})"));
                    }});
  routes.push_back({.method = Method::kGet, .pattern = "/readyz", .handler = [api](const Request&, Respond respond) {
                      const std::string why = api->parts.not_ready();
                      const Json body{{"status", why.empty() ? "ready" : "not ready"}, {"reason", why}};
                      respond(Response::Json(why.empty() ? 200 : 503, body.dump(-1, ' ', false, Json::error_handler_t::replace)));
                    }});
  routes.push_back({.method = Method::kGet, .pattern = "/metrics", .handler = [](const Request&, Respond respond) {
                      Response response;
                      response.headers.Add("content-type", "text/plain; version=0.0.4; charset=utf-8");
                      response.body = observe::Metrics::Process().PrometheusText();
                      respond(std::move(response));
                    }});
  routes.push_back(
      {.method = Method::kGet, .pattern = "/", .handler = [api](const Request&, Respond respond) { respond(StatusPage(*api)); }});
  return routes;
}

}  // namespace maily::api
