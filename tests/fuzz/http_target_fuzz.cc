// What is read of a request beyond its head: path, route parameters, query, traceparent.
#include "api/http/message.h"
#include "api/http/router.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

const http::Router& Routes() {
  static const http::Router* const router = [] {
    auto* made = new http::Router();
    for (const char* pattern : {"/", "/v1/contacts", "/v1/contacts/{id}", "/v1/contacts/{id}/sends", "/v1/campaigns/{id}:launch",
                                "/v1/campaigns/{id}", "/v1/campaigns/{id}/sends/{contact_id}", "/v1/sends/unknown:resolve", "/c/{token}"}) {
      made->Add({.method = http::Method::kGet, .pattern = pattern, .handler = [](http::Request, http::Respond) {}});
    }
    return made;
  }();
  return *router;
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  const std::string_view input = fuzz::View(data, size);
  if (input.find('\0') != std::string_view::npos) return 0;  // refused with the request's head
  http::Request request{.target = std::string(input)};
  const http::Router::Match match = fuzz::Routes().Find(http::Method::kGet, request.path(), request.params);
  for (const auto& [name, value] : request.params) {
    MAILY_CHECK(match.route != nullptr && request.Param(name) == value, "a parameter without a route");
    MAILY_CHECK(value.find('\0') == std::string::npos, "a NUL in a parameter");
  }
  static_cast<void>(fuzz::Routes().Allow(request.path()));
  for (const auto& [name, value] : request.QueryParams()) {
    MAILY_CHECK(name.find('\0') == std::string::npos && value.find('\0') == std::string::npos, "a NUL in the query");
  }
  static_cast<void>(request.Query("email"));
  for (const bool plus : {false, true}) {
    const auto decoded = http::PercentDecode(input, plus);
    if (decoded)
      MAILY_CHECK(http::PercentDecode(http::PercentEncode(*decoded), false) == *decoded, "encoded and decoded, it is another text");
  }
  static_cast<void>(http::ParseTraceparent(input));
  http::Headers headers;
  std::string_view rest = input;
  const std::string name(fuzz::TakeUntil(rest, ':'));
  headers.Add(name, rest);
  headers.Add("x", "y");
  MAILY_CHECK(headers.size() == 2 && headers.at(0).second == rest, "a header changes");
  return 0;
}
