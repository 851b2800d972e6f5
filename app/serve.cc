// See serve.h.
#include "app/serve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "api/api.h"
#include "api/asset_sweep.h"
#include "api/health.h"
#include "api/http/server.h"
#include "app/asset_scanner.h"
#include "app/bootstrap.h"
#include "app/bounded_process.h"
#include "app/database.h"
#include "app/dns.h"
#include "app/endpoint.h"
#include "app/fetch.h"
#include "app/inbox.h"
#include "app/instance.h"
#include "app/log_settings.h"
#include "app/mail_intake.h"
#include "app/mail_pickup.h"
#include "app/mjml.h"
#include "app/open_blobs.h"
#include "app/open_keyring.h"
#include "app/open_log.h"
#include "app/operate.h"
#include "app/policy_store.h"
#include "app/preview.h"
#include "app/public_topics.h"
#include "app/read_file.h"
#include "app/relay.h"
#include "app/roles.h"
#include "app/sent_mail.h"
#include "app/settings_watch.h"
#include "app/signals.h"
#include "app/signing_keys.h"
#include "app/site_status.h"
#include "app/stalls.h"
#include "app/template_lint.h"
#include "app/webhooks.h"
#include "processors/effects/clock.h"
#include "processors/effects/erasure/eraser.h"
#include "processors/effects/runner.h"
#include "processors/effects/smtp/delivery.h"
#include "processors/effects/smtp/message.h"
#include "processors/effects/smtp/site_leases.h"
#include "processors/effects/starter.h"
#include "processors/personalization/warnings.h"
#include "processors/pipeline.h"
#include "projections/projector/keeper.h"
#include "projections/read_models.h"
#include "schemas/asset_store.h"
#include "schemas/attachment_store.h"
#include "schemas/media.h"
#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/asio/asio_net.h"
#include "streams/adapters/disk/mmap_slots.h"
#include "streams/adapters/dns/caching_resolver.h"
#include "streams/adapters/dns/dns_resolver.h"
#include "streams/adapters/kafka/counters.h"
#include "streams/adapters/rocks/options.h"
#include "streams/adapters/rocks/rocks_kv.h"
#include "streams/journal/find.h"
#include "streams/keyring/keyring.h"
#include "streams/observe/logging.h"
#include "streams/observe/metrics.h"
#include "streams/task/answers.h"
#include "streams/task/decide.h"
#include "streams/task/host.h"
#include "streams/task/snapshots.h"

#ifndef MAILY_BUILD
#define MAILY_BUILD "unknown"
#endif

namespace maily::app {

// The only maker of the right to reach the world.
class LiveRuntime {
 public:
  explicit LiveRuntime(Mode mode) : mode_(mode) {}
  LiveCapability Capability() const { return LiveCapability(mode_); }
  Mode mode() const { return mode_; }

 private:
  const Mode mode_;
};

namespace {

constexpr size_t kAssetTypesMax = 100;
constexpr size_t kWaitingMax = 200'000;  // commands that somebody waits for

// What must stay alive until the end, in the order in which it is made; destroyed in reverse.
struct Runtime {
  std::unique_ptr<Instance> instance;
  asio_net::SystemClock clock;
  asio_net::SystemEntropy entropy;
  Roles roles;
  std::unique_ptr<rocks::Resources> resources;
  std::unique_ptr<Log> log;
  std::unique_ptr<rocks::RocksKvStores> state_stores;
  std::unique_ptr<rocks::RocksKvStores> key_stores;
  std::unique_ptr<keyring::Keyring> keyring;
  std::unique_ptr<Blobs> asset_blobs;
  std::unique_ptr<schema::AssetStore> assets;            // null: there is no place for them
  std::unique_ptr<schema::AttachmentStore> attachments;  // of messages, at the same place
  std::shared_ptr<smtp::EncodedTails> encoded_tails;     // of their mails
  std::unique_ptr<disk::MmapSlots> careful_slots;
  std::unique_ptr<disk::MmapSlots> smtp_slots;
  std::unique_ptr<smtp::AttemptSlots> attempt_slots;

  std::unique_ptr<asio_net::Workers> workers;          // partitions: tasks, links, effects
  std::unique_ptr<asio_net::Worker> views_worker;      // projections
  std::unique_ptr<asio_net::Worker> disk_worker;       // what may wait for the disk
  std::unique_ptr<asio_net::Worker> api_worker;        // answers of the API: never blocks
  std::unique_ptr<asio_net::Worker> query_workers[2];  // queries, and keys that become durable
  std::unique_ptr<asio_net::Worker> bulk_worker;       // imports: parsing and sealing
  std::unique_ptr<asio_net::Worker> scan_worker;       // waits for the scanner of assets; null: there is none
  std::unique_ptr<asio_net::Worker> mail_worker;       // mail that comes in
  std::unique_ptr<asio_net::Worker> snapshot_worker;   // null: there are none

  std::unique_ptr<dns::DnsResolver> dns;           // asks the servers
  std::unique_ptr<dns::CachingResolver> resolver;  // what mail is sent by: remembers answers
  std::vector<std::string> source_addresses;       // IP literals that mails leave from
  std::unique_ptr<curl::CurlFetch> fetch;          // pages of others
  std::unique_ptr<rocks::RocksKvStores> policy_stores;
  std::unique_ptr<PolicyStore> policies;  // of MTA-STS; null: they are not asked for

  std::unique_ptr<journal::Tails> tails;
  std::unique_ptr<command::Sender> sender;
  std::unique_ptr<command::Replies> replies;
  std::unique_ptr<task::Pipeline> pipeline;
  std::unique_ptr<Blobs> blobs;
  std::unique_ptr<task::Snapshots> snapshots;  // null: there are none
  std::unique_ptr<task::TaskEnvironment> environment;
  std::vector<std::unique_ptr<asio_net::AsioDialer>> dialers;
  std::shared_ptr<smtp::MxOptions> mx;              // null: mail goes to a relay
  std::shared_ptr<smtp::SiteLeases> site_leases;    // with mx
  std::unique_ptr<smtp::Remaker> remaker;           // null: leads no partitions
  std::vector<std::shared_ptr<smtp::Shared>> smtp;  // pool and settings, one a worker
  std::unique_ptr<PublicTopics> public_topics;      // null: not of this process
  std::unique_ptr<task::Host> host;                 // null: leads no partitions
  std::unique_ptr<Assignment> assignment;           // of the host
  std::unique_ptr<effects::Runner> runner;          // its effects hold what the host owns

  std::unique_ptr<sql::Databases> databases;
  std::unique_ptr<projections::Views> views;
  std::vector<std::unique_ptr<projections::Keeper>> projections;
  std::mutex answers_mutex;
  std::unique_ptr<task::Answers> answers;  // where an API has no host
  std::unique_ptr<api::Dependencies> api;
  std::unique_ptr<api::AssetSweep> asset_sweep;
  std::unique_ptr<InboxGateway> inbox;  // null: not of this process
  std::unique_ptr<MailIntake> mail;     // null: no mail is taken in
  std::unique_ptr<MailPickup> pickup;   // null: no mailbox is looked into
  std::unique_ptr<gateway::Auth> auth;  // of the operators' routes
  OperatorNeeds operators;
  std::unique_ptr<http::Server> server;
  std::mutex inbox_mutex;  // of its start and stop
  SettingsWatch settings;  // of the log's topics

  std::atomic<uint64_t> highest_epoch = 0;
  std::atomic<bool> ready = false;
  std::atomic<bool> stopping = false;
  bool alone = true;  // this process does everything: there are no others
  std::mutex record_mutex;
  uint64_t recorded_epoch = 0;
  Stalls stalls;  // of the watch
  std::mutex stalled_mutex;
  std::vector<uint16_t> stalled;
  std::string lost;  // what of the log is gone; empty: nothing
  std::mutex refused_mutex;
  std::optional<Error> refused;  // why a partition will never be led: its state is not this build's
};

// Waits until callbacks on other threads have come.
class Latch {
 public:
  void Done() {
    const std::lock_guard lock(mutex_);
    --left_;
    changed_.notify_all();
  }
  void Expect(size_t n) { left_ += static_cast<int64_t>(n); }
  bool WaitFor(Duration timeout) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::microseconds(timeout.us), [&] { return left_ <= 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t left_ = 0;
};

constexpr Duration kStartPatience = Seconds(60);
constexpr std::chrono::seconds kStartAgain{1};

// What needs brokers at the start is asked again for a minute: one of them may just be starting, or gone.
template <class Ask>
auto Patiently(Runtime& run, Ask ask) {
  const Duration begin = run.clock.Steady();
  for (;;) {
    auto answer = ask();
    if (answer || answer.error().code != Code::kRetry || run.clock.Steady() - begin > kStartPatience) return answer;
    observe::Log(observe::Level::kWarn, "not started yet", {{"why", answer.error().message}});
    std::this_thread::sleep_for(kStartAgain);
  }
}

// Where several processes may share a log, only a place that is named can be the same for all.
void OpenAssets(Runtime& run, const Config& config) {
  const std::string& named = config.Text("assets");
  if (named.empty() && IsOnKafka(config)) return;
  run.asset_blobs = OpenBlobs(named.empty() ? run.instance->data() + "/assets" : named);
  run.assets = std::make_unique<schema::AssetStore>(*run.asset_blobs, *run.keyring, run.clock, run.entropy);
  run.attachments = std::make_unique<schema::AttachmentStore>(*run.asset_blobs, *run.keyring, run.clock, run.entropy);
}

Result<void> OpenStorage(Runtime& run, const Config& config) {
  const std::string& data = run.instance->data();
  rocks::Limits limits;
  run.resources = std::make_unique<rocks::Resources>(limits);
  MAILY_TRY(run.log, Patiently(run, [&] { return OpenLog(config, data, *run.resources, run.clock, run.entropy); }));
  const uint16_t partitions = run.log->settings().partition_count;
  for (uint16_t p = 0; p < partitions; ++p) {
    MAILY_TRY_VOID(Patiently(run, [&] { return journal::WriteGenesis(*run.log, PartitionId(p)); }));
  }

  run.key_stores = std::make_unique<rocks::RocksKvStores>(data + "/keys", *run.resources);
  MAILY_TRY(run.keyring, OpenKeyring(config, data, *run.key_stores, run.clock, run.entropy));
  OpenAssets(run, config);
  run.state_stores = std::make_unique<rocks::RocksKvStores>(data + "/state", *run.resources);
  std::filesystem::create_directories(data + "/slots");
  MAILY_TRY(run.careful_slots, disk::MmapSlots::Open(data + "/slots/careful", partitions));
  MAILY_TRY(run.smtp_slots, disk::MmapSlots::Open(data + "/slots/smtp", smtp::SlotCount(partitions)));
  run.attempt_slots = std::make_unique<smtp::AttemptSlots>(*run.smtp_slots, partitions, run.entropy);
  return Ok();
}

void StartProjections(Runtime& run, const Config& config, Latch& latch, std::string& failure) {
  run.views = std::make_unique<projections::Views>(*run.databases, projections::ReadModelQueries());
  projections::ProjectionEnvironment environment{.databases = *run.databases,
                                                 .executor = *run.views_worker,
                                                 .background = run.disk_worker.get(),
                                                 .clock = run.clock,
                                                 .partition_count = run.log->settings().partition_count,
                                                 .open_reader = {},
                                                 .journal_end = {},
                                                 .keyring = run.keyring.get()};
  environment.open_reader = [&run](PartitionId partition, const journal::Position& from) { return run.tails->at(partition).Open(from); };
  environment.journal_end = [&run](PartitionId partition) { return run.log->Ends({Topic::kJournal, partition}).durable.value(); };
  projections::KeeperOptions options;
  options.holder = fmt::format("{} ({})", config.Text("listen"), run.entropy.NextId<CommandId>().ToHex().substr(0, 8));
  options.folds = run.roles.projections;
  for (const projections::Group& group : projections::ReadModelGroups()) {
    run.projections.push_back(std::make_unique<projections::Keeper>(environment, group, *run.views, options));
    latch.Expect(1);
    run.projections.back()->Start([&latch, &failure](const Result<void>& started) {
      if (!started) failure = started.error().ToString();
      latch.Done();
    });
  }
}

std::string BannerOf(Mode mode) {
  if (mode == Mode::kLive) return {};
  return mode == Mode::kHeld
             ? "Held: this is a copy of another instance's data. No mail leaves it."
             : "Sandbox: mail reaches loopback addresses only, where maily sink catches it. maily arm lets it send to the world.";
}

std::string TrackingBaseUrl(const Config& config) {
  return config.Text("tracking_base_url").empty() ? "http://" + config.Text("listen") : config.Text("tracking_base_url");
}

// Why no mail goes out at present; empty: nothing is known.
std::string TroubleOf(const Runtime& run) {
  if (!run.instance->held_reason().empty()) return "this instance is held, it opens no connection: " + run.instance->held_reason();
  for (const auto& worker : run.smtp) {
    if (std::string trouble = smtp::Trouble(*worker); !trouble.empty()) return trouble;
  }
  return {};
}

void MakeWorkers(Runtime& run, const Config& config) {
  run.workers = std::make_unique<asio_net::Workers>("task", run.roles.tasks ? static_cast<size_t>(config.Number("workers")) : 1);
  run.views_worker = std::make_unique<asio_net::Worker>("views");
  run.disk_worker = std::make_unique<asio_net::Worker>("disk");
  run.api_worker = std::make_unique<asio_net::Worker>("api");
  for (auto& worker : run.query_workers) worker = std::make_unique<asio_net::Worker>("query");
  run.bulk_worker = std::make_unique<asio_net::Worker>("bulk");
  if (!config.Text("asset_scanner").empty()) run.scan_worker = std::make_unique<asio_net::Worker>("scan");
  run.mail_worker = std::make_unique<asio_net::Worker>("mail");
  run.sender = std::make_unique<command::Sender>(*run.log, static_cast<size_t>(config.Number("command_queue_mb")) << 20);
  run.replies = std::make_unique<command::Replies>(kWaitingMax);
  run.tails = std::make_unique<journal::Tails>(*run.log);
}

Result<void> MakeResolver(Runtime& run, const Config& config, const LiveRuntime& live) {
  MAILY_TRY(run.source_addresses, SourceAddresses(config));
  MAILY_TRY(dns::DnsOptions options, DnsOptionsOf(config));
  MAILY_TRY(run.dns, dns::DnsResolver::Make(std::move(options), live.Capability()));
  run.resolver = std::make_unique<dns::CachingResolver>(*run.dns, *run.api_worker, run.clock);
  MAILY_TRY(curl::FetchOptions pages, FetchOptionsOf(config));
  MAILY_TRY(run.fetch, curl::CurlFetch::Make(std::move(pages), live.Capability()));
  return Ok();
}

void MakeSnapshots(Runtime& run, const Config& config) {
  run.blobs = OpenBlobs(config.Text("snapshots"));
  if (run.blobs == nullptr) return;
  task::SnapshotOptions options;
  options.build = MAILY_BUILD;
  options.journal_bytes = (static_cast<size_t>(config.Number("snapshot_journal_mb")) << 20) / run.log->settings().partition_count;
  options.interval = Seconds(config.Number("snapshot_minutes") * 60);
  run.snapshot_worker = std::make_unique<asio_net::Worker>("snapshots");
  run.snapshots = std::make_unique<task::Snapshots>(*run.blobs, *run.log, run.clock, run.entropy, *run.snapshot_worker, options);
  run.environment->snapshots = run.snapshots.get();
}

Result<void> MakeHost(Runtime& run, const Config& config, const LiveRuntime& live) {
  const auto workers = static_cast<size_t>(config.Number("workers"));
  const uint16_t partitions = run.log->settings().partition_count;
  run.pipeline = std::make_unique<task::Pipeline>(MakePipeline());
  run.environment = std::make_unique<task::TaskEnvironment>(
      task::TaskEnvironment{*run.log, run.clock, run.entropy, *run.state_stores, *run.careful_slots, *run.sender, *run.replies,
                            *run.pipeline, run.keyring.get(), config.Text("listen"), MAILY_BUILD});
  run.environment->cache_bytes_max = (static_cast<size_t>(config.Number("state_cache_mb")) << 20) / partitions;
  run.environment->flush_journal_bytes = (static_cast<size_t>(config.Number("flush_journal_mb")) << 20) / partitions;
  run.environment->commands_retention = Days(config.Number("commands_retention_days"));
  MakeSnapshots(run, config);

  MAILY_TRY(const smtp::SharedOptions mail, RelayOptions(config));
  MAILY_TRY(run.mx, MxOptionsOf(config, *run.resolver, workers));
  if (run.mx && run.mx->sts.tls != nullptr) {
    run.policy_stores = std::make_unique<rocks::RocksKvStores>(run.instance->data() + "/policies", *run.resources);
    MAILY_TRY(run.policies, PolicyStore::Open(*run.policy_stores, *run.disk_worker, run.clock.Now()));
    run.mx->sts.fetch = run.fetch.get();
    run.mx->sts.known = run.policies->known();
    run.mx->sts.keep = [&run](const mta_sts::Entry& entry) { run.policies->Keep(entry); };
  }
  if (run.mx) {
    const auto home = std::make_shared<smtp::SiteHome>(*run.sender, *run.replies, run.workers->at(0), run.clock, run.entropy, partitions);
    run.site_leases = smtp::SiteLeases::Make(home, run.mx->sites);
    run.mx->changed = [home](const smtp::SiteChange& change) { home->Report(change); };
  }
  if (run.assets) {
    run.encoded_tails = std::make_shared<smtp::EncodedTails>(
        [&run](TenantId tenant, const mime::Item& item) -> Result<std::string> {
          if (!item.blob.empty()) return run.attachments->Get(tenant, item.blob);
          MAILY_TRY(schema::AssetStore::Stored stored, run.assets->Get(tenant, item.id));
          return std::move(stored.bytes);
        },
        *run.disk_worker);
  }
  const auto connections = static_cast<size_t>(config.Number(run.mx ? "mx_connections" : "relay_connections"));
  const std::string base_url = TrackingBaseUrl(config);
  for (size_t w = 0; w < workers; ++w) {
    run.dialers.push_back(std::make_unique<asio_net::AsioDialer>(run.workers->at(w), live.Capability()));
    smtp::SharedOptions options = mail;
    options.connections = std::max<size_t>(1, connections / workers);
    options.tracking_base_url = base_url;
    options.tick = task::kTickCommand;
    options.tails = run.encoded_tails;
    options.mx = run.mx;
    run.smtp.push_back(smtp::MakeShared(options, *run.dialers.back(), *run.attempt_slots, run.workers->at(w), run.clock, run.entropy,
                                        *run.sender, *run.keyring));
  }
  run.remaker = std::make_unique<smtp::Remaker>(smtp::Remaker::Options{
      .tracking_base_url = base_url, .returns = mail.returns, .keyring = run.keyring.get(), .tails = run.encoded_tails});
  const effects::InstanceFacts facts{.live = live.mode() == Mode::kLive,
                                     .held = live.mode() == Mode::kHeld,
                                     .mail_bytes_max = static_cast<uint64_t>(config.Number("mail_kb_max")) << 10};
  run.runner = std::make_unique<effects::Runner>(*run.log, run.clock, [&run, workers, facts](PartitionId partition, Executor& executor) {
    std::vector<std::unique_ptr<effects::Effect>> list;
    list.push_back(std::make_unique<effects::ClockEffect>(run.clock, run.entropy, executor, *run.sender, task::kTickCommand));
    list.push_back(std::make_unique<effects::Eraser>(run.clock, run.entropy, executor, *run.disk_worker, *run.sender, *run.keyring));
    list.push_back(std::make_unique<effects::StarterEffect>(facts, run.clock, run.entropy, executor, *run.sender));
    list.push_back(smtp::MakeDelivery(run.smtp[partition.value() % workers], partition));
    list.push_back(run.remaker->MakeWindow(executor));
    return list;
  });
  if (run.roles.links) {
    MAILY_TRY(run.public_topics, Patiently(run, [&] { return PublicTopics::Open(config, *run.log, *run.keyring, run.clock); }));
  }
  task::Host::Listener listener;
  listener.led = [&run](PartitionId partition, Executor& executor, Epoch epoch, const journal::Position& position, state::Cache& cache,
                        task::Credits& credits, journal::Tail& tail) {
    uint64_t highest = run.highest_epoch;
    while (highest < epoch.value() && !run.highest_epoch.compare_exchange_weak(highest, epoch.value())) {
    }
    run.runner->Led(executor, {partition, epoch, position, &cache, &credits}, tail);
    if (run.public_topics) run.public_topics->Led(partition, position, tail);
  };
  listener.stopped = [&run](PartitionId partition) {
    run.runner->Stopped(partition);
    if (run.public_topics) run.public_topics->Stopped(partition);
  };
  listener.followed = [&run, workers](PartitionId partition, state::Cache& cache) {
    smtp::ReportOpened(run.smtp[partition.value() % workers], partition, cache);
  };
  listener.failed = [&run](PartitionId partition, const Error& error) {
    if (run.ready || error.code != Code::kDiverged) return;
    const std::lock_guard lock(run.refused_mutex);
    if (!run.refused) run.refused = Fail(error.code, "partition {}: {}", partition.value(), error.message);
    AskToStop();
  };
  std::vector<Executor*> executors;
  for (size_t w = 0; w < workers; ++w) executors.push_back(&run.workers->at(w));
  run.host = std::make_unique<task::Host>(*run.environment, *run.tails, executors, listener);
  MAILY_TRY(run.assignment, MakeAssignment(config, partitions));
  return Ok();
}

std::string Listed(const std::vector<uint16_t>& partitions) {
  return fmt::format("{} {}", partitions.size() == 1 ? "partition" : "partitions", fmt::join(partitions, ", "));
}

// Why this process, or the whole of which it is a part, cannot serve; empty = it can.
std::string NotReady(Runtime& run) {
  if (run.host != nullptr) {
    if (run.alone && !run.host->AllLeading()) return "not every partition is led yet";
    std::vector<uint16_t> without;
    for (const PartitionId partition : run.assignment->Unassigned()) without.push_back(partition.value());
    if (!without.empty()) return Listed(without) + ": no process is assigned to lead there";
    if (const std::string trouble = run.assignment->trouble(); !trouble.empty()) return "it is not known who leads: " + trouble;
  }
  {
    const std::lock_guard lock(run.stalled_mutex);
    if (!run.lost.empty()) return "the log has lost records: " + run.lost;
    if (!run.stalled.empty()) return Listed(run.stalled) + ": commands wait, and nobody decides them";
  }
  return run.ready ? "" : "the read models are not ready yet";
}

// What the API and the inbox work with.
Result<std::vector<std::string>> AssetTypes(const Config& config) {
  MAILY_TRY(std::vector<std::string> types, ListOf(config, "asset_types", kAssetTypesMax));
  for (std::string& type : types) {
    const auto parsed = schema::MediaType::Parse(type);
    if (!parsed) return Fail(Code::kInvalid, "{}: asset_types: '{}': {}", config.Source("asset_types"), type, parsed.error().message);
    type = parsed->text();
  }
  return types;
}

// Null: none is named.
Result<decltype(api::AssetSettings::scan)> AssetScan(const Config& config) {
  AssetScannerOptions options;
  options.time_max = Seconds(config.Number("asset_scan_s"));
  std::istringstream words(config.Text("asset_scanner"));
  for (std::string word; words >> word;) options.words.push_back(word);
  if (options.words.empty()) return decltype(api::AssetSettings::scan)();
  if (FindProgram(options.words.front()).empty())
    return Fail(Code::kInvalid, "{}: asset_scanner: there is no program {}", config.Source("asset_scanner"), options.words.front());
  return decltype(api::AssetSettings::scan)([options](std::string_view bytes) { return ScanAsset(options, bytes); });
}

void MakeDependencies(Runtime& run, const Config& config, Mode mode) {
  run.api.reset(new api::Dependencies{.sender = *run.sender,
                                      .replies = *run.replies,
                                      .keyring = *run.keyring,
                                      .views = *run.views,
                                      .clock = run.clock,
                                      .entropy = run.entropy,
                                      .executor = *run.api_worker,
                                      .blocking = {run.query_workers[0].get(), run.query_workers[1].get()},
                                      .bulk = *run.bulk_worker,
                                      .log = run.log->settings(),
                                      .read_message_id = {},
                                      .find_decision = {},
                                      .make_preview = {},
                                      .make_signing_keys = MakeSigningKeys,
                                      .trouble = {},
                                      .not_ready = {},
                                      .version = "0.1.0 (" MAILY_BUILD ")",
                                      .mail_host = config.Text("mail_host"),
                                      .resolver = run.dns.get(),  // no cache: what was published just now is seen
                                      .source_addresses = run.source_addresses,
                                      .tracking_base_url = TrackingBaseUrl(config),
                                      .live = mode == Mode::kLive,
                                      .banner = BannerOf(mode)});
  if (run.mx) {
    run.api->site_here = [&run](const std::string& name) {
      const auto site = run.mx->sites->Find(name);
      return site ? SiteStatusJson(site->Look(run.clock.Steady(), run.clock.Now())).dump() : std::string("null");
    };
  }
  run.api->read_message_id = [&run](std::string_view message_id) -> Result<api::ReceivedSend> {
    MAILY_TRY(const smtp::SendId id, smtp::DecodeMessageId(message_id, *run.keyring));
    return api::ReceivedSend{id.tenant, id.partition, id.campaign_id, id.ordinal};
  };
  run.api->inbound = InboundReaders(*run.keyring, run.log->settings().partition_count);
  run.api->find_decision = [&run](const CommandAt& at) -> Result<std::optional<api::FoundDecision>> {
    const journal::Position known = projections::Furthest(run.projections, at.partition);
    MAILY_TRY(const auto found, journal::FindDecision(*run.log, known, at));
    if (!found) return std::optional<api::FoundDecision>();
    const journal::Decision& decision = found->decision();
    return std::optional(
        api::FoundDecision{decision.tenant, static_cast<gateway::Outcome>(decision.outcome), std::string(decision.answer)});
  };
  run.api->make_preview = [&run, base_url = TrackingBaseUrl(config), returns = ReturnsOf(config)](const api::PreviewSource& source) {
    return MakePreview(source, base_url, returns ? *returns : smtp::Returns(), *run.keyring, run.assets.get(), run.clock.Now());
  };
  if (run.remaker) {
    run.api->remake_mail = [&run](const api::SentMailSource& source) {
      const SentMailNeeds needs{.log = *run.log, .tails = *run.tails, .remaker = *run.remaker, .known = [&run](PartitionId partition) {
                                  return projections::Furthest(run.projections, partition);
                                }};
      return RemakeMail(needs, source);
    };
  }
  run.api->warnings_of = [](std::string_view html) {
    std::vector<api::TemplateWarning> all;
    for (auto& one : personalization::WarningsOf(html))
      all.push_back({std::move(one.code), std::move(one.place), std::move(one.message), std::move(one.fix)});
    return all;
  };
  run.api->lint_template = LintTemplate;
  if (const std::string modules = config.Text("mjml_modules"); !modules.empty()) {
    run.api->compile_mjml = [options = MjmlOptions{.node = config.Text("mjml_node"), .modules = modules}](std::string_view mjml) {
      return CompileMjml(options, mjml);
    };
  }
  run.api->assets = {.store = run.assets.get(),
                     .attachments = run.attachments.get(),
                     .bytes_max = static_cast<size_t>(config.Number("asset_kb_max")) << 10,
                     .mail_bytes_max = static_cast<uint64_t>(config.Number("mail_kb_max")) << 10};
  run.api->trouble = [&run] { return TroubleOf(run); };
  run.api->not_ready = [&run] { return NotReady(run); };
}

// A mailbox elsewhere, looked into where partition 0 is led.
Result<void> StartPickup(Runtime& run, const Config& config, const LiveRuntime& live) {
  MailPickup::NameMetrics();
  MAILY_TRY(curl::MailboxOptions options, PickupOptionsOf(config));
  if (options.url.empty()) return Ok();
  if (!run.roles.api || !run.roles.tasks)
    return Fail(Code::kInvalid, "{}: mail_pickup needs the roles tasks and api in one process", config.Source("mail_pickup"));
  auto mailbox = curl::CurlMailbox::Make(std::move(options), live.Capability());
  if (!mailbox) return Fail(mailbox.error().code, "{}: mail_pickup: {}", config.Source("mail_pickup"), mailbox.error().message);
  run.pickup = std::make_unique<MailPickup>(
      *std::move(mailbox),
      MailPickup::Options{.every = Seconds(config.Number("mail_pickup_seconds")),
                          .mine = [&run] { return run.ready && run.host->status().front().state == task::TaskState::kLeading; }},
      *run.api);
  return Ok();
}

Result<http::Proxies> ProxiesOf(const Config& config) {
  MAILY_TRY(const std::vector<std::string> networks, ListOf(config, "trusted_proxies", http::kTrustedProxiesMax));
  auto proxies = http::ParseProxies(networks, config.Text("forwarded_header"));
  if (!proxies) return Fail(Code::kInvalid, "{}: trusted_proxies: {}", config.Source("trusted_proxies"), proxies.error().message);
  return proxies;
}

Result<http::Networks> ScannerNetworks(const Config& config) {
  const std::string path = config.Text("scanner_networks");
  if (path.empty()) return http::Networks();
  const auto wrong = [&](const Error& error) {
    return Fail(Code::kInvalid, "{}: scanner_networks: {}: {}", config.Source("scanner_networks"), path, error.message);
  };
  const auto text = ReadFile(path);
  if (!text) return wrong(text.error());
  auto networks = http::Networks::ParseLines(*text);
  if (!networks) return wrong(networks.error());
  return networks;
}

Result<void> StartApi(Runtime& run, const Config& config) {
  if (run.roles.api) {
    MAILY_TRY(run.api->assets.types, AssetTypes(config));
    MAILY_TRY(run.api->assets.scan, AssetScan(config));
    run.api->assets.scans_on = run.scan_worker.get();
    MAILY_TRY(run.api->scanner_networks, ScannerNetworks(config));
  }
  api::AssetSweep::NameMetrics();
  if (run.roles.api && run.roles.tasks && run.assets) {
    run.asset_sweep = std::make_unique<api::AssetSweep>(*run.api, api::AssetSweep::Options{.mine = [&run] {
      return run.ready && run.host->status().front().state == task::TaskState::kLeading;
    }});
  }
  if (!run.roles.api && !config.Text("mail_listen").empty())
    return Fail(Code::kInvalid, "{}: mail_listen needs the role api", config.Source("mail_listen"));
  http::ServerOptions options;
  MAILY_TRY(options.listen, ParseEndpoint(config.Text("listen")));
  options.threads = static_cast<size_t>(config.Number("http_threads"));
  MAILY_TRY(options.proxies, ProxiesOf(config));
  if (!run.roles.api) {
    http::Router router;
    for (http::Route& route : api::ProcessRoutes([&run] { return NotReady(run); })) router.Add(std::move(route));
    MAILY_TRY(run.server, http::Server::Start(options, std::move(router)));
    return Ok();
  }
  MAILY_TRY(api::WebhookSettings webhooks, WebhookSettingsOf(config));
  run.api->webhooks = std::make_shared<api::Webhooks>(std::move(webhooks), *run.fetch, run.clock);
  http::Router router = api::MakeRouter(*run.api);
  run.auth = std::make_unique<gateway::Auth>(gateway::KeysFromViews(*run.views), *run.query_workers[0], run.clock);
  run.operators.auth = run.auth.get();
  run.operators.held_reason = run.instance->held_reason();
  run.operators.build = MAILY_BUILD;
  run.operators.trouble = run.api->trouble;
  run.operators.host = run.host.get();
  run.operators.tails = run.tails.get();
  run.operators.settings = &run.settings;
  run.operators.executor = run.disk_worker.get();
  run.operators.sites = run.mx ? run.mx->sites.get() : nullptr;
  run.operators.clock = &run.clock;
  for (const auto& projection : run.projections) run.operators.projections.push_back(projection.get());
  AddOperatorRoutes(router, run.operators);
  MAILY_TRY(run.server, http::Server::Start(options, std::move(router)));
  MAILY_TRY(run.mail, MailIntake::Start(config, *run.api, *run.mail_worker));
  return Ok();
}

// Notes outside the data how far its log was led, if that is news.
void RecordEpoch(Runtime& run) {
  const std::lock_guard lock(run.record_mutex);
  const uint64_t epoch = run.highest_epoch;
  if (epoch <= run.recorded_epoch) return;
  if (auto recorded = run.instance->RecordEpoch(epoch); !recorded) {
    observe::Log(observe::Level::kError, "the identity of this instance cannot be recorded", {{"error", recorded.error()}});
  }
  run.recorded_epoch = epoch;
}

// What the log knows to be gone of what was durable, a line a topic.
std::vector<std::pair<Topic, std::string>> LostOf(Runtime& run) {
  std::vector<std::pair<Topic, std::string>> lost;
  for (const Topic topic : kTopics) {
    for (uint16_t p = 0; p < run.log->settings().partition_count; ++p) {
      const TopicPartition at{topic, PartitionId(p)};
      const auto read = run.log->Read(at, run.log->Ends(at).durable, 1, ReadTo::kDurable);  // at the end: from memory
      if (read || read.error().code != Code::kDiverged) continue;
      lost.emplace_back(topic, read.error().message);
      break;
    }
  }
  return lost;
}

// The topics' settings, and whether they hold what they held.
Result<kafka::Examination> LookAtLog(Runtime& run, const Config& config) {
  MAILY_TRY(const kafka::Options options, KafkaOptions(config));
  auto seen = ExamineLogSettings(config);
  const auto lost = LostOf(run);
  if (!seen && lost.empty()) return seen;
  kafka::Examination out = seen ? *std::move(seen) : kafka::Examination();
  for (const auto& [topic, what] : lost) {
    out.findings.push_back({kafka::Finding::Level::kFail,
                            topic == Topic::kJournal ? kafka::JournalTopic(options) : kafka::CommandsTopic(options), "records", what,
                            "all that were durable", "docs/howto/run-on-kafka.md, \"A topic was made anew\""});
  }
  return out;
}

// Once a second: what has to be noticed without anybody asking.
void Watch(Runtime& run) {
  RecordEpoch(run);
  const uint16_t count = run.log->settings().partition_count;
  std::vector<PartitionLook> looks(count);
  if (run.host != nullptr) {
    const auto status = run.host->status();
    for (uint16_t p = 0; p < count; ++p) looks[p] = {status[p].state == task::TaskState::kLeading, status[p].command_lag, status[p].lsn};
  } else {
    const std::lock_guard lock(run.answers_mutex);
    for (uint16_t p = 0; run.answers != nullptr && p < count; ++p) {
      const journal::Position at = run.answers->position(PartitionId(p));
      const journal::SourcePosition* own = at.Source(0);
      const LogEnds ends = run.log->Ends({Topic::kCommands, PartitionId(p)});
      const uint64_t decided = std::max(ends.begin.value(), own != nullptr && own->any ? own->offset.value() + 1 : 0);
      looks[p] = {false, ends.durable.value() - std::min(ends.durable.value(), decided), at.lsn.value()};
    }
  }
  run.stalls.Look(looks, run.clock.Steady());
  const auto lost = run.log->ordered_across_partitions() ? std::vector<std::pair<Topic, std::string>>() : LostOf(run);
  {
    const std::lock_guard lock(run.stalled_mutex);
    run.stalled = run.stalls.stalled();
    run.lost = lost.empty() ? "" : lost.front().second;
  }
  run.disk_worker->After(Seconds(1), [&run] { Watch(run); });
}

// Reads the answers of others from where the read models are, so that no journal is read from its beginning.
void StartAnswers(Runtime& run) {
  std::vector<journal::Position> from;
  for (uint16_t p = 0; p < run.log->settings().partition_count; ++p) {
    journal::Position at = projections::Furthest(run.projections, PartitionId(p));
    at.partition = PartitionId(p);
    from.push_back(std::move(at));
  }
  const std::lock_guard lock(run.answers_mutex);
  run.answers = std::make_unique<task::Answers>(*run.tails, *run.replies, *run.api_worker, std::move(from));
}

// Ready once every partition that is led here is led, every view answers, and the tenant `default` has a key.
void BecomeReady(Runtime& run, Latch& views, const std::string& failure) {
  constexpr Duration kLook = Milliseconds(20);
  while (run.alone && !run.host->AllLeading()) {
    if (run.stopping) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  RecordEpoch(run);
  if ((run.roles.api || run.roles.gateway) && run.host == nullptr) {
    while (!views.WaitFor(kLook)) {
      if (run.stopping) return;
    }
    StartAnswers(run);
  }
  if (run.roles.api) {
    const BootstrapNeeds needs{*run.sender,
                               *run.replies,
                               run.entropy,
                               run.clock,
                               *run.api_worker,
                               *run.keyring,
                               run.log->settings().partition_count,
                               run.alone ? Seconds(30) : Seconds(5)};
    auto made = Bootstrap(needs, run.instance->data() + "/admin.key");
    // Others may have to start first.
    while (!made && made.error().code == Code::kRetry && !run.alone && !run.stopping) {
      made = Bootstrap(needs, run.instance->data() + "/admin.key");
    }
    if (!made) return observe::Log(observe::Level::kError, "bootstrap failed", {{"error", made.error()}});
    while (!views.WaitFor(kLook)) {
      if (run.stopping) return;
    }
    const auto key_shown = std::make_shared<Latch>();  // requests are asked for it from now on
    key_shown->Expect(1);
    run.views->freshness().Wait(run.views->GroupOf("api_key"), *made, Seconds(60), *run.api_worker,
                                [key_shown](bool) { key_shown->Done(); });
    while (!key_shown->WaitFor(kLook)) {
      if (run.stopping) return;
    }
  } else {
    while (!views.WaitFor(kLook)) {
      if (run.stopping) return;
    }
  }
  if (!failure.empty()) observe::Log(observe::Level::kError, "a projection cannot work", {{"error", failure}});
  if (run.inbox && failure.empty()) {
    const std::lock_guard lock(run.inbox_mutex);
    if (run.stopping) return;
    run.inbox->Start(*run.api);
  }
  run.ready = failure.empty();
  observe::Log(observe::Level::kInfo, "ready", {{"mode", run.operators.mode}});
}

void StopWorkers(Runtime& run) {
  run.settings.Stop();
  if (run.public_topics) run.public_topics->Stop();
  run.workers->Stop();
  if (run.snapshot_worker) run.snapshot_worker->Stop();
  run.views_worker->Stop();
  run.disk_worker->Stop();
  run.bulk_worker->Stop();
  if (run.scan_worker) run.scan_worker->Stop();
  run.mail_worker->Stop();
  for (auto& worker : run.query_workers) worker->Stop();
  run.api_worker->Stop();
}

constexpr Duration kMailsWait = Seconds(5);
constexpr Duration kInboxWait = Seconds(3);
constexpr Duration kLeasesWait = Seconds(2);

// Hands over in the order of the flow of data: no more requests, no more decisions, then the readers.
bool Stop(Runtime& run, Duration timeout) {
  const Duration start = run.clock.Steady();
  const auto left = [&] { return Duration{std::max<int64_t>(1000, timeout.us - (run.clock.Steady() - start).us)}; };
  run.server->Stop(Seconds(2));
  if (run.pickup) run.pickup->Stop();
  if (run.mail) run.mail->Stop(kMailsWait);
  if (run.inbox) {
    const std::lock_guard lock(run.inbox_mutex);
    run.inbox->Stop(kInboxWait);
  }
  bool clean = true;
  if (run.host != nullptr) {
    Latch tasks;
    tasks.Expect(1);
    run.host->Stop([&tasks] { tasks.Done(); });
    clean = tasks.WaitFor(left());
    run.assignment->Leave();
  }
  // Mails on the wire end, and their results become durable. What a slow relay has not answered by then is in its slot, and unknown at the
  // next start: that is a clean stop too.
  Latch mails;
  mails.Expect(run.smtp.size());
  for (const auto& worker : run.smtp) smtp::Drain(worker, [&mails] { mails.Done(); });
  if (!mails.WaitFor(std::min(left(), kMailsWait)))
    observe::Log(observe::Level::kWarn, "mails were cut off; they are settled at the next start", {{"seconds", kMailsWait.us / 1'000'000}});
  if (run.site_leases) {
    const auto returned = std::make_shared<Latch>();
    returned->Expect(1);
    run.site_leases->Stop([returned] { returned->Done(); });
    if (!returned->WaitFor(std::min(left(), kLeasesWait)))
      observe::Log(observe::Level::kWarn, "leases of sites were not returned; their mails count as sent");
  }
  Latch groups;
  groups.Expect(run.projections.size());
  for (const auto& projection : run.projections) projection->Stop([&groups] { groups.Done(); });
  clean = groups.WaitFor(left()) && clean;
  {
    const std::lock_guard lock(run.answers_mutex);
    run.api_worker->Stop();
    run.answers.reset();
  }
  StopWorkers(run);
  RecordEpoch(run);
  return clean;
}

int Refuse(const Common& common, const Error& error) {
  PrintError(common, error);
  return error.code == Code::kInvalid ? kExitUsage : kExitRefused;
}

}  // namespace

void ConfigFlags::AddTo(CLI::App& app) {
  app.add_option("--config", file, "YAML file with settings");
  for (const Setting& setting : Settings()) {
    std::string flag = "--" + std::string(setting.name);
    std::replace(flag.begin(), flag.end(), '_', '-');
    app.add_option_function<std::string>(
        flag, [this, name = std::string(setting.name)](const std::string& value) { flags[name] = value; },
        fmt::format("{}{}", setting.help, setting.fallback.empty() ? "" : fmt::format(" [{}]", setting.fallback)));
  }
}

Result<Config> ConfigFlags::Resolve() const {
  Config config;
  if (!file.empty()) MAILY_TRY_VOID(config.LoadFile(file));
  MAILY_TRY_VOID(config.LoadEnvironment());
  for (const auto& [name, value] : flags) {
    std::string flag = "--" + name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    MAILY_TRY_VOID(config.Set(name, value, flag));
  }
  return config;
}

int Serve(const Common& common, const Config& config) {
  BlockStopSignals();
  kafka::Counters::Process();  // every name is there from the start
  SettingsWatch::RegisterMetrics();
  observe::SetLevel(observe::LevelFromName(config.Text("log_level")).value());

  Runtime run;
  auto roles = RolesOf(config);
  if (!roles) return Refuse(common, roles.error());
  run.roles = *roles;
  run.alone = roles->all() && config.Text("lead") == "all";
  auto instance = Instance::Open(config.Text("data"));
  if (!instance) return Refuse(common, instance.error());
  run.instance = std::move(*instance);
  if (auto opened = OpenStorage(run, config); !opened) return Refuse(common, opened.error());
  auto place = Patiently(run, [&] { return PlaceOf(config, run.instance->data(), *run.log, run.instance->RecordedEpoch()); });
  if (!place) return Refuse(common, place.error());
  auto mode = run.instance->DecideMode(place->first, place->second);
  if (!mode) return Refuse(common, mode.error());
  if (*mode == Mode::kLive && !TrackingBaseUrl(config).starts_with("https://")) {
    return Refuse(common, Fail(Code::kConflict,
                               "this instance is live and its links would begin with {}: set tracking_base_url to the https "
                               "address under which the world reaches this server (RFC 8058 wants it for one-click)",
                               TrackingBaseUrl(config)));
  }
  run.operators.mode = ModeName(*mode);
  const LiveRuntime live(*mode);
  auto databases = OpenDatabases(config, run.instance->data());
  if (!databases) return Refuse(common, databases.error());
  run.databases = std::move(*databases);
  MakeWorkers(run, config);
  if (auto made = MakeResolver(run, config, live); !made) {
    StopWorkers(run);
    return Refuse(common, made.error());
  }
  if (run.roles.tasks) {
    if (auto made = MakeHost(run, config, live); !made) {
      StopWorkers(run);
      return Refuse(common, made.error());
    }
  }
  Latch views;
  std::string failure;
  StartProjections(run, config, views, failure);
  if (run.roles.api || run.roles.gateway) MakeDependencies(run, config, *mode);
  if (run.roles.gateway) {
    auto opened = Patiently(run, [&] { return InboxGateway::Open(config, MAILY_BUILD); });
    if (!opened) {
      StopWorkers(run);
      return Refuse(common, opened.error());
    }
    run.inbox = *std::move(opened);
  }
  auto started = StartApi(run, config);
  if (started) started = StartPickup(run, config, live);
  if (!started) {
    StopWorkers(run);
    return Refuse(common, started.error());
  }
  observe::Log(observe::Level::kInfo, "listening",
               {{"http", run.server->local().ToString()},
                {"mail", run.mail ? run.mail->local().ToString() : ""},
                {"data", run.instance->data()},
                {"log", config.Text("log")},
                {"durability", run.log->durability_class()},
                {"roles", config.Text("roles")},
                {"lead", config.Text("lead")},
                {"mode", ModeName(*mode)},
                {"held_reason", run.instance->held_reason()}});
  if (run.host != nullptr) {
    run.assignment->Join([&run](std::vector<PartitionId> mine) { run.host->Assign(mine); });
  }
  run.disk_worker->Post([&run] { Watch(run); });
  if (IsOnKafka(config))
    run.settings.Start([&run, &config] { return LookAtLog(run, config); }, Seconds(config.Number("log_check_seconds")));
  std::thread becoming_ready([&] { BecomeReady(run, views, failure); });

  const int signal = WaitForStopSignal(-1);
  observe::Log(observe::Level::kInfo, "stopping", {{"signal", signal}});
  run.ready = false;
  run.stopping = true;
  const bool clean = Stop(run, Seconds(config.Number("shutdown_seconds")));
  becoming_ready.join();
  observe::Log(observe::Level::kInfo, "stopped", {{"clean", clean}});
  if (run.refused) return Refuse(common, *run.refused);  // no task is left to write it
  return clean ? kExitOk : kExitFailed;
}

void AddServe(CLI::App& app, Chosen& chosen) {
  app.footer(
      "Example: maily serve --data ./maily-data --relay 127.0.0.1:2525\nSettings: flag > MAILY_<NAME> > --config file; see maily config "
      "explain.");
  auto flags = std::make_shared<ConfigFlags>();
  flags->AddTo(app);
  app.callback([&chosen, flags] {
    chosen = [flags](const Common& common) {
      auto config = flags->Resolve();
      return config ? Serve(common, *config) : Refuse(common, config.error());
    };
  });
}

}  // namespace maily::app
