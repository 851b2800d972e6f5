// Row `rebuild`: the journal of a data directory (its server is stopped) folded by all read models, each event counted once, against bare
// prepared upserts of the rows that come out, in one transaction.
//
// Both in events per second of the same journal, so that the ratio is that of the times.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <future>

#include "bench/form.h"
#include "bench/spine/bare_sql.h"
#include "bench/spine/meter.h"
#include "projections/projector/projector.h"
#include "projections/read_models.h"
#include "projections/sql/postgres/postgres.h"
#include "projections/sql/sqlite/sqlite.h"
#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/rocks/options.h"
#include "streams/adapters/rocks/rocks_kv.h"
#include "streams/adapters/rocks/rocks_log.h"
#include "streams/keyring/keyring.h"
#include "streams/keyring/root_key.h"

namespace maily::bench {
namespace {

struct Arguments {
  std::string directory = "build/bench/rebuild";
  std::string data;
  std::string db;
  size_t rounds = 5;
  bool reference = true;
};

template <class T>
T Must(Result<T> result, const char* what) {
  MAILY_CHECK(result.has_value(), "{}: {}", what, result.error().ToString());
  return std::move(*result);
}

journal::Position Genesis(Log& log, PartitionId partition) {
  journal::Position position;
  position.log_id = log.settings().log_id;
  position.partition = partition;
  position.at_genesis = true;
  return position;
}

struct Data {
  explicit Data(const std::string& path)
      : resources(rocks::Limits{}),
        log(Must(rocks::RocksLog::Open(path + "/log", {.log_id = {}, .partition_count = 0}, resources, clock), "the log")),
        stores(path + "/keys", resources),
        keyring(
            Must(keyring::Keyring::Open(Must(stores.Open("keyring", KvDurability::kOnWrite), "keys"),
                                        Must(keyring::LoadOrCreateRootKey(path + "/keys/root.key", entropy), "the root key"), entropy, {}),
                 "the keyring")) {}

  // Of the whole journal.
  uint64_t CountEvents() {
    uint64_t events = 0;
    for (uint16_t p = 0; p < log->settings().partition_count; ++p) {
      journal::Tail tail(*log, PartitionId(p), 1 << 20);
      const auto reader = Must(tail.Open(Genesis(*log, PartitionId(p))), "a tail");
      while (const journal::FramePtr frame = Must(reader->Next(), "a frame")) events += frame->events.size();
    }
    return events;
  }

  asio_net::SystemClock clock;
  asio_net::SystemEntropy entropy;
  rocks::Resources resources;
  std::unique_ptr<Log> log;
  rocks::RocksKvStores stores;
  std::unique_ptr<keyring::Keyring> keyring;
};

// Folds everything into new databases under `directory`, all groups on one thread as a server does; seconds until all is durable.
// `db`: a PostgreSQL server instead; empty = SQLite.
double Fold(Data& data, const std::string& directory, const std::string& db, std::vector<std::string>& databases) {
  std::filesystem::remove_all(directory);
  auto all = db.empty() ? Must(sql::OpenSqlite({.directory = directory}), "SQLite") : Must(sql::OpenPostgres({.url = db}), "PostgreSQL");
  for (const projections::Group& group : projections::ReadModelGroups())
    MAILY_CHECK(all->Drop(group.name).has_value(), "dropping {}", group.name);
  const uint16_t partitions = data.log->settings().partition_count;
  std::vector<std::unique_ptr<journal::Tail>> tails;
  for (uint16_t p = 0; p < partitions; ++p) tails.push_back(std::make_unique<journal::Tail>(*data.log, PartitionId(p), 1 << 20));
  asio_net::Worker worker("views");
  asio_net::Worker disk("disk");
  projections::ProjectionEnvironment environment{.databases = *all,
                                                 .executor = worker,
                                                 .background = &disk,
                                                 .clock = data.clock,
                                                 .partition_count = partitions,
                                                 .open_reader = {},
                                                 .journal_end = {},
                                                 .keyring = data.keyring.get()};
  environment.open_reader = [&tails](PartitionId partition, const journal::Position& from) { return tails[partition.value()]->Open(from); };
  environment.journal_end = [&data](PartitionId partition) { return data.log->Ends({Topic::kJournal, partition}).durable.value(); };
  std::vector<std::shared_ptr<projections::Projector>> projectors;
  std::promise<void> done;
  size_t left = projections::ReadModelGroups().size();
  const double start = WallSeconds();
  worker.Post([&] {
    for (const projections::Group& group : projections::ReadModelGroups()) {
      projections::Projector::Callbacks callbacks;
      callbacks.stopped = [](const Error& error) { MAILY_CHECK(false, "{}", error.ToString()); };
      projectors.push_back(
          Must(projections::Projector::Open(environment, group, group.name, projections::Mode::kBuild, {}, callbacks), "a projector"));
      projectors.back()->Start();
      projectors.back()->RunToEnd([&left, &done] {
        if (--left == 0) done.set_value();
      });
    }
  });
  done.get_future().wait();
  std::promise<double> stopped;
  worker.Post([&] {
    for (const auto& projector : projectors) MAILY_CHECK(projector->connection().MakeDurable().has_value(), "making a group durable");
    const double seconds = WallSeconds() - start;
    for (const auto& projector : projectors) projector->Stop();
    projectors.clear();
    stopped.set_value(seconds);
  });
  const double seconds = stopped.get_future().get();
  worker.Stop();
  disk.Stop();
  databases.clear();
  for (const projections::Group& group : projections::ReadModelGroups())
    databases.push_back(fmt::format("{}/{}.db", directory, group.name));
  return seconds;
}

int Main(const Arguments& arguments) {
  std::filesystem::create_directories(arguments.directory);
  Data data(arguments.data);
  const auto events = static_cast<double>(data.CountEvents());
  for (size_t round = 0; round < arguments.rounds; ++round) {
    std::vector<std::string> databases;
    const double seconds = Fold(data, arguments.directory + "/views", arguments.db, databases);
    if (!arguments.reference || !arguments.db.empty()) {
      Note("{:.0f} events in {:.2f} s", events, seconds);
      continue;
    }
    const UpsertCost bare = UpsertRows(databases, arguments.directory + "/bare.db");
    Note("{:.0f} events in {:.2f} s; {} rows upserted in {:.2f} s", events, seconds, bare.rows, bare.seconds);
    Print("rebuild", "events/s", events / seconds, events / bare.seconds,
          "bare prepared SQLite upserts of the same rows in one transaction");
  }
  return 0;
}

}  // namespace
}  // namespace maily::bench

int main(int argc, char** argv) {
  maily::bench::Arguments arguments;
  CLI::App app("The read models folded from a journal.");
  app.add_option("--dir", arguments.directory, "where it works; made anew");
  app.add_option("--data", arguments.data, "data directory of a stopped server")->required();
  app.add_option("--rounds", arguments.rounds, "rounds");
  app.add_option("--db", arguments.db, "connection string of a PostgreSQL server to fold into instead; then without reference");
  app.add_flag("!--no-reference", arguments.reference, "for a profile: ours alone");
  CLI11_PARSE(app, argc, argv);
  const int code = maily::bench::Main(arguments);
  std::filesystem::remove_all(arguments.directory);
  return code;
}
