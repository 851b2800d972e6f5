// The body of every error: application/problem+json (RFC 9457) with code, message, details and traceId besides.
#pragma once

#include <string>
#include <vector>

#include "api/http/message.h"
#include "streams/base/result.h"

namespace maily::http {

// One violation: all of a request are listed at once.
struct ProblemDetail {
  std::string path;  // JSON Pointer into the body, or "line:column", or the name of a header or query parameter
  std::string code;  // stable
  std::string hint;  // for a person: what would be right
};

struct Problem {
  int status = 500;
  std::string code;     // stable, snake_case: "campaign_locked"; title and type are made of it
  std::string message;  // one sentence for a person; no SQL, path of a file, or e-mail address
  std::vector<ProblemDetail> details = {};
  Headers headers = {};  // Allow, Retry-After …
};

// {"type","title","status","code","message","detail","instance","details","traceId"}. `instance` = the request's path.
// 401 gets WWW-Authenticate, 429 and 503 get Retry-After, unless the problem has its own.
Response ToResponse(const Problem& problem, const TraceId& trace, std::string_view instance);

// What a failure means to a client: kRetry and kFenced 503, kConflict 409, kNotFound 404, kInvalid 422, the rest 500 without its
// message, which is for the log.
Problem ProblemOf(const Error& error);

}  // namespace maily::http
