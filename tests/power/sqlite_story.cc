// See story.h: read models in SQLite.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "projections/sql/sqlite/sqlite.h"
#include "streams/base/hash.h"
#include "tests/power/posix_recorder.h"
#include "tests/power/story.h"

namespace maily::power {
namespace {

constexpr const char* kGroup = "group";
constexpr size_t kTransactions = 40;  // of a database
constexpr size_t kDatabases = 2;      // built one after the other, each beside the one before
constexpr int64_t kKeys = 300;

class SqliteStory : public Story {
 public:
  explicit SqliteStory(std::string directory) : directory_(std::move(directory)) {}

  void Record(uint64_t seed) {
    std::minstd_rand random(static_cast<uint32_t>(seed));
    const std::string live = directory_ + "/live";
    std::filesystem::create_directories(live);
    {
      PosixRecorder recorder(live);
      const auto databases = Must(sql::OpenSqlite({.directory = live}));
      std::string before;
      for (size_t d = 0; d < kDatabases; ++d) Fill(*databases, fmt::format("db-{}", d), before, random, recorder);
      ops_ = recorder.TakeOps();
    }
    std::filesystem::remove_all(live);
  }

  std::string Check(size_t ops, const DiskImage& image) const override {
    const std::string after = directory_ + "/after";
    std::filesystem::create_directories(after);
    for (const auto& [name, bytes] : image.files) {
      if (!name.ends_with("-shm")) std::ofstream(after + "/" + name, std::ios::binary) << bytes;
    }
    const std::string failure = Look(ops, after);
    std::filesystem::remove_all(after);
    return failure;
  }

 private:
  struct State {
    uint64_t sum;
    size_t safe_at = SIZE_MAX;  // operations of the disk by which it was durable
  };
  struct Pointed {
    std::string to;
    size_t set_at;  // operations of the disk by which it was
  };

  template <class T>
  static T Must(Result<T> result) {
    MAILY_CHECK(result.has_value(), "{}", result.error().ToString());
    return std::move(*result);
  }
  static void Must(const Result<void>& result) { MAILY_CHECK(result.has_value(), "{}", result.error().ToString()); }

  static uint64_t Of(int64_t key, const std::string& value) { return Xxh3_64Chain(Xxh3_64(value), value, static_cast<uint64_t>(key)); }

  // Built, made durable, pointed to, and then changed by transactions.
  void Fill(sql::Databases& databases, const std::string& name, std::string& before, std::minstd_rand& random, PosixRecorder& recorder) {
    const auto connection = Must(databases.Open(name, sql::Purpose::kBuild));
    Must(
        connection->Execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT); CREATE TABLE at (one INTEGER PRIMARY KEY, n INTEGER); "
                            "INSERT INTO at VALUES (1, 0);"));
    std::vector<State>& states = states_[name];
    states.push_back({0});
    std::map<int64_t, std::string> rows;
    uint64_t sum = 0;
    const size_t built = 1 + random() % 10;
    for (size_t n = 1; n <= kTransactions; ++n) {
      Must(connection->Begin());
      for (size_t changes = 1 + random() % 20; changes > 0; --changes) {
        const auto key = static_cast<int64_t>(random() % kKeys);
        std::string value = fmt::format("{}/{}", n, std::string(random() % 400, 'v'));
        if (const auto old = rows.find(key); old != rows.end()) sum -= Of(key, old->second);
        sum += Of(key, value);
        auto* put = Must(connection->Prepare("INSERT INTO t VALUES (?1, ?2) ON CONFLICT (k) DO UPDATE SET v = excluded.v"));
        Must(sql::RunWith(*put, key, std::string_view(value)));
        rows[key] = std::move(value);
      }
      Must(sql::RunWith(*Must(connection->Prepare("UPDATE at SET n = ?1")), static_cast<int64_t>(n)));
      Must(connection->Commit());
      states.push_back({sum});
      const bool first = n == built;
      if (first || (n > built && random() % 8 == 0)) {
        Must(connection->MakeDurable());
        states.back().safe_at = recorder.op_count();
      } else if (n > built && random() % 4 == 0) {
        Must(connection->Checkpoint());
      }
      if (!first) continue;
      Must(databases.SetLive(kGroup, {name, before}));
      pointed_.push_back({name, recorder.op_count()});
    }
    before = name;
  }

  std::string Look(size_t ops, const std::string& directory) const {
    const auto databases = Must(sql::OpenSqlite({.directory = directory}));
    const auto live = databases->Live(kGroup);
    if (!live) return "the live pointer cannot be read: " + live.error().ToString();
    std::string least;
    for (const Pointed& pointed : pointed_) {
      if (pointed.set_at <= ops) least = pointed.to;
    }
    if (!*live) return least.empty() ? std::string() : "the live pointer is lost";
    const std::string& name = (*live)->live;
    if (name < least) return fmt::format("the live pointer is an older one: {}", name);
    const auto connection = databases->Open(name, sql::Purpose::kWrite);
    if (!connection) return "it does not open: " + connection.error().ToString();
    return LookInto(ops, **connection, states_.at(name));
  }

  static std::string LookInto(size_t ops, sql::Connection& connection, const std::vector<State>& states) {
    int64_t n = -1;
    uint64_t sum = 0;
    std::string verdict;
    const auto each = [&](const char* query, const auto& visit) -> Result<void> {
      MAILY_TRY(auto* const statement, connection.Prepare(query));
      while (true) {
        auto row = statement->Step();
        if (row && *row) {
          visit(*statement);
          continue;
        }
        statement->Reset();
        return row ? Ok() : Result<void>(row.error());
      }
    };
    auto read = each("PRAGMA integrity_check", [&](const sql::Statement& row) { verdict += row.bytes(0); });
    if (read) read = each("SELECT n FROM at", [&](const sql::Statement& row) { n = row.integer(0); });
    if (read) read = each("SELECT k, v FROM t", [&](const sql::Statement& row) { sum += Of(row.integer(0), std::string(row.bytes(1))); });
    if (!read) return "it cannot be read: " + read.error().ToString();
    if (verdict != "ok") return "it is damaged: " + verdict;
    if (n < 0 || static_cast<size_t>(n) >= states.size()) return fmt::format("it says that it is at {}", n);
    if (states[static_cast<size_t>(n)].sum != sum) return fmt::format("its rows are not those of transaction {}", n);
    for (size_t i = static_cast<size_t>(n) + 1; i < states.size(); ++i) {
      if (states[i].safe_at <= ops) return fmt::format("transaction {} was durable, and it is at {}", i, n);
    }
    auto more = connection.Begin();
    if (more) more = connection.Execute("UPDATE at SET n = n + 1");
    if (more) more = connection.Commit();
    return more ? std::string() : "it takes no transaction any more: " + more.error().ToString();
  }

  const std::string directory_;
  std::map<std::string, std::vector<State>> states_;  // by database, after so many transactions
  std::vector<Pointed> pointed_;
};

}  // namespace

std::unique_ptr<Story> RecordSqlite(const std::string& directory, uint64_t seed) {
  auto story = std::make_unique<SqliteStory>(directory);
  story->Record(seed);
  return story;
}

}  // namespace maily::power
