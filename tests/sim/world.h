// A simulated world: the production code of log client, tasks, links, effects and sink in one seeded thread, on disks and wires that fail.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/sink.h"
#include "processors/effects/runner.h"
#include "processors/effects/smtp/delivery.h"
#include "streams/adapters/sim/sim_blobs.h"
#include "streams/adapters/sim/sim_env.h"
#include "streams/adapters/sim/sim_kv.h"
#include "streams/adapters/sim/sim_log.h"
#include "streams/adapters/sim/sim_net.h"
#include "streams/adapters/sim/sim_slots.h"
#include "streams/keyring/keyring.h"
#include "streams/task/host.h"

namespace maily::simulation {

inline constexpr uint16_t kPartitions = 3;
inline constexpr size_t kWorkers = 2;
inline constexpr size_t kConnectionsPerWorker = 2;
inline constexpr TenantId kTenant(1);

// What dies with a process.
struct Process;

class World {
 public:
  // One machine with the log on it; or several, each with a process, and the log on none of them, as a broker.
  explicit World(uint64_t seed, size_t machines = 1);
  ~World();

  // Kills the process (the machine keeps running), or cuts the power; then starts it again.
  void Kill(size_t machine = 0);
  void CutPower(size_t machine = 0);
  void Start(size_t machine = 0);
  // As Kill and Start of all, but not counted: nothing is under way.
  void Restart();
  bool running(size_t machine = 0) const { return machines_[machine]->process != nullptr; }
  // Stops the process as SIGSTOP does, and lets it go on.
  void Stop(size_t machine);
  void Continue(size_t machine);
  // Who is to lead a partition from now on.
  void Assign(PartitionId partition, size_t machine);
  size_t machines() const { return machines_.size(); }

  // Sends a command until it is decided, through kills: `before` runs after every job and may kill. `natural_key` makes it idempotent.
  struct Decided {
    uint16_t outcome = 0;
    std::string answer;
  };
  Decided Ask(TypeNumber type, const std::string& payload, PartitionId partition, const std::string& key, const std::string& natural_key,
              const std::function<void()>& before);

  sim::Scheduler& scheduler() { return scheduler_; }
  keyring::Keyring& keyring() { return *keyring_; }
  app::Sink& sink() { return *sink_; }
  const task::Pipeline& pipeline() const { return pipeline_; }
  size_t kills() const { return kills_; }
  size_t power_cuts() const { return power_cuts_; }
  size_t stops() const { return stops_; }
  // Deaths after which a machine had no state stores any more: it starts from snapshots, or from the journal alone.
  size_t stores_lost() const { return stores_lost_; }
  // The state of a partition by whoever is to lead it and does; null if none does.
  state::Cache* cache(PartitionId partition);
  bool AllLeading() const;
  // Who does what, for a person.
  std::string Describe() const;
  // The log's clock from now on, beside the machine's.
  void SkewLog(Duration skew) { log_.SetStampSkew(skew); }
  // Records of commands that are not kept any more.
  uint64_t commands_trimmed(PartitionId partition);

  // Digest of a partition's state, live and folded afresh from the journal. Only while all lead and nothing is under way.
  Hash128 LiveDigest(PartitionId partition);
  Result<Hash128> FoldedDigest(PartitionId partition);

 private:
  // What outlives a process, and the process.
  struct Machine {
    explicit Machine(sim::Scheduler& scheduler);
    ~Machine();
    sim::SimKvStores stores;
    sim::SimSlots careful_slots;
    sim::SimSlots smtp_slots;
    std::unique_ptr<Process> process;
    bool stopped = false;
  };
  void Die(size_t machine, bool power);
  void OpenKeyring();
  std::vector<PartitionId> PartitionsOf(size_t machine) const;
  // One that runs and is not stopped; starts one if there is none.
  size_t Awake();

  sim::Scheduler scheduler_;
  sim::SimLog log_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::vector<size_t> assigned_ = std::vector<size_t>(kPartitions, 0);  // by partition
  sim::SimKvStores shared_stores_;                                      // of the keyring, beside several machines
  sim::SimBlobs blobs_;                                                 // of snapshots
  sim::SimNet net_;
  task::Pipeline pipeline_;
  std::unique_ptr<keyring::Keyring> keyring_;
  std::unique_ptr<Executor> sink_executor_;
  std::unique_ptr<sim::SimHost> sink_host_;
  std::unique_ptr<app::Sink> sink_;
  size_t stops_ = 0;
  size_t stores_lost_ = 0;
  size_t kills_ = 0;
  size_t power_cuts_ = 0;
};

}  // namespace maily::simulation
