// A simulated world: the production code of log client, tasks, links, effects, read models, API and sink in one seeded thread, on disks and
// wires that fail.
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
#include "streams/adapters/sim/sim_resolver.h"
#include "streams/adapters/sim/sim_slots.h"
#include "streams/keyring/keyring.h"
#include "streams/task/host.h"
#include "streams/task/snapshots.h"
#include "tests/sim/site.h"

namespace maily::simulation {

inline constexpr uint16_t kPartitions = 3;
inline constexpr size_t kWorkers = 2;
inline constexpr size_t kConnectionsPerWorker = 2;
inline constexpr TenantId kTenant(1);

// Where mails go if there is no relay: by the DNS.
struct MxWorld {
  std::function<void(sim::SimResolver&)> zone;  // what the DNS says, to each process that begins
  smtp::Sites::PolicyOf policy_of;
  uint16_t port = 25;
};

struct WorldOptions {
  // One machine with the log on it; or several, each with a process, and the log on none of them, as a broker. The first has a site.
  size_t machines = 1;
  size_t connections_per_worker = kConnectionsPerWorker;  // to the relay; of all sites
  std::optional<MxWorld> mx = {};
  // Chance of an append to fail, and as much again to be stored and not acknowledged.
  double append_fails = 0.002;
  // Of tasks. Small, so that there are many places to die at, and a restart meets a trimmed head of commands.
  size_t cache_bytes_max = 1 << 20;
  uint64_t flush_journal_bytes = 8 << 10;
  Duration flush_interval = Seconds(5);
  Duration commands_retention = Milliseconds(50);
  task::SnapshotOptions snapshots = {.build = {}, .journal_bytes = 32 << 10, .interval = Seconds(20), .part_bytes = 4 << 10};
};

// What dies with a process.
struct Process;

class World {
 public:
  World(uint64_t seed, const WorldOptions& options);
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
              const std::function<void()>& before, TenantId tenant = kTenant);

  // The read models and the API, on machine 0; null while nobody answers there.
  Site* site() const;
  // The receiver of mails ends and begins again with other manners; what it took before it still knows.
  void ChangeReceiver(std::vector<app::SinkRule> rules, Duration delay, double drop_after_dot);
  // Full disks, of all machines and of the log.
  void SetFull(bool full);
  // Every connection breaks.
  void BreakWires() { net_.CrashAll(); }
  // Chances of a dial, from now on.
  void SetNet(double refuse, double blackhole);

  sim::Scheduler& scheduler() { return scheduler_; }
  sim::SimNet& net() { return net_; }
  // Of the process on machine 0, which runs. CHECK: mails go by the DNS.
  const smtp::Sites& mail_sites() const;
  keyring::Keyring& keyring() { return *keyring_; }
  const app::Sink& sink() const { return *sink_; }
  size_t kills() const { return kills_; }
  size_t power_cuts() const { return power_cuts_; }
  // Attempts that were open when power was cut, over all cuts, each counted as two a connection at least: of a partition without a leader
  // nobody knows.
  size_t open_at_power_cuts() const { return open_at_power_cuts_; }
  size_t stops() const { return stops_; }
  // Mails that the receiver took and hung up on.
  size_t replies_dropped() const { return replies_dropped_ + sink_->counts().dropped; }
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
  struct Folded {
    Hash128 digest;
    uint64_t commands = 0;  // that were decided
  };
  Result<Folded> Fold(PartitionId partition);
  // One past its last record.
  uint64_t JournalEnd(PartitionId partition) { return log_.Ends({Topic::kJournal, partition}).written.value(); }
  // Of every record of a partition's journal: its place, its time, its bytes.
  uint64_t JournalDigest(PartitionId partition);

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
  // Attempts that are open now, as far as leaders know.
  size_t OpenAttempts();
  void OpenKeyring();
  std::vector<PartitionId> PartitionsOf(size_t machine) const;
  // One that runs and is not stopped; starts one if there is none.
  size_t Awake();

  const WorldOptions options_;
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
  const std::string directory_;  // of what is kept in real files; gone with this
  size_t stops_ = 0;
  size_t replies_dropped_ = 0;  // of receivers before this one
  size_t stores_lost_ = 0;
  size_t kills_ = 0;
  size_t power_cuts_ = 0;
  size_t open_at_power_cuts_ = 0;
};

}  // namespace maily::simulation
