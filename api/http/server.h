// The HTTP/1.1 server: connections, limits and time-outs; what is asked goes to the router's handlers.
//
// Each connection belongs to one of the server's threads and answers its requests one after another, in order. Limits act before
// a body is read. Nothing a client sends can raise an exception out of a handler or stop the server.
#pragma once

#include <memory>
#include <string>

#include "api/http/forwarded.h"
#include "api/http/router.h"
#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/port/net.h"

namespace maily::http {

struct ServerOptions {
  Endpoint listen{"127.0.0.1", 0};  // port 0 = any free one
  size_t threads = 1;
  size_t header_bytes_max = 16 * 1024;     // request line and fields; larger: 431
  size_t connections_max = 10'000;         // one more gets 503 and is closed
  Duration idle_timeout = Seconds(75);     // between requests of a kept connection; closed without a word
  Duration header_timeout = Seconds(10);   // from the first byte (or the connect) to the end of the header; 408
  Duration body_timeout = Seconds(30);     // for a whole body, or between two pieces of a streamed one; 408
  Duration handler_timeout = Seconds(90);  // until the handler answers, or the sink resumes; 503
  Duration write_timeout = Seconds(60);    // for one response; closed
  Proxies proxies = {};                    // whose word of who asks is taken
  bool metrics = true;                     // counts into observe::Metrics::Process()
};

class Server {
 public:
  // Listens; requests may arrive before this returns. kConflict: the port is taken. kInvalid: not an address of this machine.
  static Result<std::unique_ptr<Server>> Start(ServerOptions options, Router router);
  // Stop(0).
  ~Server();

  Endpoint local() const;

  // Takes no more connections, closes idle ones, lets requests in flight be answered for up to `grace`, joins the threads.
  // Answers that come later are dropped. Thread: any but the server's; calling it again is harmless.
  void Stop(Duration grace);

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace maily::http
