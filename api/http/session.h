// One connection and the loop it lives on; seen by loop.cc, server.cc and session.cc only.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "api/http/problem.h"
#include "api/http/router.h"
#include "api/http/server.h"
#include "streams/observe/metrics.h"

namespace maily::http {

using SteadyTime = std::chrono::steady_clock::time_point;

// What all loops of a server share; constant after the start but for the atomics.
struct Shared {
  ServerOptions options;
  Router router;
  std::atomic<size_t> connections{0};
  std::atomic<bool> draining{false};  // answer with Connection: close, keep nothing open
  std::mutex mutex;
  std::condition_variable no_connections;  // notified, while draining, when `connections` reaches 0

  struct RouteMetrics {
    observe::Counter answers[5];  // by status class
    observe::Histogram seconds;
  };
  std::vector<RouteMetrics> route_metrics;  // by the route's index; the last one = no route
  observe::Gauge connections_metric;
  observe::Counter refused_metric;
};

class Session;

// What any thread has to say to a session, on its way to the session's own.
struct Mail {
  enum class Kind : uint8_t {
    kAnswer,
    kDropped,  // the handler let go of its Respond without an answer
    kResume,   // the sink wants more
  };
  std::shared_ptr<Session> to;
  uint64_t request = 0;  // of the session; mail about one that is over by now is ignored
  Kind kind = Kind::kAnswer;
  Response response;
};

// One thread of the server with its sessions.
struct Loop {
  explicit Loop(Shared& all) : shared(all), io(std::make_unique<boost::asio::io_context>(1)) {}

  // An answer given on the loop's own thread is delivered at once, all else through the mailbox: one wake-up for what gathers meanwhile.
  void Send(Mail mail);
  void Deliver();
  void Add(std::shared_ptr<Session> session);
  void Remove(Session* session);
  void ArmSweep();
  void Drain();

  Shared& shared;  // outlives the loop's thread; not touched after `stopped`
  std::unique_ptr<boost::asio::io_context> io;
  std::optional<boost::asio::steady_timer> sweep;
  std::chrono::microseconds sweep_interval{0};
  std::thread thread;
  std::atomic<std::thread::id> thread_id;

  std::mutex mutex;
  bool stopped = false;  // guarded by mutex, as are the following
  bool deliver_posted = false;
  std::vector<Mail> mailbox;

  std::vector<std::shared_ptr<Session>> sessions;  // all that are not closed; the loop's thread only
  std::vector<Mail> delivering;                    // the loop's thread only; kept for its capacity
};

/* A connection:
 *
 *              first byte        end of header              end of body
 *   ┌── kIdle ───────────▶ kHead ───────────▶ kBody ──────────────────┐
 *   │     ▲                  │ no body          │ ▲ resume            ▼
 *   │     │                  │             chunk▼ │            ┌▶ kWaiting
 *   │     │ kept             │                 kPaused         │      │ answer
 *   │     └──── kWriting ◀───┼───── refused ─────┴─────────────┼──────┘
 *   │               │        └─────────────────────────────────┘
 *   │ end, time-out ▼ not kept
 *   └──▶ kClosed ◀─ kLingering (the answer is out; what still arrives is discarded, so that it is not lost by a reset)
 */
enum class SessionState : uint8_t { kIdle, kHead, kBody, kPaused, kWaiting, kWriting, kLingering, kClosed };

// Held by its loop until it is closed, then by what is still in flight. All methods on the loop's thread.
class Session {
 public:
  virtual ~Session() = default;
  virtual void Start() = 0;
  virtual void OnMail(Mail& mail) = 0;
  // Ends what has lasted too long.
  virtual void OnSweep(SteadyTime now) = 0;
  // The server stops: close if idle, else after the answer.
  virtual void OnDrain() = 0;
  // Destroys the socket; pending operations are dropped with the loop's io_context. After the thread has ended.
  virtual void Abandon() = 0;

  size_t index_in_loop = 0;
  std::shared_ptr<Loop> loop;
};

std::shared_ptr<Session> MakeSession(std::shared_ptr<Loop> loop, boost::asio::ip::tcp::socket socket);

}  // namespace maily::http
