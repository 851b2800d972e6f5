// Threads, the acceptor, and the end of both.
#include "api/http/server.h"

#include <pthread.h>

#include <boost/asio/post.hpp>

#include "api/http/session.h"
#include "streams/observe/logging.h"

namespace maily::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using observe::Level;
using observe::Log;

// Often enough that a time-out is late by a quarter at most.
std::chrono::microseconds SweepInterval(const ServerOptions& options) {
  const Duration least =
      std::min({options.idle_timeout, options.header_timeout, options.body_timeout, options.handler_timeout, options.write_timeout});
  return std::chrono::microseconds(std::clamp<int64_t>(least.us / 4, 5'000, 500'000));
}

void MakeMetrics(Shared& shared) {
  observe::Metrics& metrics = observe::Metrics::Process();
  static constexpr const char* kClasses[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
  const auto add = [&](const std::string& method, const std::string& route) {
    Shared::RouteMetrics& made = shared.route_metrics.emplace_back();
    for (size_t i = 0; i < 5; ++i) {
      made.answers[i] = metrics.AddCounter("maily_http_responses_total", "Answers by route and class of status.",
                                           {{"method", method}, {"route", route}, {"status", kClasses[i]}});
    }
    made.seconds = metrics.AddHistogram("maily_http_request_seconds", "Time from a request's first byte to its answer.",
                                        observe::LatencyBounds(), {{"method", method}, {"route", route}});
  };
  for (const auto& route : shared.router.rows()) add(std::string(MethodName(route->method)), route->pattern);
  add("none", "none");
  shared.connections_metric = metrics.AddGauge("maily_http_connections", "Open connections of clients.");
  shared.refused_metric = metrics.AddCounter("maily_http_connections_refused_total", "Connections refused because there were too many.");
}

}  // namespace

struct Server::Impl {
  Shared shared;
  std::vector<std::shared_ptr<Loop>> loops;
  std::optional<tcp::acceptor> acceptor;  // on loops[0]
  std::optional<asio::steady_timer> accept_retry;
  size_t next_loop = 0;
  Endpoint local;
  std::mutex stop_mutex;
  bool stopped = false;  // guarded by stop_mutex

  void AcceptNext() {
    const std::shared_ptr<Loop> loop = loops[next_loop];
    next_loop = (next_loop + 1) % loops.size();
    acceptor->async_accept(*loop->io, [this, loop](const error_code& ec, tcp::socket socket) {
      if (shared.draining) return;
      if (!ec) {
        Take(loop, std::move(socket));
        return AcceptNext();
      }
      // No descriptors left, or the peer was gone already: later ones may do better.
      accept_retry->expires_after(std::chrono::milliseconds(10));
      accept_retry->async_wait([this](const error_code& stop) {
        if (!stop) AcceptNext();
      });
    });
  }

  void Take(const std::shared_ptr<Loop>& loop, tcp::socket socket) {
    if (shared.connections.fetch_add(1) >= shared.options.connections_max) {
      shared.connections.fetch_sub(1);
      shared.refused_metric.Add();
      static constexpr std::string_view kBusy =
          "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
      error_code ignored;
      socket.non_blocking(true, ignored);
      socket.write_some(asio::buffer(kBusy.data(), kBusy.size()), ignored);
      return;
    }
    shared.connections_metric.Add(1);
    asio::post(*loop->io, [loop, socket = std::move(socket)]() mutable { loop->Add(MakeSession(loop, std::move(socket))); });
  }

  static void RunLoop(Loop& loop, size_t index) {
    pthread_setname_np(pthread_self(), fmt::format("http-{}", index).c_str());
    loop.thread_id = std::this_thread::get_id();
    for (;;) {
      try {
        loop.io->run();
        return;
      } catch (const std::exception& e) {
        Log(Level::kError, "an HTTP connection threw", {{"error", e.what()}});
      }
    }
  }
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() { Stop({}); }
Endpoint Server::local() const { return impl_->local; }

Result<std::unique_ptr<Server>> Server::Start(ServerOptions options, Router router) {
  auto impl = std::make_unique<Impl>();
  impl->shared.options = options;
  impl->shared.router = std::move(router);
  if (options.metrics) MakeMetrics(impl->shared);
  for (size_t i = 0; i < std::max<size_t>(options.threads, 1); ++i) {
    auto& loop = impl->loops.emplace_back(std::make_shared<Loop>(impl->shared));
    loop->sweep_interval = SweepInterval(options);
    loop->sweep.emplace(*loop->io);
  }

  const std::string at = options.listen.ToString();
  error_code ec;
  const auto address = asio::ip::make_address(options.listen.host == "localhost" ? "127.0.0.1" : options.listen.host, ec);
  if (ec) return Fail(Code::kInvalid, "listen on {}: not an IP address", at);
  const tcp::endpoint endpoint(address, options.listen.port);
  tcp::acceptor& acceptor = impl->acceptor.emplace(*impl->loops[0]->io);
  impl->accept_retry.emplace(*impl->loops[0]->io);
  acceptor.open(endpoint.protocol(), ec);
  if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) acceptor.bind(endpoint, ec);
  if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec == asio::error::address_in_use) return Fail(Code::kConflict, "listen on {}: the port is taken by another program", at);
  if (ec) return Fail(Code::kInvalid, "listen on {}: {}", at, ec.message());
  const tcp::endpoint bound = acceptor.local_endpoint(ec);
  impl->local = {bound.address().to_string(), bound.port()};

  impl->AcceptNext();
  for (size_t i = 0; i < impl->loops.size(); ++i) {
    Loop& loop = *impl->loops[i];
    loop.ArmSweep();  // keeps the loop running as well
    loop.thread = std::thread([&loop, i] { Impl::RunLoop(loop, i); });
  }
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

void Server::Stop(Duration grace) {
  Impl& impl = *impl_;
  const std::lock_guard once(impl.stop_mutex);
  if (impl.stopped) return;
  impl.stopped = true;

  // 1. Nothing new, and what is idle goes.
  impl.shared.draining = true;
  asio::post(*impl.loops[0]->io, [&impl] {
    error_code ignored;
    impl.acceptor->close(ignored);
    impl.accept_retry->cancel();
  });
  for (const auto& loop : impl.loops) asio::post(*loop->io, [loop = loop.get()] { loop->Drain(); });

  // 2. What is asked already gets its answer.
  {
    std::unique_lock lock(impl.shared.mutex);
    impl.shared.no_connections.wait_for(lock, std::chrono::microseconds(grace.us), [&] { return impl.shared.connections == 0; });
  }

  // 3. The threads end; answers that come now find `stopped`.
  for (const auto& loop : impl.loops) loop->io->stop();
  for (const auto& loop : impl.loops) loop->thread.join();
  impl.acceptor.reset();
  impl.accept_retry.reset();
  for (const auto& loop : impl.loops) {
    std::vector<Mail> dropped;
    {
      const std::lock_guard lock(loop->mutex);
      loop->stopped = true;
      dropped.swap(loop->mailbox);
    }
    loop->thread_id = std::thread::id();
  }
  // 4. Sockets before the io_context that serves them; sessions may live on in the hands of late answers.
  for (const auto& loop : impl.loops) {
    for (const auto& session : loop->sessions) session->Abandon();
    impl.shared.connections_metric.Add(-static_cast<int64_t>(loop->sessions.size()));
    loop->sessions.clear();
    loop->sweep.reset();
  }
  for (const auto& loop : impl.loops) loop->io.reset();
}

}  // namespace maily::http
