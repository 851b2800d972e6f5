// port/fetch.h over libcurl: one thread for all transfers.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/port/fetch.h"
#include "streams/port/live.h"
#include "streams/port/net.h"

namespace maily::curl {

struct FetchOptions {
  size_t body_bytes_max = 64 << 10;
  size_t header_bytes_max = 32 << 10;
  Duration connect_timeout = Seconds(20);  // look-up, TCP and TLS
  Duration total_timeout = Seconds(60);    // RFC 8461 §3.3 suggests a minute
  size_t fetches_under_way_max = 16;
  size_t fetches_waiting_max = 1024;
  // A file of PEM certificates that are trusted besides those of the system (/etc/ssl/certs).
  std::string extra_roots = {};
  bool allow_http = false;
  // Host name, in lower case -> the IP literal and port (0 = the URL's) where it is, with no look-up: for tests and fixed routes. The
  // certificate has to be for the name all the same.
  std::map<std::string, Endpoint> routes = {};
};

// TLS 1.2 at least, HTTP/1.1, no proxy whatever the environment says. Names are looked up by the system (hosts file, resolv.conf).
// What it may reach is set by the capability, for good: sandbox = IP literals on loopback, localhost, and hosts that `routes` puts there;
// no other name is looked up. held = nothing. live = all.
class CurlFetch : public Fetch {
 public:
  // kInvalid: a limit is no positive number, a route leads to no IP literal, or `extra_roots` cannot be read. kFatal: no memory.
  static Result<std::unique_ptr<CurlFetch>> Make(FetchOptions options, LiveCapability capability);
  // Waits for the thread, not for answers.
  ~CurlFetch() override;

  void Get(const std::string& url, Executor& on, FetchDone done) override;

 private:
  struct Impl;
  explicit CurlFetch(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace maily::curl
