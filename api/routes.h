// THE TABLE of the API: what can be asked, by whom, and what it becomes.
#pragma once

#include <span>
#include <string_view>

#include "api/call.h"
#include "api/http/router.h"

namespace maily::api {

struct RouteRow {
  http::Method method;
  std::string_view pattern;
  gateway::Scope scope;
  std::string_view summary;
  std::string_view uses;     // the type of its command, or the name of its query; empty = neither
  std::string_view example;  // of a body, or of the query string ("?…")
  void (*handler)(Call);     // null: not JSON, see the routes' own files
  size_t body_bytes_max = kBodyBytesMax;
  std::string_view also = {};  // a query parameter that may stand instead of those of the example
};

// The `also` of a row that answers ?dry_run=true in a way of its own.
inline constexpr std::string_view kOwnDryRun = "dry_run";
// The `also` of a row whose body is a file, with its type as Content-Type, and whose example is its query.
inline constexpr std::string_view kFileBody = "(file)";
// The example of a row whose body is a mail.
inline constexpr std::string_view kMailType = "message/rfc822";

std::span<const RouteRow> Routes();

// The query parameters that a route takes: those of its example, `also`; of a read also min, wait_ms, strict, page_size, page_token; of a
// write dry_run.
std::vector<std::string> QueryParametersOf(const RouteRow& row);
// True if ?dry_run=true is taken, see submit.h: not for events and notices, which have no answer but that they were taken.
bool TakesDryRun(const RouteRow& row);
// True if an Idempotency-Key means something: not for what carries ids of its own, or settles whatever is there.
bool TakesIdempotencyKey(const RouteRow& row);

}  // namespace maily::api
