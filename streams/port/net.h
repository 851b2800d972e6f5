// Byte streams to other programs: what protocols are driven by. Adapters: asio, sim. Protocol code itself is sans-I/O.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily {

struct Endpoint {
  std::string host;  // an IP literal or a name
  uint16_t port = 0;
  std::string ToString() const { return host + ":" + std::to_string(port); }
};

// One stream. Lives on one executor: all calls and all callbacks there. At most one Read and one Write in flight.
// Destroying it closes it; callbacks of operations in flight are then dropped.
class Connection {
 public:
  virtual ~Connection() = default;
  // Some bytes (1 … bytes_max); an empty string = the peer closed its side. kRetry: reset or broken.
  virtual void Read(size_t bytes_max, std::move_only_function<void(Result<std::string>)> done) = 0;
  // All of `bytes`, or an error.
  virtual void Write(std::string bytes, std::move_only_function<void(Result<void>)> done) = 0;
  virtual void Close() = 0;
  virtual Endpoint peer() const = 0;
};

// Opens outgoing connections; the one way out of the process. The real one asks for port/live.h.
class Dialer {
 public:
  virtual ~Dialer() = default;
  // kRetry: refused, unreachable, timed out. kInvalid: the mode of this instance forbids this address (sandbox: loopback only).
  void Dial(const Endpoint& to, Duration timeout, std::move_only_function<void(Result<std::unique_ptr<Connection>>)> done) {
    DialFrom("", to, timeout, std::move(done));
  }
  // From an address of this machine, an IP literal of the same family as `to`; empty: the system chooses. kRetry too: it is not of this
  // machine.
  virtual void DialFrom(const std::string& local, const Endpoint& to, Duration timeout,
                        std::move_only_function<void(Result<std::unique_ptr<Connection>>)> done) = 0;
};

// Takes incoming connections until it is destroyed.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual Endpoint local() const = 0;
};

class Net {
 public:
  virtual ~Net() = default;
  // Port 0 = any free one. kConflict: the port is taken.
  virtual Result<std::unique_ptr<Listener>> Listen(const Endpoint& at, std::function<void(std::unique_ptr<Connection>)> accept) = 0;
};

}  // namespace maily
