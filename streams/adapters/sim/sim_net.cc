// A connection is two one-way streams between two sides; what travels is jobs on the network's own executor.
#include "streams/adapters/sim/sim_net.h"

#include <algorithm>

namespace maily::sim {

struct SimHost::State {
  Executor* executor;
  std::weak_ptr<SimNet::Impl> net;
  bool alive = true;
};

namespace {

using ReadDone = std::move_only_function<void(Result<std::string>)>;
using WriteDone = std::move_only_function<void(Result<void>)>;

// One end of a connection.
struct Side {
  Executor* executor = nullptr;  // used only while `open`
  Endpoint peer;
  bool open = true;        // its Connection exists and was not closed
  bool broken = false;     // the connection is reset
  bool peer_gone = false;  // the peer has closed, and all its bytes have arrived
  std::string inbox;
  size_t read_bytes_max = 0;
  ReadDone reading;       // empty: none in flight
  Duration last_arrival;  // of what this side has sent: a stream keeps its order
};

struct Wire {
  Side sides[2];
};
using WirePtr = std::shared_ptr<Wire>;

// Callbacks reach a side only while it is open.
template <class Call>
void PostTo(const WirePtr& wire, int side, Call call) {
  if (!wire->sides[side].open) return;
  wire->sides[side].executor->Post([wire, side, call = std::move(call)]() mutable {
    if (wire->sides[side].open) call();
  });
}

void AnswerRead(const WirePtr& wire, int number) {
  Side& side = wire->sides[number];
  if (!side.reading || (side.inbox.empty() && !side.broken && !side.peer_gone)) return;
  Result<std::string> result = std::string();
  if (side.broken) {
    result = Fail(Code::kRetry, "the connection to {} was reset", side.peer.ToString());
  } else {
    result = side.inbox.substr(0, side.read_bytes_max);
    side.inbox.erase(0, result->size());
  }
  PostTo(wire, number, [done = std::exchange(side.reading, nullptr), result = std::move(result)]() mutable { done(std::move(result)); });
}

void Break(const WirePtr& wire) {
  for (int side = 0; side < 2; ++side) {
    wire->sides[side].broken = true;
    AnswerRead(wire, side);
  }
}

}  // namespace

struct SimNet::Impl {
  struct Listening {
    std::shared_ptr<SimHost::State> host;
    std::function<void(std::unique_ptr<Connection>)> accept;
    Endpoint at;
  };

  Impl(Scheduler& scheduler_in, Options options_in) : scheduler(scheduler_in), options(options_in), executor(scheduler.MakeExecutor()) {}

  Duration Latency() { return scheduler.RandomDuration(options.latency_min, options.latency_max); }

  // Runs `arrive` after everything that `from` has sent before.
  void Send(Side& from, Job arrive) {
    const Duration now = scheduler.clock().Steady();
    from.last_arrival = std::max(from.last_arrival, now + Latency());
    executor->After(from.last_arrival - now, std::move(arrive));
  }

  Scheduler& scheduler;
  Options options;
  std::unique_ptr<Executor> executor;
  std::map<std::string, std::shared_ptr<Listening>> listening;  // by host:port
  uint16_t last_free_port = 40'000;
  std::vector<std::weak_ptr<Wire>> wires;
};

namespace {

class SimConnection : public Connection {
 public:
  SimConnection(std::weak_ptr<SimNet::Impl> net, WirePtr wire, int side) : net_(std::move(net)), wire_(std::move(wire)), number_(side) {}
  ~SimConnection() override { Close(); }

  void Read(size_t bytes_max, ReadDone done) override {
    MAILY_CHECK(!side().reading, "a second read of {}", side().peer.ToString());
    side().read_bytes_max = bytes_max;
    side().reading = std::move(done);
    AnswerRead(wire_, number_);
  }

  void Write(std::string bytes, WriteDone done) override {
    const auto net = net_.lock();
    if (net == nullptr || side().broken || side().peer_gone) {
      return PostTo(wire_, number_, [done = std::move(done), to = side().peer]() mutable {
        done(Fail(Code::kRetry, "the connection to {} is broken", to.ToString()));
      });
    }
    const bool breaks = net->scheduler.Chance(net->options.drop);
    if (breaks) bytes.resize(net->scheduler.Random(bytes.size() + 1));
    const int other = 1 - number_;
    for (size_t sent = 0; sent < bytes.size();) {  // in one to three pieces
      const size_t piece = net->scheduler.Chance(0.5) ? bytes.size() - sent : 1 + net->scheduler.Random(bytes.size() - sent);
      net->Send(side(), [wire = wire_, other, part = bytes.substr(sent, piece)] {
        wire->sides[other].inbox += part;
        AnswerRead(wire, other);
      });
      sent += piece;
    }
    if (breaks) {
      net->Send(side(), [wire = wire_] { Break(wire); });
      return PostTo(wire_, number_, [done = std::move(done), to = side().peer]() mutable {
        done(Fail(Code::kRetry, "the connection to {} was reset", to.ToString()));
      });
    }
    PostTo(wire_, number_, [done = std::move(done)]() mutable { done(Ok()); });
  }

  void Close() override {
    if (!side().open) return;
    side().open = false;
    const ReadDone dropped = std::exchange(side().reading, nullptr);
    if (const auto net = net_.lock()) {
      net->Send(side(), [wire = wire_, other = 1 - number_] {
        wire->sides[other].peer_gone = true;
        AnswerRead(wire, other);
      });
    }
  }

  Endpoint peer() const override { return wire_->sides[number_].peer; }

 private:
  Side& side() const { return wire_->sides[number_]; }
  const std::weak_ptr<SimNet::Impl> net_;
  const WirePtr wire_;
  const int number_;
};

class SimListener : public Listener {
 public:
  SimListener(std::weak_ptr<SimNet::Impl> net, std::shared_ptr<SimNet::Impl::Listening> listening)
      : net_(std::move(net)), listening_(std::move(listening)) {}
  ~SimListener() override {
    listening_->accept = nullptr;
    if (const auto net = net_.lock()) net->listening.erase(listening_->at.ToString());
  }
  Endpoint local() const override { return listening_->at; }

 private:
  const std::weak_ptr<SimNet::Impl> net_;
  const std::shared_ptr<SimNet::Impl::Listening> listening_;
};

}  // namespace

SimHost::SimHost(std::shared_ptr<State> state) : state_(std::move(state)) {}
SimHost::~SimHost() { state_->alive = false; }

Result<std::unique_ptr<Listener>> SimHost::Listen(const Endpoint& at, std::function<void(std::unique_ptr<Connection>)> accept) {
  const auto net = state_->net.lock();
  MAILY_CHECK(net != nullptr, "the network is gone");
  Endpoint local = at;
  if (local.port == 0) local.port = ++net->last_free_port;
  auto& listening = net->listening[local.ToString()];
  if (listening != nullptr) return Fail(Code::kConflict, "{} is taken", local.ToString());
  listening = std::make_shared<SimNet::Impl::Listening>(SimNet::Impl::Listening{state_, std::move(accept), local});
  return std::unique_ptr<Listener>(std::make_unique<SimListener>(state_->net, listening));
}

void SimHost::DialFrom(const std::string& /*local*/, const Endpoint& to, Duration timeout,
                       std::move_only_function<void(Result<std::unique_ptr<Connection>>)> done) {
  const auto net = state_->net.lock();
  MAILY_CHECK(net != nullptr, "the network is gone");
  const auto answer = [host = state_](auto callback, Result<std::unique_ptr<Connection>> result) {
    if (!host->alive) return;
    host->executor->Post([host, callback = std::move(callback), result = std::move(result)]() mutable {
      if (host->alive) callback(std::move(result));
    });
  };
  const Duration latency = net->Latency();
  if (net->scheduler.Chance(net->options.blackhole) || latency > timeout) {
    net->executor->After(timeout, [answer, done = std::move(done), to]() mutable {
      answer(std::move(done), Fail(Code::kRetry, "connecting to {} timed out", to.ToString()));
    });
    return;
  }
  const bool refused = net->scheduler.Chance(net->options.refuse);
  net->executor->After(latency, [this_net = state_->net, host = state_, answer, done = std::move(done), to, refused]() mutable {
    const auto here = this_net.lock();
    if (here == nullptr || !host->alive) return;
    const auto found = here->listening.find(to.ToString());
    if (refused || found == here->listening.end() || !found->second->host->alive) {
      return answer(std::move(done), Fail(Code::kRetry, "{} refused the connection", to.ToString()));
    }
    const std::shared_ptr<SimNet::Impl::Listening> listening = found->second;
    const auto wire = std::make_shared<Wire>();
    wire->sides[0].executor = host->executor;
    wire->sides[0].peer = to;
    wire->sides[1].executor = listening->host->executor;
    wire->sides[1].peer = {"127.0.0.1", ++here->last_free_port};
    std::erase_if(here->wires, [](const auto& each) { return each.expired(); });
    here->wires.push_back(wire);
    listening->host->executor->Post([listening, connection = std::make_unique<SimConnection>(this_net, wire, 1)]() mutable {
      if (listening->accept) listening->accept(std::move(connection));
    });
    answer(std::move(done), std::unique_ptr<Connection>(std::make_unique<SimConnection>(this_net, wire, 0)));
  });
}

SimNet::SimNet(Scheduler& scheduler, Options options) : impl_(std::make_shared<Impl>(scheduler, options)) {}

SimNet::~SimNet() {
  const auto executor = std::move(impl_->executor);  // its jobs own connections, which look for the network when they die
  const auto last = std::exchange(impl_, nullptr);
}

SimNet::Options& SimNet::options() { return impl_->options; }

std::unique_ptr<SimHost> SimNet::MakeHost(Executor& executor) {
  return std::unique_ptr<SimHost>(new SimHost(std::make_shared<SimHost::State>(SimHost::State{&executor, impl_})));
}

void SimNet::CrashAll() {
  for (const auto& each : impl_->wires) {
    if (const WirePtr wire = each.lock()) Break(wire);
  }
}

size_t SimNet::open_connections() const {
  return static_cast<size_t>(std::ranges::count_if(impl_->wires, [](const auto& each) {
    const WirePtr wire = each.lock();
    return wire != nullptr && wire->sides[0].open && wire->sides[1].open && !wire->sides[0].broken;
  }));
}

}  // namespace maily::sim
