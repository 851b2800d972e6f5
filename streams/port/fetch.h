// One page over HTTPS, for policies that others publish. Adapter: curl. Not a client for APIs: GET alone, no redirects, no cookies.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "streams/port/env.h"

namespace maily {

// How a fetch ended.
enum class FetchEnd : uint8_t {
  kAnswered,     // with any status
  kUrl,          // this is no URL of a scheme that is allowed: never try again
  kForbidden,    // the mode of this instance forbids it (sandbox: loopback only; held: nothing)
  kBusy,         // too many fetches wait
  kUnreachable,  // the name has no address, or nobody answers there
  kTls,          // no secure connection: the certificate is not for this name, not trusted, expired; or no handshake
  kTimeOut,
  kTooLarge,  // header or body is over its limit
  kBroken,    // the connection broke, or the answer is not HTTP
};
// "answered", "url", …: for log lines.
std::string_view FetchEndName(FetchEnd end);

struct Fetched {
  FetchEnd end = FetchEnd::kBroken;
  int status = 0;                 // HTTP; a redirect is a status like any other. This and the next two: only if answered
  std::string content_type = {};  // as sent: "text/plain; charset=utf-8"; empty if the server says none
  std::string body = {};
  std::string reason = {};  // why it did not answer, with the URL

  bool answered() const { return end == FetchEnd::kAnswered; }
};
using FetchDone = std::move_only_function<void(Fetched)>;

// Thread: any.
class Fetch {
 public:
  virtual ~Fetch() = default;
  // `done` runs once, on `on`, never within the call; it is dropped, not called, if the Fetch is destroyed before. `on` must outlive the
  // answer or the Fetch.
  virtual void Get(const std::string& url, Executor& on, FetchDone done) = 0;
};

inline std::string_view FetchEndName(FetchEnd end) {
  switch (end) {
    case FetchEnd::kAnswered:
      return "answered";
    case FetchEnd::kUrl:
      return "url";
    case FetchEnd::kForbidden:
      return "forbidden";
    case FetchEnd::kBusy:
      return "busy";
    case FetchEnd::kUnreachable:
      return "unreachable";
    case FetchEnd::kTls:
      return "tls";
    case FetchEnd::kTimeOut:
      return "time_out";
    case FetchEnd::kTooLarge:
      return "too_large";
    case FetchEnd::kBroken:
      return "broken";
  }
  return "broken";
}

}  // namespace maily
