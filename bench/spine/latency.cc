// Rows `latency_1`, `latency_16`, `latency_256`: one command appended, decided, durable, answered, at the command port, against a bare
// append and fdatasync of the same bytes. Row `visible`: the same until every view shows it, at 16 clients, against a bare SQLite commit.
//
// Clients are closed loops on one thread: each sends its next click when the last was answered (or visible). The reference appends, per
// sync, as many bytes as ours wrote per sync in the same round.
#include <CLI/CLI.hpp>
#include <filesystem>

#include "bench/form.h"
#include "bench/spine/bare_sql.h"
#include "bench/spine/raw_log.h"
#include "bench/spine/world.h"
#include "projections/projector/projection.h"
#include "projections/read_models.h"
#include "projections/sql/sqlite/sqlite.h"
#include "streams/journal/decision.h"

namespace maily::bench {
namespace {

struct Arguments {
  std::string directory = "build/bench/latency";
  size_t contacts = 64'000;
  std::vector<size_t> clients = {1, 16, 256};
  double seconds = 1.5;
  size_t rounds = 5;
  bool reference = true;
  bool visible = false;
};

constexpr size_t kVisibleClients = 16;

// The read models over a world, as a server runs them: every group on one thread.
class LiveViews {
 public:
  LiveViews(World& world, const std::string& directory)
      : worker_("views"),
        disk_("disk"),
        databases_(std::move(sql::OpenSqlite({.directory = directory})).value()),
        views_(*databases_, projections::ReadModelQueries()) {
    projections::ProjectionEnvironment environment{.databases = *databases_,
                                                   .executor = worker_,
                                                   .background = &disk_,
                                                   .clock = world.clock(),
                                                   .partition_count = world.log().settings().partition_count,
                                                   .open_reader = {},
                                                   .journal_end = {},
                                                   .keyring = &world.keyring()};
    environment.open_reader = [&world](PartitionId partition, const journal::Position& from) {
      return world.tails().at(partition).Open(from);
    };
    environment.journal_end = [&world](PartitionId partition) { return world.log().Ends({Topic::kJournal, partition}).durable.value(); };
    for (const projections::Group& group : projections::ReadModelGroups()) {
      projections_.push_back(std::make_unique<projections::Projection>(environment, group, views_));
      std::promise<Result<void>> ready;
      projections_.back()->Start([&ready](Result<void> started) { ready.set_value(std::move(started)); });
      const Result<void> started = ready.get_future().get();
      MAILY_CHECK(started.has_value(), "group {}: {}", group.name, started.error().ToString());
    }
  }
  ~LiveViews() {
    for (const auto& projection : projections_) {
      std::promise<void> stopped;
      projection->Stop([&stopped] { stopped.set_value(); });
      stopped.get_future().wait();
    }
    worker_.Stop();
    disk_.Stop();
  }
  projections::Freshness& freshness() { return views_.freshness(); }

 private:
  asio_net::Worker worker_;
  asio_net::Worker disk_;
  std::unique_ptr<sql::Databases> databases_;
  projections::Views views_;
  std::vector<std::unique_ptr<projections::Projection>> projections_;
};

// Runs on the world's driver.
class Clients {
 public:
  // `freshness` null: a command ends with its answer; else when every group shows it.
  Clients(World& world, Uniform& chance, size_t count, projections::Freshness* freshness = nullptr)
      : world_(world), chance_(chance), running_(count), freshness_(freshness) {}

  // Microseconds of every command of `seconds`.
  std::vector<double> Run(double seconds) {
    end_ = WallSeconds() + seconds;
    std::promise<void> done;
    done_ = &done;
    world_.driver().Post([this] {
      const size_t count = running_;
      for (size_t i = 0; i < count; ++i) Next();
    });
    done.get_future().wait();
    return std::move(times_);
  }

 private:
  void Next() {
    const auto& recipients = world_.recipients();
    const Recipient& recipient = recipients[chance_.Below(recipients.size())];
    const command::Command command = world_.Click(recipient, chance_, payload_);
    const double start = WallSeconds();
    world_.replies().Await(command.id, world_.driver(), Seconds(20), [this, start](const Result<command::Reply>& reply) {
      MAILY_CHECK(reply.has_value() && reply->outcome == static_cast<uint16_t>(journal::Outcome::kDone), "a click was not recorded");
      if (freshness_ == nullptr) return Done(start);
      freshness_->Wait("", {reply->at}, Seconds(20), world_.driver(), [this, start](bool fresh) {
        MAILY_CHECK(fresh, "a click did not become visible");
        Done(start);
      });
    });
    world_.sender().Send(recipient.partition, command, Sync::kSoon, [](const Result<CommandAt>&) {});
  }
  void Done(double start) {
    const double now = WallSeconds();
    times_.push_back((now - start) * 1e6);
    if (now < end_) return Next();
    if (--running_ == 0) done_->set_value();
  }

  World& world_;
  Uniform& chance_;
  size_t running_;
  projections::Freshness* const freshness_;
  double end_ = 0;
  std::promise<void>* done_ = nullptr;
  std::string payload_;
  std::vector<double> times_;
};

void Round(World& world, Uniform& chance, size_t clients, const Arguments& arguments) {
  const std::vector<uint64_t> ends = Ends(world.log());
  const uint64_t syncs_before = WalSyncs();
  std::vector<double> ours = Clients(world, chance, clients).Run(arguments.seconds);
  const uint64_t syncs = std::max<uint64_t>(1, WalSyncs() - syncs_before);
  size_t bytes = 0;
  for (const Written& record : ReadBack(world.log(), ends)) bytes += record.bytes.size();
  const size_t commands = ours.size();
  const size_t per_sync = bytes / syncs;
  std::vector<double> bare;
  if (arguments.reference) bare = AppendAndSync(arguments.directory + "/bare", per_sync, arguments.seconds / 2);
  Note("{} clients: {} commands, {} syncs, {} bytes a sync; p50 {:.0f} us, p99 {:.0f} us; bare {:.0f} us, {:.0f} us", clients, commands,
       syncs, per_sync, Quantile(ours, 0.5), Quantile(ours, 0.99), Quantile(bare, 0.5), Quantile(bare, 0.99));
  if (!arguments.reference) return;
  constexpr std::string_view kReference = "append + fdatasync of the same bytes";
  Print(fmt::format("latency_{}", clients), "us, p50", Quantile(ours, 0.5), Quantile(bare, 0.5), kReference);
  Print(fmt::format("latency_{}_p99", clients), "us, p99", Quantile(ours, 0.99), Quantile(bare, 0.99), kReference);
}

void VisibleRound(World& world, LiveViews& views, Uniform& chance, const Arguments& arguments) {
  std::vector<double> ours = Clients(world, chance, kVisibleClients, &views.freshness()).Run(arguments.seconds);
  std::vector<double> bare;
  if (arguments.reference) bare = CommitRows(arguments.directory + "/bare.db", arguments.seconds / 2);
  Note("visible: {} commands; p50 {:.0f} us, p99 {:.0f} us; bare {:.0f} us, {:.0f} us", ours.size(), Quantile(ours, 0.5),
       Quantile(ours, 0.99), Quantile(bare, 0.5), Quantile(bare, 0.99));
  if (!arguments.reference) return;
  constexpr std::string_view kReference = "SQLite commit of one row, WAL, synchronous=FULL";
  Print("visible", "us, p50", Quantile(ours, 0.5), Quantile(bare, 0.5), kReference);
  Print("visible_p99", "us, p99", Quantile(ours, 0.99), Quantile(bare, 0.99), kReference);
}

int Main(const Arguments& arguments) {
  Settings settings;
  settings.directory = arguments.directory + "/world";
  World world(settings);
  world.Load(arguments.contacts);
  Uniform chance(5'321);
  if (arguments.visible) {
    LiveViews views(world, arguments.directory + "/views");
    for (size_t round = 0; round < arguments.rounds; ++round) VisibleRound(world, views, chance, arguments);
    return 0;
  }
  for (size_t round = 0; round < arguments.rounds; ++round) {
    for (const size_t clients : arguments.clients) Round(world, chance, clients, arguments);
  }
  return 0;
}

}  // namespace
}  // namespace maily::bench

int main(int argc, char** argv) {
  maily::bench::Arguments arguments;
  CLI::App app("The time of one command, from the append to the answer.");
  app.add_option("--dir", arguments.directory, "where it works; made anew");
  app.add_option("--contacts", arguments.contacts, "contacts of the campaign");
  app.add_option("--clients", arguments.clients, "numbers of clients, one after another");
  app.add_option("--seconds", arguments.seconds, "of each measurement");
  app.add_option("--rounds", arguments.rounds, "rounds");
  app.add_flag("--visible", arguments.visible, "until every view shows it, at 16 clients");
  app.add_flag("!--no-reference", arguments.reference, "for a profile: ours alone");
  CLI11_PARSE(app, argc, argv);
  const int code = maily::bench::Main(arguments);
  std::filesystem::remove_all(arguments.directory);
  return code;
}
