// What every handler of the API works with: a request whose caller is known, and the few ways to answer it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/api.h"
#include "api/assets.h"
#include "api/gateway/auth.h"
#include "api/gateway/gateway.h"
#include "api/http/message.h"
#include "api/http/problem.h"
#include "api/import/jobs.h"
#include "api/under_way.h"
#include "projections/views/views.h"

namespace maily::api {

using Json = nlohmann::ordered_json;

// Sizes and times that clients may rely on; GET /v1/limits shows them.
inline constexpr size_t kBodyBytesMax = 1 << 20;
inline constexpr int64_t kPageSizeMax = 1000;
inline constexpr int64_t kPageSizeDefault = 100;
inline constexpr int64_t kWaitMsMax = 60'000;
inline constexpr Duration kDecisionTimeout = Seconds(10);
inline constexpr size_t kIdempotencyKeyBytesMax = 200;

// Made once, shared by all handlers.
struct Shared {
  explicit Shared(const Dependencies& dependencies);
  ~Shared();

  // The next of parts.blocking.
  Executor& blocking() { return *parts.blocking[next_blocking_.fetch_add(1, std::memory_order_relaxed) % parts.blocking.size()]; }

  Dependencies parts;
  gateway::Gateway gateway;
  gateway::Auth auth;
  import::Jobs imports;
  UnderWay under_way;
  HostedAssets hosted;

 private:
  std::atomic<size_t> next_blocking_ = 0;
};

struct Call {
  std::shared_ptr<Shared> api;
  http::Request request;
  gateway::Caller caller;
  http::Respond respond;
  std::shared_ptr<const void> held_key = nullptr;  // its Idempotency-Key, while it is under way
  std::string natural_key = {};                    // of its one command, where it came without HTTP (inbox.h); else empty

  // ?dry_run=true: nothing is appended.
  bool dry_run() const { return request.Query("dry_run") == "true"; }
  gateway::Asker asker() const { return {caller.tenant, caller.actor, request.trace_id}; }
  sql::Value tenant() const { return sql::Value::Integer(caller.tenant.value()); }
};

void Answer(Call& call, int status, const Json& body, http::Headers headers = {});
void Refuse(Call& call, const http::Problem& problem);
void Refuse(Call& call, const Error& error, http::Headers headers = {});
// 400 with the parameter's name.
http::Problem BadParameter(std::string_view name, std::string hint, int status = 400);

// The keys of the caller's tenant. On a thread that may block; cached by the keyring.
Result<const keyring::TenantKeys*> KeysOf(Call& call);

// A whole number among the query parameters, or `fallback`; none: it is malformed or out of range.
std::optional<int64_t> NumberParameter(const Call& call, std::string_view name, int64_t fallback, int64_t least, int64_t most);
// An id in the path; none: it is no number, so there is no such thing.
std::optional<uint64_t> IdParam(const Call& call, std::string_view name = "id");
// Whether the caller is of the tenant `default`, the platform's operator; and the 403 for all others.
bool IsOperator(const Call& call);
http::Problem OperatorsOnly();
// The 404 that an unknown id and another tenant's id share.
http::Problem NoSuch(std::string_view what);

// RFC 3339 in UTC: "2026-11-21T05:00:00.123456Z"; "Z" with as many digits as needed.
std::string Rfc3339(int64_t us);
// kInvalid: no RFC 3339 time with an offset.
Result<int64_t> ParseRfc3339(std::string_view text);

// The name among `known` that is nearest to `name`, if it is near enough to be meant.
std::string Nearest(std::string_view name, const std::vector<std::string>& known);

}  // namespace maily::api
