// A network in the scheduler: connections with latency, broken by chance, under the same seed.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "streams/adapters/sim/sim_env.h"
#include "streams/port/net.h"

namespace maily::sim {

class SimNet;

// What one process sees of the network: all callbacks come on the executor that it was made with. Destroy it, and the connections and
// listeners made through it, before that executor.
class SimHost : public Net, public Dialer {
 public:
  ~SimHost() override;
  Result<std::unique_ptr<Listener>> Listen(const Endpoint& at, std::function<void(std::unique_ptr<Connection>)> accept) override;
  // The wires know no local addresses.
  void DialFrom(const std::string& local, const Endpoint& to, Duration timeout,
                std::move_only_function<void(Result<std::unique_ptr<Connection>>)> done) override;

 private:
  friend class SimNet;
  struct State;
  explicit SimHost(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// The wires between hosts; outlives them all.
class SimNet {
 public:
  struct Options {
    Duration latency_min = Microseconds(20);
    Duration latency_max = Milliseconds(2);
    // Chances of a Dial: it is refused, or hears nothing until its time-out.
    double refuse = 0;
    double blackhole = 0;
    // Chance of a Write that the connection breaks: a random part of the bytes may have arrived.
    double drop = 0;
  };
  SimNet(Scheduler& scheduler, Options options);
  ~SimNet();

  Options& options();
  std::unique_ptr<SimHost> MakeHost(Executor& executor);
  // Every connection breaks: both sides see kRetry.
  void CrashAll();
  size_t open_connections() const;

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::sim
