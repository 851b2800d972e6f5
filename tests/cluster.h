// For tests: several processes over one simulated log, each on a machine with stores of its own; their noun is a number a key.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "streams/adapters/sim/sim_blobs.h"
#include "streams/adapters/sim/sim_env.h"
#include "streams/adapters/sim/sim_kv.h"
#include "streams/adapters/sim/sim_log.h"
#include "streams/adapters/sim/sim_log_client.h"
#include "streams/adapters/sim/sim_slots.h"
#include "streams/task/counters.h"
#include "streams/task/decide.h"
#include "streams/task/host.h"
#include "streams/task/snapshots.h"

namespace maily::task {
inline constexpr uint16_t kPartitions = 3;

inline std::vector<PartitionId> Some(std::initializer_list<uint16_t> numbers) { return {numbers.begin(), numbers.end()}; }
inline std::vector<PartitionId> All() { return Some({0, 1, 2}); }

// A machine: what outlives the process, and the process.
struct Machine {
  Machine(sim::Scheduler& scheduler_in, sim::SimLog& log_in, const Pipeline& pipeline_in)
      : scheduler(scheduler_in), log(log_in), pipeline(pipeline_in), stores(scheduler), slots(scheduler, kPartitions) {}

  struct Process {
    explicit Process(Machine& machine)
        : executor(machine.scheduler.MakeExecutor()),
          background(machine.scheduler.MakeExecutor()),
          log(machine.log),
          sender(log, 1 << 20),
          replies(1'000),
          environment{log,
                      machine.scheduler.clock(),
                      machine.scheduler.entropy(),
                      machine.stores,
                      machine.slots,
                      sender,
                      replies,
                      machine.pipeline,
                      nullptr,
                      "test",
                      "test"} {
      environment.cache_bytes_max = 64 << 10;
      environment.flush_journal_bytes = 1 << 10;
      environment.flush_interval = Seconds(2);
      if (machine.blobs != nullptr) {
        snapshots = std::make_unique<Snapshots>(*machine.blobs, log, machine.scheduler.clock(), machine.scheduler.entropy(), *background,
                                                machine.snapshot_options);
        environment.snapshots = snapshots.get();
      }
      Host::Listener listener;
      listener.led = [this](PartitionId partition, Executor&, Epoch, const journal::Position&, state::Cache& cache, Credits&,
                            journal::Tail&) { caches[partition.value()] = &cache; };
      listener.stopped = [this](PartitionId partition) { caches[partition.value()] = nullptr; };
      tails = std::make_unique<journal::Tails>(log);
      host = std::make_unique<Host>(environment, *tails, std::vector<Executor*>{executor.get()}, listener);
    }
    std::unique_ptr<Executor> executor;
    std::unique_ptr<Executor> background;  // of snapshots
    sim::SimLogClient log;
    command::Sender sender;
    command::Replies replies;
    TaskEnvironment environment;
    std::unique_ptr<Snapshots> snapshots;
    std::array<state::Cache*, kPartitions> caches{};
    std::unique_ptr<journal::Tails> tails;
    std::unique_ptr<Host> host;
  };

  void Start(const std::vector<PartitionId>& mine) {
    process = std::make_unique<Process>(*this);
    process->host->Assign(mine);
  }
  void Kill() {
    process.reset();
    stores.Crash();
  }
  // Only while no process runs.
  void LoseStores() {
    for (uint16_t p = 0; p < kPartitions; ++p) stores.Destroy(state::StoreName(PartitionId(p))).value();
  }
  Task::Status Of(uint16_t partition) const { return process->host->status()[partition]; }
  bool Leads(uint16_t partition) const { return process != nullptr && Of(partition).state == TaskState::kLeading; }

  sim::Scheduler& scheduler;
  sim::SimLog& log;
  const Pipeline& pipeline;
  sim::SimKvStores stores;
  sim::SimSlots slots;
  sim::SimBlobs* blobs = nullptr;  // where snapshots are; null: there are none
  SnapshotOptions snapshot_options;
  std::unique_ptr<Process> process;
};

class Cluster {
 public:
  explicit Cluster(uint64_t seed, size_t machines, bool faults)
      : scheduler_(seed), log_(scheduler_, LogOptions(scheduler_)), pipeline_(CounterPipeline()) {
    for (uint16_t p = 0; p < kPartitions; ++p) {
      log_.Append({Topic::kJournal, PartitionId(p)}, journal::BuildGenesis(log_.settings().log_id, PartitionId(p), {kPartitions}),
                  Sync::kNow, [](const Result<Appended>&) {});
    }
    scheduler_.RunFor(Seconds(1));
    if (faults) {
      log_.options().drop = log_.options().store_and_fail = log_.options().delay_and_fail = log_.options().duplicate = 0.01;
      log_.options().no_offset = 0.02;
    }
    for (size_t m = 0; m < machines; ++m) machines_.push_back(std::make_unique<Machine>(scheduler_, log_, pipeline_));
  }
  ~Cluster() {
    for (const auto& machine : machines_) machine->process.reset();
  }

  Machine& operator[](size_t m) { return *machines_[m]; }
  sim::Scheduler& scheduler() { return scheduler_; }
  sim::SimLog& log() { return log_; }
  bool Until(const std::function<bool()>& reached, Duration limit = Seconds(60)) { return scheduler_.RunUntil(reached, limit); }

  // Asks machine `m` to add 1 to `name`, and waits there for the answer.
  command::Reply Ask(size_t m, const std::string& name, const std::string& natural_key) {
    Machine::Process& process = *machines_[m]->process;
    task::Add add;
    add.name = name;
    add.n = 1;
    const std::string payload = add.SerializeAsString();
    command::Command command;
    command.id = scheduler_.entropy().NextId<CommandId>();
    command.type = TypeNumberOf<task::Add>();
    command.tenant = TenantId(1);
    command.key = name;
    command.natural_key = natural_key;
    command.payload = payload;
    std::optional<Result<command::Reply>> reply;
    process.replies.Await(command.id, *process.executor, Seconds(20), [&](Result<command::Reply> got) { reply = std::move(got); });
    process.sender.Send(PartitionOf(name, kPartitions), command, Sync::kSoon, [](const Result<CommandAt>&) {});
    Until([&] { return reply.has_value(); });
    EXPECT_TRUE(reply && *reply) << "no reply";
    return reply && *reply ? **reply : command::Reply();
  }

  // Asks machine `m` to add 1 to `name`, under a key of its own; counts it once its append is known to be durable.
  void Add1(size_t m, const std::string& name) {
    task::Add add;
    add.name = name;
    add.n = 1;
    const std::string payload = add.SerializeAsString();
    const std::string natural_key = fmt::format("{}", ++keys_);
    command::Command command;
    command.id = scheduler_.entropy().NextId<CommandId>();
    command.type = TypeNumberOf<task::Add>();
    command.tenant = TenantId(1);
    command.key = name;
    command.natural_key = natural_key;
    command.payload = payload;
    machines_[m]->process->sender.Send(PartitionOf(name, kPartitions), command, Sync::kNow,
                                       [this, name](const Result<CommandAt>& at) { at ? ++durable_[name] : ++unsure_[name]; });
  }

  // What the journal of all partitions adds up to, by a fold of its own.
  std::map<std::string, uint64_t> Totals() {
    std::map<std::string, uint64_t> totals;
    for (uint16_t p = 0; p < kPartitions; ++p) {
      journal::Tail tail(log_, PartitionId(p), 0);
      journal::Position begin;
      begin.log_id = log_.settings().log_id;
      begin.partition = PartitionId(p);
      auto reader = tail.Open(begin);
      EXPECT_TRUE(reader) << reader.error().ToString();
      std::set<CommandAt> decided;
      for (;;) {
        auto frame = (*reader)->Next();
        EXPECT_TRUE(frame) << frame.error().ToString();
        if (!frame || *frame == nullptr) break;
        for (const journal::Decision& decision : (*frame)->decisions) {
          for (const journal::Event& event : decision.events) {
            Added added;
            if (event.type == TypeNumberOf<Added>() && added.ParseFromArray(event.payload.data(), static_cast<int>(event.payload.size())))
              totals[added.name] += added.n;
          }
          if (decision.cause.kind == journal::CauseKind::kCommand) {
            EXPECT_TRUE(decided.insert(decision.cause.at).second) << "a command was decided twice";
          }
        }
      }
    }
    return totals;
  }
  const std::map<std::string, uint64_t>& durable() const { return durable_; }
  uint64_t unsure(const std::string& name) const { return unsure_.contains(name) ? unsure_.at(name) : 0; }

 private:
  static sim::SimLog::Options LogOptions(sim::Scheduler& scheduler) {
    sim::SimLog::Options options;
    options.settings.partition_count = kPartitions;
    options.settings.log_id = scheduler.entropy().NextId<LogId>();
    options.ordered = false;
    return options;
  }
  sim::Scheduler scheduler_;
  sim::SimLog log_;
  const Pipeline pipeline_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::map<std::string, uint64_t> durable_;
  std::map<std::string, uint64_t> unsure_;
  uint64_t keys_ = 0;
};

inline std::string DigestOf(Machine& machine, uint16_t partition) {
  const auto digest = machine.process->caches[partition]->Digest();
  EXPECT_TRUE(digest) << digest.error().ToString();
  return fmt::format("{:x}-{:x}", digest->high, digest->low);
}

}  // namespace maily::task
