// Real TCP: port/net.h on the event loop of a Worker. Nagle's algorithm is off on every connection.
#pragma once

#include "streams/adapters/asio/asio_env.h"
#include "streams/port/live.h"
#include "streams/port/net.h"

namespace maily::asio_net {

// Listens; connections and `accept` live on `worker`, which must outlive this and all that comes from it.
class AsioNet : public Net {
 public:
  explicit AsioNet(Worker& worker) : worker_(worker) {}
  // Thread: any. `at.host` is an IP literal or "localhost". Destroying the listener (any thread) waits until a running `accept` has
  // returned, unless it is destroyed from within.
  Result<std::unique_ptr<Listener>> Listen(const Endpoint& at, std::function<void(std::unique_ptr<Connection>)> accept) override;

 private:
  Worker& worker_;
};

// The one way out of the process. What it may reach is set by the capability, for good:
// sandbox = IP literals in 127.0.0.0/8 or ::1, and localhost; nothing else is looked up in DNS. held = nothing. live = anything.
class AsioDialer : public Dialer {
 public:
  // `worker` runs the dials and owns the connections, and must outlive both. Dials in flight go on when the dialer is destroyed.
  AsioDialer(Worker& worker, LiveCapability capability) : worker_(worker), capability_(std::move(capability)) {}
  // Thread: any; `done` runs on the worker, never within the call. The time-out covers the look-up and the connect.
  void DialFrom(const std::string& local, const Endpoint& to, Duration timeout,
                std::move_only_function<void(Result<std::unique_ptr<Connection>>)> done) override;

 private:
  Worker& worker_;
  const LiveCapability capability_;
};

}  // namespace maily::asio_net
