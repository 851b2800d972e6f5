// Connections, listeners and dials over Asio sockets.
#include "streams/adapters/asio/asio_net.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <future>

#include "streams/adapters/asio/asio_env_internal.h"
#include "streams/observe/logging.h"

namespace maily::asio_net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr size_t kReadBytesMax = 64 * 1024;

Endpoint ToEndpoint(const tcp::endpoint& at) { return {at.address().to_string(), at.port()}; }

// The handle closes; operations in flight keep the socket's memory, and find `open` false.
class AsioConnection : public Connection {
 public:
  explicit AsioConnection(tcp::socket socket) : state_(std::make_shared<State>(std::move(socket))) {
    error_code ignored;
    state_->socket.set_option(tcp::no_delay(true), ignored);
    state_->peer = ToEndpoint(state_->socket.remote_endpoint(ignored));
  }
  ~AsioConnection() override {
    state_->owned = false;
    Close();
  }

  void Read(size_t bytes_max, std::move_only_function<void(Result<std::string>)> done) override {
    MAILY_CHECK(!state_->reading, "two reads at once");
    state_->reading = true;
    state_->read_buffer.resize(std::clamp<size_t>(bytes_max, 1, kReadBytesMax));
    state_->socket.async_read_some(asio::buffer(state_->read_buffer),
                                   [state = state_, done = std::move(done)](const error_code& ec, size_t n) mutable {
                                     state->reading = false;
                                     if (!state->owned) return;
                                     if (ec == asio::error::eof) return done(std::string());
                                     if (ec) return done(Fail(Code::kRetry, "read from {}: {}", state->peer.ToString(), ec.message()));
                                     std::string bytes = std::move(state->read_buffer);
                                     bytes.resize(n);
                                     done(std::move(bytes));
                                   });
  }

  void Write(std::string bytes, std::move_only_function<void(Result<void>)> done) override {
    MAILY_CHECK(!state_->writing, "two writes at once");
    state_->writing = true;
    state_->write_buffer = std::move(bytes);
    asio::async_write(state_->socket, asio::buffer(state_->write_buffer),
                      [state = state_, done = std::move(done)](const error_code& ec, size_t) mutable {
                        state->writing = false;
                        if (!state->owned) return;
                        if (ec) return done(Fail(Code::kRetry, "write to {}: {}", state->peer.ToString(), ec.message()));
                        done(Ok());
                      });
  }

  void Close() override {
    error_code ignored;
    state_->socket.shutdown(tcp::socket::shutdown_both, ignored);
    state_->socket.close(ignored);
  }

  Endpoint peer() const override { return state_->peer; }

 private:
  struct State {
    explicit State(tcp::socket s) : socket(std::move(s)) {}
    tcp::socket socket;
    Endpoint peer;
    std::string read_buffer;
    std::string write_buffer;
    bool reading = false;
    bool writing = false;
    bool owned = true;
  };
  std::shared_ptr<State> state_;
};

struct ListenerState : std::enable_shared_from_this<ListenerState> {
  ListenerState(asio::io_context& io, std::function<void(std::unique_ptr<Connection>)> on_accept)
      : acceptor(io), retry(io), accept(std::move(on_accept)) {}

  void AcceptNext() {
    acceptor.async_accept([self = shared_from_this()](const error_code& ec, tcp::socket socket) {
      if (!self->open) return;
      if (!ec) {
        self->accept(std::make_unique<AsioConnection>(std::move(socket)));
        if (self->open) self->AcceptNext();
        return;
      }
      // No descriptors left, or the peer was gone already: later ones may do better.
      self->retry.expires_after(std::chrono::milliseconds(10));
      self->retry.async_wait([self](const error_code& stop) {
        if (!stop && self->open) self->AcceptNext();
      });
    });
  }
  void Close() {
    open = false;
    error_code ignored;
    acceptor.close(ignored);
    retry.cancel();
  }

  tcp::acceptor acceptor;
  asio::steady_timer retry;
  std::function<void(std::unique_ptr<Connection>)> accept;
  bool open = true;
};

class AsioListener : public Listener {
 public:
  AsioListener(Worker& worker, std::shared_ptr<ListenerState> state, Endpoint local)
      : worker_(worker), state_(std::move(state)), local_(std::move(local)) {}
  ~AsioListener() override {
    if (worker_.OnThisThread()) {
      state_->Close();
      return;
    }
    // A worker that has stopped, or stops now, drops the job, which breaks the promise and ends the wait as well.
    std::promise<void> closed;
    const std::future<void> wait = closed.get_future();
    worker_.Post([state = state_, closed = std::move(closed)]() mutable {
      state->Close();
      closed.set_value();
    });
    wait.wait();
  }
  Endpoint local() const override { return local_; }

 private:
  Worker& worker_;
  const std::shared_ptr<ListenerState> state_;
  const Endpoint local_;
};

using DialDone = std::move_only_function<void(Result<std::unique_ptr<Connection>>)>;

// One attempt: look up, connect, or the time-out, whatever comes first calls `done`, once.
struct Attempt : std::enable_shared_from_this<Attempt> {
  Attempt(asio::io_context& io, std::string from, Endpoint target, DialDone on_done)
      : resolver(io), socket(io), timer(io), local(std::move(from)), to(std::move(target)), done(std::move(on_done)) {}

  void Start(Duration timeout, bool loopback) {
    loopback_only = loopback;
    timer.expires_after(std::chrono::microseconds(timeout.us));
    timer.async_wait([self = shared_from_this()](const error_code& ec) {
      if (!ec) self->Finish(Fail(Code::kRetry, "connect to {} timed out", self->to.ToString()));
    });
    resolver.async_resolve(to.host, std::to_string(to.port), tcp::resolver::numeric_service,
                           [self = shared_from_this()](const error_code& ec, const tcp::resolver::results_type& found) {
                             if (ec) return self->Finish(Fail(Code::kRetry, "look-up of {} failed: {}", self->to.host, ec.message()));
                             self->Connect(found);
                           });
  }
  void Connect(const tcp::resolver::results_type& found) {
    if (!done) return;
    std::vector<tcp::endpoint> targets;
    for (const auto& entry : found) {
      if (!loopback_only || entry.endpoint().address().is_loopback()) targets.push_back(entry.endpoint());
    }
    if (targets.empty()) return Finish(Fail(Code::kInvalid, "sandbox mode: {} is not a loopback address", to.ToString()));
    if (!local.empty()) return ConnectFrom(targets);
    asio::async_connect(socket, targets, [self = shared_from_this()](const error_code& ec, const tcp::endpoint&) { self->Connected(ec); });
  }
  void ConnectFrom(const std::vector<tcp::endpoint>& targets) {
    error_code ec;
    const auto address = asio::ip::make_address(local, ec);
    if (ec) return Finish(Fail(Code::kInvalid, "{} is no IP address", local));
    const auto target = std::ranges::find_if(targets, [&](const tcp::endpoint& one) { return one.address().is_v6() == address.is_v6(); });
    if (target == targets.end()) return Finish(Fail(Code::kRetry, "{} and {} are addresses of two families", local, to.ToString()));
    socket.open(target->protocol(), ec);
    // The port is chosen by connect: else one that leads to another host would be taken for this one as well (Linux, ip(7)).
    if (!ec) socket.set_option(asio::detail::socket_option::boolean<IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT>(true), ec);
    if (!ec) socket.bind(tcp::endpoint(address, 0), ec);
    if (ec) return Finish(Fail(Code::kRetry, "connect to {} from {} failed: {}", to.ToString(), local, ec.message()));
    socket.async_connect(*target, [self = shared_from_this()](const error_code& failed) { self->Connected(failed); });
  }
  void Connected(const error_code& ec) {
    if (ec) return Finish(Fail(Code::kRetry, "connect to {} failed: {}", to.ToString(), ec.message()));
    Finish(std::unique_ptr<Connection>(std::make_unique<AsioConnection>(std::move(socket))));
  }
  void Finish(Result<std::unique_ptr<Connection>> result) {
    if (!done) return;
    DialDone call = std::exchange(done, nullptr);
    timer.cancel();
    resolver.cancel();
    error_code ignored;
    socket.close(ignored);
    call(std::move(result));
  }

  tcp::resolver resolver;
  tcp::socket socket;
  asio::steady_timer timer;
  const std::string local;  // empty: the system chooses
  const Endpoint to;
  bool loopback_only = true;
  DialDone done;  // empty once called
};

bool MayDialInSandbox(const std::string& host) {
  error_code ec;
  const auto address = asio::ip::make_address(host, ec);
  return ec ? host == "localhost" : address.is_loopback();
}

}  // namespace

Result<std::unique_ptr<Listener>> AsioNet::Listen(const Endpoint& at, std::function<void(std::unique_ptr<Connection>)> accept) {
  error_code ec;
  const auto address = asio::ip::make_address(at.host == "localhost" ? "127.0.0.1" : at.host, ec);
  if (ec) return Fail(Code::kInvalid, "listen on {}: not an IP address", at.ToString());
  const tcp::endpoint endpoint(address, at.port);
  auto state = std::make_shared<ListenerState>(worker_.impl().io, std::move(accept));
  state->acceptor.open(endpoint.protocol(), ec);
  if (!ec) state->acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) state->acceptor.bind(endpoint, ec);
  if (!ec) state->acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec == asio::error::address_in_use) return Fail(Code::kConflict, "listen on {}: the port is taken", at.ToString());
  if (ec) return Fail(Code::kInvalid, "listen on {}: {}", at.ToString(), ec.message());
  Endpoint local = ToEndpoint(state->acceptor.local_endpoint(ec));
  worker_.Post([state] { state->AcceptNext(); });
  return std::unique_ptr<Listener>(std::make_unique<AsioListener>(worker_, std::move(state), std::move(local)));
}

void AsioDialer::DialFrom(const std::string& local, const Endpoint& to, Duration timeout, DialDone done) {
  const Mode mode = capability_.mode();
  if (mode == Mode::kHeld) {
    worker_.Post([to, done = std::move(done)]() mutable {
      done(
          Fail(Code::kInvalid, "held mode: this instance opens no connection, not to {} either; `maily arm` makes it live", to.ToString()));
    });
    return;
  }
  if (mode == Mode::kSandbox && !MayDialInSandbox(to.host)) {
    worker_.Post([to, done = std::move(done)]() mutable {
      done(Fail(Code::kInvalid, "sandbox mode: only loopback addresses may be reached, not {}; `maily arm` makes it live", to.ToString()));
    });
    return;
  }
  worker_.Post([&worker = worker_, local, to, timeout, mode, done = std::move(done)]() mutable {
    std::make_shared<Attempt>(worker.impl().io, std::move(local), std::move(to), std::move(done))->Start(timeout, mode == Mode::kSandbox);
  });
}

}  // namespace maily::asio_net
