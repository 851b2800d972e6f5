// Several processes over one log: followers, hand-over, takeover, two that both believe they own a partition.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "streams/adapters/sim/sim_env.h"
#include "streams/adapters/sim/sim_kv.h"
#include "streams/adapters/sim/sim_log.h"
#include "streams/adapters/sim/sim_log_client.h"
#include "streams/adapters/sim/sim_slots.h"
#include "streams/task/counters.h"
#include "streams/task/decide.h"
#include "streams/task/host.h"

namespace maily::task {
namespace {

constexpr uint16_t kPartitions = 3;

std::vector<PartitionId> Some(std::initializer_list<uint16_t> numbers) { return {numbers.begin(), numbers.end()}; }
std::vector<PartitionId> All() { return Some({0, 1, 2}); }

// A machine: what outlives the process, and the process.
struct Machine {
  Machine(sim::Scheduler& scheduler_in, sim::SimLog& log_in, const Pipeline& pipeline_in)
      : scheduler(scheduler_in), log(log_in), pipeline(pipeline_in), stores(scheduler), slots(scheduler, kPartitions) {}

  struct Process {
    explicit Process(Machine& machine)
        : executor(machine.scheduler.MakeExecutor()),
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
      Host::Listener listener;
      listener.led = [this](PartitionId partition, Executor&, Epoch, const journal::Position&, state::Cache& cache, Credits&,
                            journal::Tail&) { caches[partition.value()] = &cache; };
      listener.stopped = [this](PartitionId partition) { caches[partition.value()] = nullptr; };
      tails = std::make_unique<journal::Tails>(log);
      host = std::make_unique<Host>(environment, *tails, std::vector<Executor*>{executor.get()}, listener);
    }
    std::unique_ptr<Executor> executor;
    sim::SimLogClient log;
    command::Sender sender;
    command::Replies replies;
    TaskEnvironment environment;
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
  Task::Status Of(uint16_t partition) const { return process->host->status()[partition]; }
  bool Leads(uint16_t partition) const { return process != nullptr && Of(partition).state == TaskState::kLeading; }

  sim::Scheduler& scheduler;
  sim::SimLog& log;
  const Pipeline& pipeline;
  sim::SimKvStores stores;
  sim::SimSlots slots;
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

std::string DigestOf(Machine& machine, uint16_t partition) {
  const auto digest = machine.process->caches[partition]->Digest();
  EXPECT_TRUE(digest) << digest.error().ToString();
  return fmt::format("{:x}-{:x}", digest->high, digest->low);
}

TEST(Takeover, AFollowerIsWhereTheOwnerIsAndLeadsWhenTold) {
  Cluster cluster(1, 2, /*faults=*/false);
  cluster[0].Start(All());
  cluster[1].Start({});
  ASSERT_TRUE(cluster.Until([&] { return cluster[0].Leads(0) && cluster[0].Leads(1) && cluster[0].Leads(2); }));
  for (int i = 0; i < 300; ++i) {
    cluster.Add1(i % 2, fmt::format("n{}", i % 7));
    cluster.scheduler().RunFor(Milliseconds(10));
  }
  cluster.scheduler().RunFor(Seconds(3));
  std::vector<std::string> digests;
  for (uint16_t p = 0; p < kPartitions; ++p) {
    EXPECT_EQ(cluster[1].Of(p).state, TaskState::kFollowing);
    EXPECT_EQ(cluster[1].Of(p).lsn, cluster[0].Of(p).lsn);
    EXPECT_EQ(cluster[1].Of(p).epoch, cluster[0].Of(p).epoch);
    digests.push_back(DigestOf(cluster[0], p));
  }
  // Handed over one by one: the old owner follows, the new one has the same state.
  cluster[0].process->host->Assign(Some({0, 1}));
  cluster[1].process->host->Assign(Some({2}));
  ASSERT_TRUE(cluster.Until([&] { return cluster[1].Leads(2) && cluster[0].Of(2).state == TaskState::kFollowing; }));
  EXPECT_EQ(DigestOf(cluster[1], 2), digests[2]);
  EXPECT_TRUE(cluster[0].Leads(0) && cluster[0].Leads(1));
  // The owner dies; nobody is asked to wait.
  cluster[0].Kill();
  cluster[1].process->host->Assign(All());
  ASSERT_TRUE(cluster.Until([&] { return cluster[1].Leads(0) && cluster[1].Leads(1) && cluster[1].Leads(2); }, Seconds(1)));
  for (uint16_t p = 0; p < kPartitions; ++p) EXPECT_EQ(DigestOf(cluster[1], p), digests[p]) << p;
  // It comes back with what its store had, and follows.
  cluster[0].Start({});
  cluster.Add1(0, "late");
  ASSERT_TRUE(cluster.Until([&] { return cluster.Totals()["late"] == 1; }));
  cluster.scheduler().RunFor(Seconds(1));
  for (uint16_t p = 0; p < kPartitions; ++p) EXPECT_EQ(cluster[0].Of(p).lsn, cluster[1].Of(p).lsn) << p;
}

TEST(Takeover, AnAnswerComesWhereverItWasAsked) {
  Cluster cluster(3, 2, /*faults=*/false);
  cluster[0].Start(Some({0, 2}));
  cluster[1].Start(Some({1}));
  ASSERT_TRUE(cluster.Until([&] { return cluster[0].Leads(0) && cluster[1].Leads(1) && cluster[0].Leads(2); }));
  std::map<std::string, int> totals;
  for (int i = 0; i < 60; ++i) {
    const std::string name = fmt::format("n{}", i % 5);
    EXPECT_EQ(cluster.Ask(static_cast<size_t>(i % 2), name, fmt::format("key {}", i)).answer,
              fmt::format("{{\"total\":{}}}", ++totals[name]));
  }
  const command::Reply again = cluster.Ask(1, "n0", "key 0");
  EXPECT_EQ(again.answer, "{\"total\":1}");
  EXPECT_EQ(again.outcome, static_cast<uint16_t>(journal::Outcome::kDuplicate));
  EXPECT_EQ(again.first, static_cast<uint16_t>(journal::Outcome::kDone));
}

TEST(Takeover, AnIdleOwnerLearnsThatAnotherOneLeads) {
  Cluster cluster(2, 2, /*faults=*/false);
  cluster[0].Start(All());
  ASSERT_TRUE(cluster.Until([&] { return cluster[0].Leads(0); }));
  cluster[1].Start(All());
  ASSERT_TRUE(cluster.Until([&] { return cluster[1].Leads(0); }));
  cluster[0].process->host->Assign(All());  // told again: still the old owner in its own eyes, or claiming anew
  cluster[1].process->host->Assign({});
  ASSERT_TRUE(cluster.Until([&] { return cluster[0].Leads(0) && cluster[1].Of(0).state == TaskState::kFollowing; }));
  cluster.scheduler().RunFor(Seconds(30));
  EXPECT_TRUE(cluster[0].Leads(0) && cluster[0].Leads(1) && cluster[0].Leads(2)) << "nobody disputes it any more";
}

// Assignments that overlap and leave gaps, deaths and returns, faults of the log: what was acknowledged is decided once.
void Play(uint64_t seed) {
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Cluster cluster(seed, 3, /*faults=*/true);
  sim::Scheduler& chance = cluster.scheduler();
  const auto random_set = [&] {
    std::vector<PartitionId> set;
    for (uint16_t p = 0; p < kPartitions; ++p) {
      if (chance.Chance(0.5)) set.emplace_back(p);
    }
    return set;
  };
  for (size_t m = 0; m < 3; ++m) cluster[m].Start(random_set());
  for (int step = 0; step < 200; ++step) {
    const size_t m = chance.Random(3);
    Machine& machine = cluster[m];
    if (machine.process == nullptr) {
      if (chance.Chance(0.3)) machine.Start(random_set());
    } else if (chance.Chance(0.03)) {
      machine.Kill();
    } else if (chance.Chance(0.1)) {
      machine.process->host->Assign(random_set());
    } else {
      for (uint64_t n = chance.Random(4); n-- > 0;) cluster.Add1(m, fmt::format("n{}", chance.Random(5)));
    }
    chance.RunFor(chance.RandomDuration(Milliseconds(1), Milliseconds(500)));
  }
  cluster.log().options().drop = cluster.log().options().store_and_fail = cluster.log().options().delay_and_fail = 0;
  for (size_t m = 0; m < 3; ++m) {
    if (cluster[m].process == nullptr) cluster[m].Start({});
    cluster[m].process->host->Assign(m == 0 ? All() : Some({}));
  }
  // Liveness: one owner, everything decided, everyone in the same place.
  const auto settled = [&] {
    for (uint16_t p = 0; p < kPartitions; ++p) {
      if (!cluster[0].Leads(p) || cluster[0].Of(p).command_lag > 0) return false;
      for (size_t m = 1; m < 3; ++m) {
        if (cluster[m].Of(p).state != TaskState::kFollowing || cluster[m].Of(p).lsn != cluster[0].Of(p).lsn) return false;
      }
    }
    return true;
  };
  chance.RunFor(Seconds(20));
  const auto state = [&] {
    std::string text;
    for (size_t m = 0; m < 3; ++m) {
      for (uint16_t p = 0; p < kPartitions; ++p) {
        const Task::Status status = cluster[m].Of(p);
        text += fmt::format("\nmachine {} partition {}: {} epoch {} lsn {} lag {} {}", m, p, TaskStateName(status.state), status.epoch,
                            status.lsn, status.command_lag, status.error);
      }
    }
    return text;
  };
  ASSERT_TRUE(cluster.Until(settled, Seconds(120))) << state();
  const auto totals = cluster.Totals();
  for (const auto& [name, count] : cluster.durable()) {
    const uint64_t total = totals.contains(name) ? totals.at(name) : 0;
    EXPECT_GE(total, count) << name << " lost something acknowledged";
    EXPECT_LE(total, count + cluster.unsure(name)) << name << " was added to twice";
  }
  for (uint16_t p = 0; p < kPartitions; ++p) {
    const std::string digest = DigestOf(cluster[0], p);
    cluster[0].process->host->Assign({});
    cluster[1].process->host->Assign(All());
    ASSERT_TRUE(cluster.Until([&] { return cluster[1].Leads(p); }));
    EXPECT_EQ(DigestOf(cluster[1], p), digest) << "partition " << p;
    cluster[1].process->host->Assign({});
    cluster[0].process->host->Assign(All());
    ASSERT_TRUE(cluster.Until([&] {
      return cluster[0].Leads(0) && cluster[0].Leads(1) && cluster[0].Leads(2) && !cluster[1].Leads(0) && !cluster[1].Leads(1) &&
             !cluster[1].Leads(2);
    }));
  }
}

TEST(Takeover, WhateverAssignmentSaysEachCommandIsDecidedOnce) {
  const char* from = std::getenv("MAILY_SEED");
  const char* count = std::getenv("MAILY_SEEDS");
  const uint64_t first = from == nullptr ? 1 : std::strtoull(from, nullptr, 10);
  const uint64_t last = first + (count == nullptr ? 40 : std::strtoull(count, nullptr, 10));
  for (uint64_t seed = first; seed < last && !HasFailure(); ++seed) Play(seed);
}

}  // namespace
}  // namespace maily::task
