// See world.h.
#include "tests/sim/world.h"

#include "processors/effects/clock.h"
#include "processors/pipeline.h"
#include "streams/journal/frame.h"
#include "streams/state/cache.h"
#include "streams/task/decide.h"

namespace maily::simulation {
namespace {

const Endpoint kRelay{"127.0.0.1", 2525};

sim::SimLog::Options LogOptions(sim::Scheduler& scheduler) {
  sim::SimLog::Options options;
  options.settings.partition_count = kPartitions;
  options.settings.log_id = scheduler.entropy().NextId<LogId>();
  // Faults that an embedded log can show; those of a broker are the model's.
  options.drop = 0.002;
  options.store_and_fail = 0.002;
  return options;
}

}  // namespace

struct Process {
  Process(sim::Scheduler& scheduler, sim::SimLog& log, sim::SimKvStores& stores, sim::SimSlots& careful_slots, sim::SimSlots& smtp_slots,
          sim::SimNet& net, const task::Pipeline& pipeline, keyring::Keyring& keyring)
      : attempt_slots(smtp_slots, kPartitions), caches(kPartitions, nullptr) {
    for (size_t w = 0; w < kWorkers; ++w) workers.push_back(scheduler.MakeExecutor());
    client = scheduler.MakeExecutor();
    sender = std::make_unique<command::Sender>(log, 1 << 20);
    replies = std::make_unique<command::Replies>(10'000);
    environment = std::make_unique<task::TaskEnvironment>(task::TaskEnvironment{
        log, scheduler.clock(), scheduler.entropy(), stores, careful_slots, *sender, *replies, pipeline, &keyring, "sim", "sim"});
    environment->cache_bytes_max = 1 << 20;
    environment->flush_journal_bytes = 8 << 10;  // flush often: more places to die at
    environment->flush_interval = Seconds(5);
    environment->commands_retention = Milliseconds(50);  // short: a restart meets a trimmed head of commands
    for (size_t w = 0; w < kWorkers; ++w) {
      hosts.push_back(net.MakeHost(*workers[w]));
      smtp::SharedOptions options;
      options.relay = kRelay;
      options.connections = kConnectionsPerWorker;
      options.tracking_base_url = "http://track.test";
      smtp.push_back(
          smtp::MakeShared(options, *hosts[w], attempt_slots, *workers[w], scheduler.clock(), scheduler.entropy(), *sender, keyring));
    }
    runner = std::make_unique<effects::Runner>(log, scheduler.clock(), [this, &scheduler](PartitionId partition, Executor& executor) {
      std::vector<std::unique_ptr<effects::Effect>> list;
      list.push_back(std::make_unique<effects::ClockEffect>(scheduler.clock(), scheduler.entropy(), executor, *sender, task::kTickCommand));
      list.push_back(smtp::MakeDelivery(smtp[partition.value() % kWorkers], partition));
      return list;
    });
    task::Host::Listener listener;
    listener.led = [this](PartitionId partition, Executor& executor, Epoch epoch, const journal::Position& position, state::Cache& cache,
                          task::Credits& credits, journal::Tail& tail) {
      caches[partition.value()] = &cache;
      runner->Led(executor, {partition, epoch, position, &cache, &credits}, tail);
    };
    listener.stopped = [this](PartitionId partition) {
      caches[partition.value()] = nullptr;
      runner->Stopped(partition);
    };
    std::vector<Executor*> executors;
    for (const auto& worker : workers) executors.push_back(worker.get());
    tails = std::make_unique<journal::Tails>(log);
    host = std::make_unique<task::Host>(*environment, *tails, executors, listener);
    host->Start();
  }

  smtp::AttemptSlots attempt_slots;
  std::vector<state::Cache*> caches;
  std::vector<std::unique_ptr<Executor>> workers;
  std::unique_ptr<Executor> client;
  std::unique_ptr<command::Sender> sender;
  std::unique_ptr<command::Replies> replies;
  std::unique_ptr<task::TaskEnvironment> environment;
  std::vector<std::unique_ptr<sim::SimHost>> hosts;
  std::vector<std::shared_ptr<smtp::Shared>> smtp;
  std::unique_ptr<journal::Tails> tails;
  std::unique_ptr<task::Host> host;
  std::unique_ptr<effects::Runner> runner;  // its effects hold what the host owns
};

World::World(uint64_t seed)
    : scheduler_(seed),
      log_(scheduler_, LogOptions(scheduler_)),
      stores_(scheduler_),
      careful_slots_(scheduler_, kPartitions),
      smtp_slots_(scheduler_, smtp::SlotCount(kPartitions)),
      net_(scheduler_, {}),
      pipeline_(MakePipeline()) {
  for (uint16_t p = 0; p < kPartitions; ++p) {
    bool written = false;
    while (!written) {  // until the log takes it
      bool answered = false;
      log_.Append({Topic::kJournal, PartitionId(p)}, journal::BuildGenesis(log_.settings().log_id, PartitionId(p), {kPartitions}),
                  Sync::kNow, [&](const Result<Appended>& appended) {
                    answered = true;
                    written = appended.has_value() || log_.Ends({Topic::kJournal, PartitionId(p)}).written > Offset(0);
                  });
      scheduler_.RunUntil([&] { return answered; }, Seconds(10));
    }
  }
  keyring_ = keyring::Keyring::Open(stores_.Open("keyring", KvDurability::kOnWrite).value(), keyring::Key::From(std::string(32, 'k')),
                                    scheduler_.entropy(), {})
                 .value();
  keyring_->Tenant(kTenant).value();
  sink_executor_ = scheduler_.MakeExecutor();
  sink_host_ = net_.MakeHost(*sink_executor_);
  app::SinkOptions options;
  options.listen = kRelay;
  sink_ = app::Sink::Start(*sink_host_, *sink_executor_, scheduler_.clock(), options).value();
}

World::~World() {
  process_.reset();
  sink_.reset();
}

void World::Start() {
  process_ = std::make_unique<Process>(scheduler_, log_, stores_, careful_slots_, smtp_slots_, net_, pipeline_, *keyring_);
}

void World::Die(bool power) {
  // What the process still held is gone before anything else runs.
  process_.reset();
  log_.Crash(power ? sim::SimLog::Death::kPower : sim::SimLog::Death::kProcess);
  if (power) {
    smtp_slots_.Reboot();
    careful_slots_.Reboot();
  }
  stores_.Crash();
  keyring_ = keyring::Keyring::Open(stores_.Open("keyring", KvDurability::kOnWrite).value(), keyring::Key::From(std::string(32, 'k')),
                                    scheduler_.entropy(), {})
                 .value();
}

void World::Kill() {
  ++kills_;
  Die(false);
}

void World::CutPower() {
  ++power_cuts_;
  Die(true);
}

void World::Restart() {
  Die(false);
  Start();
}

uint64_t World::commands_trimmed(PartitionId partition) { return log_.Ends({Topic::kCommands, partition}).begin.value(); }

state::Cache* World::cache(PartitionId partition) { return process_ == nullptr ? nullptr : process_->caches[partition.value()]; }
bool World::AllLeading() const { return process_ != nullptr && process_->host->AllLeading(); }

World::Decided World::Ask(TypeNumber type, const std::string& payload, PartitionId partition, const std::string& key,
                          const std::string& natural_key, const std::function<void()>& before) {
  for (;;) {
    if (!running()) Start();
    command::Command command;
    command.id = scheduler_.entropy().NextId<CommandId>();
    command.type = type;
    command.tenant = kTenant;
    command.key = key;
    command.actor = "client";
    command.occurred_at = scheduler_.clock().Now();
    command.natural_key = natural_key;
    command.payload = payload;
    struct Waiting {
      std::optional<command::Reply> reply;
      bool failed = false;
    };
    auto waiting = std::make_shared<Waiting>();
    process_->replies->Await(command.id, *process_->client, Seconds(20), [waiting](Result<command::Reply> reply) {
      if (reply) {
        waiting->reply = std::move(*reply);
      } else {
        waiting->failed = true;
      }
    });
    process_->sender->Send(partition, command, Sync::kSoon,
                           [waiting](const Result<CommandAt>& sent) { waiting->failed = waiting->failed || !sent; });
    scheduler_.RunUntil(
        [&] {
          before();
          return waiting->reply.has_value() || waiting->failed || !running();
        },
        Seconds(60));
    if (waiting->reply) return {waiting->reply->outcome, waiting->reply->answer};
  }
}

Hash128 World::LiveDigest(PartitionId partition) { return cache(partition)->Digest().value(); }

Result<Hash128> World::FoldedDigest(PartitionId partition) {
  const std::string name = "fold";
  MAILY_TRY_VOID(stores_.Destroy(name));
  MAILY_TRY(auto kv, stores_.Open(name, KvDurability::kOnFlush));
  state::Cache cache(*kv, 64 << 20);
  task::Engine engine(pipeline_, cache, {partition, kPartitions, "sim", nullptr, nullptr});
  journal::Tail tail(log_, partition, 1 << 20);
  MAILY_TRY(auto reader, tail.Open(journal::Position{}));
  for (;;) {
    MAILY_TRY(const journal::FramePtr frame, reader->Next());
    if (frame == nullptr) break;
    MAILY_TRY_VOID(engine.Restore(*frame));
  }
  return cache.Digest();
}

}  // namespace maily::simulation
