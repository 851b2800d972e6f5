// Requests and responses as plain values: no handler sees the HTTP library.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "streams/base/ids.h"
#include "streams/port/env.h"

namespace maily::http {

// kOther = a method that no route can have.
enum class Method : uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions, kOther };
std::string_view MethodName(Method method);

// Header fields in their order, names in lower case. Two allocations, however many fields there are.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
    for (const auto& [name, value] : fields) Add(name, value);
  }

  void Add(std::string_view name, std::string_view value);
  // The first value, or none. `name` in lower case.
  std::optional<std::string_view> Find(std::string_view name) const;
  // The first value, or an empty string.
  std::string_view operator[](std::string_view name) const { return Find(name).value_or(std::string_view()); }
  size_t Count(std::string_view name) const;
  size_t size() const { return fields_.size(); }
  std::pair<std::string_view, std::string_view> at(size_t index) const;
  void Clear();

 private:
  struct Field {
    uint32_t name_at, name_size, value_size;  // the value follows its name
  };
  std::string bytes_;
  std::vector<Field> fields_;
};

struct Request {
  Method method = Method::kGet;
  std::string target = {};  // path and query as sent; its percent escapes are well-formed and none is %00
  Headers headers = {};
  std::string body = {};  // empty for routes that stream it
  std::string peer = {};  // IP address of who asks (forwarded.h); may be empty
  TraceId trace_id = {};  // from traceparent, or random; never zero
  std::vector<std::pair<std::string_view, std::string>> params =
      {};  // {id} in the route's pattern, decoded; names live as long as the router

  // The target up to '?', as sent.
  std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
  // The parameter of the route's pattern; empty if there is none of that name.
  std::string_view Param(std::string_view name) const;
  // The first query parameter of that name, decoded ('+' is a space), or none.
  std::optional<std::string> Query(std::string_view name) const;
  // All query parameters in their order, decoded.
  std::vector<std::pair<std::string, std::string>> QueryParams() const;
};

struct Response {
  int status = 200;
  // Without Content-Length, Date, Connection and traceparent, which the server writes. Control characters in values are left out.
  Headers headers = {};
  std::string body = {};

  static Response Json(int status, std::string body);
  static Response Text(int status, std::string body);
  static Response Html(int status, std::string body);
  // 302, or 303, 307, 308.
  static Response Redirect(std::string_view location, int status = 302);
};

// Answers one request; call it once, from any thread, at any time. Dropped without a call, the client gets 500.
using Respond = std::move_only_function<void(Response)>;
// Called on a thread of the server; must not block. What it throws becomes 500.
using Handler = std::function<void(Request, Respond)>;

// Takes a body piece by piece, for routes that do not want it whole. Made for one request, used on the server's thread of its
// connection, destroyed after OnEnd's Respond was called or after OnAbort.
class BodySink {
 public:
  virtual ~BodySink() = default;
  // At most 64 KiB. Nothing more is read from the connection until `resume` is called, once, from any thread.
  virtual void OnData(std::string chunk, Job resume) = 0;
  // The body is complete.
  virtual void OnEnd(Respond respond) = 0;
  // The connection broke, or a limit ended the request: nobody waits for an answer any more. No other call follows.
  virtual void OnAbort() = 0;
};
// A sink, or the answer with which the request is refused before its body is read. Must not block.
using OpenSink = std::function<std::variant<std::unique_ptr<BodySink>, Response>(const Request& head)>;

// Decodes %XX (and '+' if `plus_is_space`); none if an escape is malformed or gives NUL.
std::optional<std::string> PercentDecode(std::string_view text, bool plus_is_space);
// Encodes all but unreserved characters (RFC 3986 §2.3): safe in a path segment and in a query value.
std::string PercentEncode(std::string_view text);

// The trace id of a W3C traceparent header; the zero id if it is malformed.
TraceId ParseTraceparent(std::string_view header);
// "00-<trace>-<random span>-01".
std::string MakeTraceparent(const TraceId& trace);
// Random; for correlation, not for secrets. Thread: any.
TraceId NewTraceId();

}  // namespace maily::http
