// See world.h.
#include "tests/sim/world.h"

#include <stdlib.h>

#include <filesystem>

#include "maily/sends/v1/state.pb.h"
#include "processors/effects/clock.h"
#include "processors/effects/smtp/site_leases.h"
#include "processors/effects/starter.h"
#include "processors/pipeline.h"
#include "schemas/types.h"
#include "streams/adapters/dns/caching_resolver.h"
#include "streams/adapters/sim/sim_log_client.h"
#include "streams/base/hash.h"
#include "streams/journal/frame.h"
#include "streams/state/cache.h"
#include "streams/state/table.h"
#include "streams/task/decide.h"
#include "streams/task/snapshots.h"
#include "tests/sim/stoppable.h"

namespace maily::simulation {
namespace {

const Endpoint kRelay{"127.0.0.1", 2525};
constexpr double kStoresLost = 0.2;  // of the deaths of a machine

sim::SimLog::Options LogOptions(sim::Scheduler& scheduler, const WorldOptions& world) {
  sim::SimLog::Options options;
  options.ordered = world.machines == 1;
  options.settings.partition_count = kPartitions;
  options.settings.log_id = scheduler.entropy().NextId<LogId>();
  // Faults that an embedded log can show; those of a broker are the model's.
  options.drop = world.append_fails;
  options.store_and_fail = world.append_fails;
  return options;
}

// In memory, where there is such a place: nothing here is about the disk below SQLite.
std::string MakeDirectory() {
  std::error_code ignored;
  std::string name = std::filesystem::is_directory("/dev/shm", ignored) ? "/dev/shm" : std::filesystem::temp_directory_path().string();
  name += "/maily-sim-XXXXXX";
  MAILY_CHECK(::mkdtemp(name.data()) != nullptr, "no directory {}", name);
  return name;
}

}  // namespace

struct Process {
  Process(sim::Scheduler& scheduler, sim::SimLog& real_log, const std::vector<PartitionId>& mine, sim::SimKvStores& stores,
          sim::SimSlots& careful_slots, sim::SimSlots& smtp_slots, sim::SimNet& net, const task::Pipeline& pipeline,
          keyring::Keyring& keyring, Blobs& blobs, const WorldOptions& world, const std::string& site_directory)
      : log(real_log), attempt_slots(smtp_slots, kPartitions, scheduler.entropy()), caches(kPartitions, nullptr) {
    for (size_t w = 0; w < kWorkers; ++w) workers.push_back(std::make_unique<StoppableExecutor>(scheduler.MakeExecutor()));
    for (auto* executor : {&client, &background, &read_models, &api, &disk, &bulk})
      *executor = std::make_unique<StoppableExecutor>(scheduler.MakeExecutor());
    sender = std::make_unique<command::Sender>(log, 1 << 20);
    replies = std::make_unique<command::Replies>(10'000);
    environment = std::make_unique<task::TaskEnvironment>(task::TaskEnvironment{
        log, scheduler.clock(), scheduler.entropy(), stores, careful_slots, *sender, *replies, pipeline, &keyring, "sim", "sim"});
    environment->cache_bytes_max = world.cache_bytes_max;
    environment->flush_journal_bytes = world.flush_journal_bytes;
    environment->flush_interval = world.flush_interval;
    environment->commands_retention = world.commands_retention;
    snapshots = std::make_unique<task::Snapshots>(blobs, log, scheduler.clock(), scheduler.entropy(), *background, world.snapshots);
    environment->snapshots = snapshots.get();
    if (world.mx) OpenMx(scheduler, *world.mx);
    for (size_t w = 0; w < kWorkers; ++w) {
      hosts.push_back(net.MakeHost(*workers[w]));
      smtp::SharedOptions options;
      options.relay = kRelay;
      options.mx = mx;
      options.connections = world.connections_per_worker;
      options.tracking_base_url = "http://track.test";
      options.tick = task::kTickCommand;
      smtp.push_back(
          smtp::MakeShared(options, *hosts[w], attempt_slots, *workers[w], scheduler.clock(), scheduler.entropy(), *sender, keyring));
    }
    runner = std::make_unique<effects::Runner>(log, scheduler.clock(), [this, &scheduler](PartitionId partition, Executor& executor) {
      std::vector<std::unique_ptr<effects::Effect>> list;
      list.push_back(std::make_unique<effects::ClockEffect>(scheduler.clock(), scheduler.entropy(), executor, *sender, task::kTickCommand));
      list.push_back(
          std::make_unique<effects::StarterEffect>(effects::InstanceFacts{}, scheduler.clock(), scheduler.entropy(), executor, *sender));
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
    listener.followed = [this](PartitionId partition, state::Cache& cache) {
      smtp::ReportOpened(smtp[partition.value() % kWorkers], partition, cache);
    };
    std::vector<Executor*> executors;
    for (const auto& worker : workers) executors.push_back(worker.get());
    tails = std::make_unique<journal::Tails>(log);
    host = std::make_unique<task::Host>(*environment, *tails, executors, listener);
    host->Assign(mine);
    if (site_directory.empty()) return;
    site = std::make_unique<Site>(Site::Parts{log, *tails, *sender, *replies, keyring, scheduler.clock(), scheduler.entropy(), *read_models,
                                              *api, *disk, *bulk, site_directory});
  }
  void OpenMx(sim::Scheduler& scheduler, const MxWorld& world) {
    zone = std::make_unique<sim::SimResolver>(scheduler, sim::SimResolver::Options{});
    world.zone(*zone);
    resolver = std::make_unique<dns::CachingResolver>(*zone, *api, scheduler.clock());
    auto options = std::make_shared<smtp::MxOptions>();
    options->resolver = resolver.get();
    options->sites = std::make_shared<smtp::Sites>(world.policy_of);
    options->workers = kWorkers;
    options->port = world.port;
    options->private_allowed = true;
    const auto home = std::make_shared<smtp::SiteHome>(*sender, *replies, *workers[0], scheduler.clock(), scheduler.entropy(), kPartitions);
    site_leases = smtp::SiteLeases::Make(home, options->sites);
    options->changed = [home](const smtp::SiteChange& change) { home->Report(change); };
    mx = std::move(options);
  }
  ~Process() {
    for (const auto& worker : workers) worker->Die();
    for (const auto* executor : {&client, &background, &read_models, &api, &disk, &bulk}) (*executor)->Die();
  }
  void Stop() {
    for (const auto& worker : workers) worker->Stop();
    for (const auto* executor : {&client, &background, &read_models, &api, &disk, &bulk}) (*executor)->Stop();
  }
  void Continue() {
    for (const auto& worker : workers) worker->Continue();
    for (const auto* executor : {&client, &background, &read_models, &api, &disk, &bulk}) (*executor)->Continue();
  }

  sim::SimLogClient log;
  smtp::AttemptSlots attempt_slots;
  std::vector<state::Cache*> caches;
  std::vector<std::unique_ptr<StoppableExecutor>> workers;
  std::unique_ptr<StoppableExecutor> client;
  std::unique_ptr<StoppableExecutor> background;  // of snapshots
  std::unique_ptr<StoppableExecutor> read_models, api, disk, bulk;
  std::unique_ptr<command::Sender> sender;
  std::unique_ptr<command::Replies> replies;
  std::unique_ptr<task::Snapshots> snapshots;
  std::unique_ptr<task::TaskEnvironment> environment;
  std::unique_ptr<sim::SimResolver> zone;  // these four only where mails go by the DNS
  std::unique_ptr<dns::CachingResolver> resolver;
  std::shared_ptr<smtp::SiteLeases> site_leases;
  std::shared_ptr<const smtp::MxOptions> mx;
  std::vector<std::unique_ptr<sim::SimHost>> hosts;
  std::vector<std::shared_ptr<smtp::Shared>> smtp;
  std::unique_ptr<journal::Tails> tails;
  std::unique_ptr<task::Host> host;
  std::unique_ptr<effects::Runner> runner;  // its effects hold what the host owns
  std::unique_ptr<Site> site;
};

World::Machine::Machine(sim::Scheduler& scheduler)
    : stores(scheduler), careful_slots(scheduler, kPartitions), smtp_slots(scheduler, smtp::SlotCount(kPartitions)) {}
World::Machine::~Machine() = default;

World::World(uint64_t seed, const WorldOptions& options)
    : options_(options),
      scheduler_(seed),
      log_(scheduler_, LogOptions(scheduler_, options)),
      shared_stores_(scheduler_),
      blobs_(scheduler_),
      net_(scheduler_, {}),
      pipeline_(MakePipeline()),
      directory_(MakeDirectory()) {
  for (size_t m = 0; m < options.machines; ++m) machines_.push_back(std::make_unique<Machine>(scheduler_));
  for (uint16_t p = 0; p < kPartitions; ++p) assigned_[p] = p % options.machines;
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
  OpenKeyring();
  keyring_->Tenant(kTenant).value();
  ChangeReceiver({}, {}, 0);
}

World::~World() {
  for (const auto& machine : machines_) machine->process.reset();
  sink_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void World::ChangeReceiver(std::vector<app::SinkRule> rules, Duration delay, double drop_after_dot) {
  net_.CrashAll();
  if (sink_) replies_dropped_ += sink_->counts().dropped;
  sink_.reset();
  sink_host_.reset();
  sink_executor_ = scheduler_.MakeExecutor();
  sink_host_ = net_.MakeHost(*sink_executor_);
  app::SinkOptions options;
  options.listen = kRelay;
  options.log_path = directory_ + "/received.csv";
  options.keep_path = directory_ + "/mails";
  options.rules = std::move(rules);
  options.delay = delay;
  options.drop_after_dot = drop_after_dot;
  options.seed = scheduler_.Random(UINT64_MAX);
  sink_ = app::Sink::Start(*sink_host_, *sink_executor_, scheduler_.clock(), options).value();
}

Site* World::site() const {
  const Machine& first = *machines_[0];
  if (first.process == nullptr || first.stopped || first.process->site == nullptr || !first.process->site->ready()) return nullptr;
  return first.process->site.get();
}

const smtp::Sites& World::mail_sites() const {
  MAILY_CHECK(running() && machines_[0]->process->mx != nullptr, "no mail goes by the DNS here");
  return *machines_[0]->process->mx->sites;
}

void World::SetFull(bool full) {
  log_.SetFull(full);
  shared_stores_.SetFull(full);
  for (const auto& machine : machines_) machine->stores.SetFull(full);
}

void World::SetNet(double refuse, double blackhole) {
  net_.options().refuse = refuse;
  net_.options().blackhole = blackhole;
}

void World::OpenKeyring() {
  sim::SimKvStores& stores = machines() > 1 ? shared_stores_ : machines_[0]->stores;
  keyring_ = keyring::Keyring::Open(stores.Open("keyring", KvDurability::kOnWrite).value(), keyring::Key::From(std::string(32, 'k')),
                                    scheduler_.entropy(), {})
                 .value();
}

void World::Start(size_t machine) {
  Machine& m = *machines_[machine];
  m.process = std::make_unique<Process>(scheduler_, log_, PartitionsOf(machine), m.stores, m.careful_slots, m.smtp_slots, net_, pipeline_,
                                        *keyring_, blobs_, options_, machine == 0 ? directory_ + "/read-models" : "");
}

std::vector<PartitionId> World::PartitionsOf(size_t machine) const {
  std::vector<PartitionId> mine;
  for (uint16_t p = 0; p < kPartitions; ++p) {
    if (assigned_[p] == machine) mine.emplace_back(p);
  }
  return mine;
}

void World::Assign(PartitionId partition, size_t machine) {
  assigned_[partition.value()] = machine;
  for (size_t m = 0; m < machines(); ++m) {
    if (running(m)) machines_[m]->process->host->Assign(PartitionsOf(m));
  }
}

void World::Stop(size_t machine) {
  ++stops_;
  machines_[machine]->stopped = true;
  machines_[machine]->process->Stop();
}

void World::Continue(size_t machine) {
  if (std::exchange(machines_[machine]->stopped, false)) machines_[machine]->process->Continue();
}

size_t World::Awake() {
  std::vector<size_t> awake;
  for (size_t m = 0; m < machines(); ++m) {
    if (running(m) && !machines_[m]->stopped) awake.push_back(m);
  }
  if (!awake.empty()) return awake[scheduler_.Random(awake.size())];
  if (running(0)) {
    Continue(0);
  } else {
    Start(0);
  }
  return 0;
}

void World::Die(size_t machine, bool power) {
  Machine& m = *machines_[machine];
  // What the process still held is gone before anything else runs.
  m.process.reset();
  m.stopped = false;
  if (machines() == 1) log_.Crash(power ? sim::SimLog::Death::kPower : sim::SimLog::Death::kProcess);
  if (power) {
    m.smtp_slots.Reboot();
    m.careful_slots.Reboot();
  }
  m.stores.Crash();
  if (scheduler_.Chance(kStoresLost)) {
    ++stores_lost_;
    for (uint16_t p = 0; p < kPartitions; ++p) m.stores.Destroy(state::StoreName(PartitionId(p))).value();
  }
  if (machines() == 1) OpenKeyring();
}

void World::Kill(size_t machine) {
  ++kills_;
  Die(machine, false);
}

void World::CutPower(size_t machine) {
  ++power_cuts_;
  open_at_power_cuts_ += std::max(OpenAttempts(), 2 * kWorkers * kConnectionsPerWorker);
  Die(machine, true);
}

size_t World::OpenAttempts() {
  size_t open = 0;
  for (uint16_t p = 0; p < kPartitions; ++p) {
    state::Cache* const known = cache(PartitionId(p));
    if (known == nullptr) continue;
    state::View<sends::v1::OpenAttempt>(*known).Scan({}, {}, [&](std::string_view, const sends::v1::OpenAttempt& attempt) {
      open += attempt.status() == sends::v1::OPEN ? 1 : 0;
      return true;
    });
  }
  return open;
}

void World::Restart() {
  for (size_t m = 0; m < machines(); ++m) Die(m, false);
  for (size_t m = 0; m < machines(); ++m) Start(m);
}

uint64_t World::commands_trimmed(PartitionId partition) { return log_.Ends({Topic::kCommands, partition}).begin.value(); }

state::Cache* World::cache(PartitionId partition) {
  const Machine& m = *machines_[assigned_[partition.value()]];
  return m.process == nullptr ? nullptr : m.process->caches[partition.value()];
}
std::string World::Describe() const {
  std::string text;
  for (size_t m = 0; m < machines(); ++m) {
    text += fmt::format("\nmachine {}{}:", m, machines_[m]->stopped ? ", stopped" : "");
    if (!running(m)) continue;
    for (uint16_t p = 0; p < kPartitions; ++p) {
      const task::Task::Status status = machines_[m]->process->host->status()[p];
      text += fmt::format(" {}{} {} {}", p, assigned_[p] == m ? "*" : "", task::TaskStateName(status.state), status.error);
    }
  }
  return text;
}
bool World::AllLeading() const {
  for (uint16_t p = 0; p < kPartitions; ++p) {
    const Machine& m = *machines_[assigned_[p]];
    if (m.process == nullptr || m.process->host->status()[p].state != task::TaskState::kLeading) return false;
  }
  return true;
}

World::Decided World::Ask(TypeNumber type, const std::string& payload, PartitionId partition, const std::string& key,
                          const std::string& natural_key, const std::function<void()>& before, TenantId tenant) {
  for (;;) {
    const size_t by = Awake();
    command::Command command;
    command.id = scheduler_.entropy().NextId<CommandId>();
    command.type = type;
    command.tenant = tenant;
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
    machines_[by]->process->replies->Await(command.id, *machines_[by]->process->client, Seconds(20),
                                           [waiting](Result<command::Reply> reply) {
                                             if (reply) {
                                               waiting->reply = std::move(*reply);
                                             } else {
                                               waiting->failed = true;
                                             }
                                           });
    machines_[by]->process->sender->Send(partition, command, Sync::kSoon,
                                         [waiting](const Result<CommandAt>& sent) { waiting->failed = waiting->failed || !sent; });
    scheduler_.RunUntil(
        [&] {
          before();
          return waiting->reply.has_value() || waiting->failed || !running(by);
        },
        Seconds(60));
    if (waiting->reply) return {waiting->reply->outcome, waiting->reply->answer};
    const auto pause = [&] {  // a full disk refuses at once
      before();
      return false;
    };
    scheduler_.RunUntil(pause, Milliseconds(20));
  }
}

Hash128 World::LiveDigest(PartitionId partition) { return cache(partition)->Digest().value(); }

Result<World::Folded> World::Fold(PartitionId partition) {
  const std::string name = "fold";
  MAILY_TRY_VOID(shared_stores_.Destroy(name));
  MAILY_TRY(auto kv, shared_stores_.Open(name, KvDurability::kOnFlush));
  state::Cache cache(*kv, 64 << 20);
  task::Engine engine(pipeline_, cache, {partition, kPartitions, "sim", nullptr, nullptr});
  journal::Tail tail(log_, partition, 1 << 20);
  MAILY_TRY(auto reader, tail.Open(journal::Position{}));
  Folded folded;
  for (;;) {
    MAILY_TRY(const journal::FramePtr frame, reader->Next());
    if (frame == nullptr) break;
    MAILY_TRY_VOID(engine.Restore(*frame));
    for (const journal::Decision& decision : frame->decisions) folded.commands += decision.cause.kind == journal::CauseKind::kCommand;
  }
  MAILY_TRY(folded.digest, cache.Digest());
  return folded;
}

uint64_t World::JournalDigest(PartitionId partition) {
  const TopicPartition at{Topic::kJournal, partition};
  const Offset end = log_.Ends(at).written;
  uint64_t digest = 0;
  for (Offset from = log_.Ends(at).begin; from < end;) {
    for (const LogRecord& record : log_.Read(at, from, 1 << 20, ReadTo::kWritten).value()) {
      digest = Xxh3_64Chain(digest, record.bytes, record.offset.value());
      digest = Xxh3_64Chain(digest, {}, static_cast<uint64_t>(record.time.us));
      from = Offset(record.offset.value() + 1);
    }
  }
  return digest;
}

}  // namespace maily::simulation
