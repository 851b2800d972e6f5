// One place that writes error bodies.
#include "api/http/problem.h"

#include <nlohmann/json.hpp>

namespace maily::http {
namespace {

std::string Replaced(std::string text, char from, char to) {
  for (char& c : text) c = c == from ? to : c;
  return text;
}

std::string Title(const std::string& code) {
  std::string title = Replaced(code, '_', ' ');
  if (!title.empty() && title[0] >= 'a' && title[0] <= 'z') title[0] = static_cast<char>(title[0] - ('a' - 'A'));
  return title;
}

}  // namespace

Response ToResponse(const Problem& problem, const TraceId& trace, std::string_view instance) {
  nlohmann::ordered_json body;
  body["type"] = "/api/docs#" + Replaced(problem.code, '_', '-');
  body["title"] = Title(problem.code);
  body["status"] = problem.status;
  body["code"] = problem.code;
  body["message"] = problem.message;
  body["detail"] = problem.message;
  body["instance"] = instance;
  body["details"] = nlohmann::ordered_json::array();
  for (const ProblemDetail& detail : problem.details) {
    body["details"].push_back({{"path", detail.path}, {"code", detail.code}, {"hint", detail.hint}});
  }
  body["traceId"] = trace.ToHex();

  Response response;
  response.status = problem.status;
  response.headers = problem.headers;
  response.headers.Add("content-type", "application/problem+json");
  if (problem.status == 401 && !response.headers.Find("www-authenticate")) response.headers.Add("www-authenticate", "Bearer");
  if ((problem.status == 429 || problem.status == 503) && !response.headers.Find("retry-after")) response.headers.Add("retry-after", "1");
  // Bytes of a client that are not UTF-8 are replaced.
  response.body = body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  return response;
}

Problem ProblemOf(const Error& error) {
  switch (error.code) {
    case Code::kRetry:
      return {503, "unavailable", error.message};
    case Code::kFenced:
      return {503, "unavailable", "another process leads this partition now"};
    case Code::kConflict:
      return {409, "conflict", error.message};
    case Code::kNotFound:
      return {404, "not_found", error.message};
    case Code::kInvalid:
      return {422, "invalid", error.message};
    case Code::kCorrupt:
    case Code::kDiverged:
    case Code::kFatal:
      break;
  }
  return {500, "internal", "something went wrong here; the log has the reason under this traceId"};
}

}  // namespace maily::http
