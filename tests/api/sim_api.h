// A Maily without sockets for tests of the API: the production log client, tasks, pipeline, read models and gateway in one seeded
// thread, on a log that lives in memory. Time is virtual: Run lets it pass.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/gateway/auth.h"
#include "api/gateway/gateway.h"
#include "api/http/message.h"
#include "processors/pipeline.h"
#include "projections/projector/projection.h"
#include "projections/read_models.h"
#include "projections/sql/sqlite/sqlite.h"
#include "schemas/keys.h"
#include "schemas/types.h"
#include "streams/adapters/sim/sim_env.h"
#include "streams/adapters/sim/sim_kv.h"
#include "streams/adapters/sim/sim_log.h"
#include "streams/adapters/sim/sim_slots.h"
#include "streams/keyring/keyring.h"
#include "streams/task/host.h"

namespace maily::testing {

class SimApi {
 public:
  static constexpr uint16_t kPartitions = 4;
  static constexpr TenantId kTenant{1};

  explicit SimApi(uint64_t seed = 1) : scheduler(seed), log(scheduler, LogOptions()), stores(scheduler), slots(scheduler, kPartitions) {
    char name[] = "/tmp/maily-api-XXXXXX";
    directory_ = ::mkdtemp(name);
    for (uint16_t p = 0; p < kPartitions; ++p) {
      log.Append({Topic::kJournal, PartitionId(p)}, journal::BuildGenesis(log.settings().log_id, PartitionId(p), {kPartitions}), Sync::kNow,
                 [](const Result<Appended>&) {});
    }
    scheduler.RunFor(Seconds(1));
    keyring = keyring::Keyring::Open(stores.Open("keyring", KvDurability::kOnWrite).value(), keyring::Key::From(std::string(32, 'k')),
                                     scheduler.entropy(), {})
                  .value();
    keyring->Tenant(kTenant).value();
    tasks = scheduler.MakeExecutor();
    api = scheduler.MakeExecutor();
    disk = scheduler.MakeExecutor();
    views_executor = scheduler.MakeExecutor();
    sender = std::make_unique<command::Sender>(log, size_t{64} << 20);
    replies = std::make_unique<command::Replies>(100'000);
    environment = std::make_unique<task::TaskEnvironment>(task::TaskEnvironment{
        log, scheduler.clock(), scheduler.entropy(), stores, slots, *sender, *replies, pipeline, keyring.get(), "test", "test"});
    tails = std::make_unique<journal::Tails>(log);
    host =
        std::make_unique<task::Host>(*environment, *tails, std::vector<Executor*>{tasks.get()},
                                     task::Host::Listener{[this](PartitionId p, Executor&, Epoch, const journal::Position&, state::Cache&,
                                                                 task::Credits& granted, journal::Tail&) { credits[p.value()] = &granted; },
                                                          [](auto&&...) {}});
    host->Start();
    EXPECT_TRUE(scheduler.RunUntil([this] { return host->AllLeading(); }, Seconds(120)));

    databases = sql::OpenSqlite({.directory = directory_}).value();
    views = std::make_unique<projections::Views>(*databases, projections::ReadModelQueries());
    projections::ProjectionEnvironment projected{.databases = *databases,
                                                 .executor = *views_executor,
                                                 .background = disk.get(),
                                                 .clock = scheduler.clock(),
                                                 .partition_count = kPartitions,
                                                 .open_reader = {},
                                                 .journal_end = {},
                                                 .keyring = keyring.get()};
    projected.open_reader = [this](PartitionId partition, const journal::Position& from) { return tails->at(partition).Open(from); };
    projected.journal_end = [this](PartitionId partition) { return log.Ends({Topic::kJournal, partition}).durable.value(); };
    size_t ready = 0;
    for (const projections::Group& group : projections::ReadModelGroups()) {
      groups.push_back(std::make_unique<projections::Projection>(projected, group, *views));
      groups.back()->Start([&ready](const Result<void>& started) {
        EXPECT_TRUE(started) << started.error().ToString();
        ++ready;
      });
    }
    EXPECT_TRUE(scheduler.RunUntil([&] { return ready == groups.size(); }, Seconds(60)));

    gateway = std::make_unique<gateway::Gateway>(
        gateway::Gateway::Parts{*sender, *replies, *keyring, *views, scheduler.clock(), scheduler.entropy(), *api, *disk, log.settings()});
    const gateway::NewApiKey made = gateway::MakeApiKey(scheduler.entropy());
    key = made.text;
    auth = std::make_unique<gateway::Auth>(
        [made, this](const std::string& key_id) -> Result<gateway::StoredKey> {
          if (key_id != made.key_id) return Fail(Code::kNotFound, "no such key");
          return gateway::StoredKey{
              .tenant = kTenant, .secret_hash = std::string(keyring::View(made.hash)), .scopes = gateway::ScopesOf({scope})};
        },
        *disk, scheduler.clock());
  }
  ~SimApi() {
    size_t stopped = 0;
    for (const auto& group : groups) group->Stop([&stopped] { ++stopped; });
    scheduler.RunUntil([&] { return stopped == groups.size(); }, Seconds(60));
    groups.clear();
    views.reset();
    std::filesystem::remove_all(directory_);
  }

  // Lets everything happen until `reached`; false: not within ten virtual minutes.
  bool Until(const std::function<bool()>& reached) { return scheduler.RunUntil(reached, Seconds(600)); }

  // Asks in the tenant's home, or by `key`, and waits until the read model shows it. Gives the decider's answer.
  template <class Message>
  nlohmann::json Command(const Message& message, std::string partition_key = schema::HomeKey(kTenant)) {
    std::optional<gateway::Verdict> verdict;
    gateway->Submit({kTenant, "test", {}}, gateway::PlainOrder(message, std::move(partition_key)), Seconds(60),
                    [&](gateway::Verdict v) { verdict = std::move(v); });
    EXPECT_TRUE(Until([&] { return verdict.has_value(); }));
    EXPECT_EQ(verdict->kind, gateway::Verdict::Kind::kDecided) << verdict->answer;
    EXPECT_TRUE(verdict->at && Fresh({*verdict->at}));
    return nlohmann::json::parse(verdict->answer, nullptr, false);
  }
  bool Fresh(std::vector<CommandAt> at) {
    std::optional<bool> fresh;
    views->freshness().Wait("", std::move(at), Seconds(60), *api, [&](bool yes) { fresh = yes; });
    return Until([&] { return fresh.has_value(); }) && *fresh;
  }

  static sim::SimLog::Options LogOptions() {
    sim::SimLog::Options options;
    options.settings.partition_count = kPartitions;
    options.settings.log_id.bytes[0] = 9;
    return options;
  }

  // What lets attempts begin; nobody grants any by itself.
  std::map<uint16_t, task::Credits*> credits;  // by partition

  sim::Scheduler scheduler;
  sim::SimLog log;
  sim::SimKvStores stores;
  sim::SimSlots slots;
  const task::Pipeline pipeline = MakePipeline();
  std::unique_ptr<Executor> tasks, api, disk, views_executor;
  std::unique_ptr<keyring::Keyring> keyring;
  std::unique_ptr<command::Sender> sender;
  std::unique_ptr<command::Replies> replies;
  std::unique_ptr<task::TaskEnvironment> environment;
  std::unique_ptr<journal::Tails> tails;
  std::unique_ptr<task::Host> host;
  std::unique_ptr<sql::Databases> databases;
  std::unique_ptr<projections::Views> views;
  std::vector<std::unique_ptr<projections::Projection>> groups;
  std::unique_ptr<gateway::Gateway> gateway;
  std::unique_ptr<gateway::Auth> auth;
  std::string key;              // an API key
  std::string scope = "write";  // of it

 private:
  std::string directory_;
};

}  // namespace maily::testing
