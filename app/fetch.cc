// See fetch.h.
#include "app/fetch.h"

#include <algorithm>

#include "app/endpoint.h"

namespace maily::app {

Result<curl::FetchOptions> FetchOptionsOf(const Config& config) {
  curl::FetchOptions options;
  options.extra_roots = config.Text("fetch_roots");
  MAILY_TRY(const auto routes, ListOf(config, "fetch_routes", kFetchRoutesMax));
  for (const std::string& route : routes) {
    const size_t equals = std::min(route.find('='), route.size());
    const auto to = ParseEndpoint(route.substr(std::min(equals + 1, route.size())));
    if (!to || equals == 0 || equals == route.size())
      return Fail(Code::kInvalid, "{}: fetch_routes: '{}' is no host=address:port", config.Source("fetch_routes"), route);
    std::string host = route.substr(0, equals);
    std::ranges::transform(host, host.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    options.routes.insert_or_assign(std::move(host), *to);
  }
  return options;
}

}  // namespace maily::app
