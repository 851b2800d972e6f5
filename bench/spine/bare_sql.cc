// See bare_sql.h.
#include "bench/spine/bare_sql.h"

#include <sqlite3.h>

#include <filesystem>
#include <memory>

#include "bench/spine/meter.h"
#include "streams/base/result.h"

namespace maily::bench {
namespace {

struct CloseDatabase {
  void operator()(sqlite3* database) const { ::sqlite3_close(database); }
};
struct CloseStatement {
  void operator()(sqlite3_stmt* statement) const { ::sqlite3_finalize(statement); }
};
struct FreeValue {
  void operator()(sqlite3_value* value) const { ::sqlite3_value_free(value); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;
using Prepared = std::unique_ptr<sqlite3_stmt, CloseStatement>;
using Value = std::unique_ptr<sqlite3_value, FreeValue>;

Database Open(const std::string& path) {
  sqlite3* raw = nullptr;
  const int code = ::sqlite3_open(path.c_str(), &raw);
  Database database(raw);
  MAILY_CHECK(code == SQLITE_OK, "{}: {}", path, ::sqlite3_errstr(code));
  return database;
}
void Run(sqlite3* database, const std::string& sql) {
  MAILY_CHECK(::sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK, "{}: {}", sql, ::sqlite3_errmsg(database));
}
Prepared Prepare(sqlite3* database, const std::string& sql) {
  sqlite3_stmt* raw = nullptr;
  MAILY_CHECK(::sqlite3_prepare_v2(database, sql.c_str(), -1, &raw, nullptr) == SQLITE_OK, "{}: {}", sql, ::sqlite3_errmsg(database));
  return Prepared(raw);
}
void Step(sqlite3* database, sqlite3_stmt* statement) {
  MAILY_CHECK(::sqlite3_step(statement) == SQLITE_DONE, "{}", ::sqlite3_errmsg(database));
  ::sqlite3_reset(statement);
}
std::string Text(sqlite3_stmt* statement, int column) { return reinterpret_cast<const char*>(::sqlite3_column_text(statement, column)); }

void Remove(const std::string& path) {
  for (const char* end : {"", "-wal", "-shm", "-journal"}) std::filesystem::remove(path + end);
}

struct Rows {
  std::string table;
  std::string create;
  size_t columns = 0;
  std::vector<Value> values;
};

// `indexes` gets the statements that make them.
std::vector<Rows> ReadAll(const std::string& path, std::vector<std::string>& indexes) {
  const Database database = Open(path);
  std::vector<Rows> all;
  const Prepared schema =
      Prepare(database.get(), "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'");
  while (::sqlite3_step(schema.get()) == SQLITE_ROW) {
    if (Text(schema.get(), 0) == "index") indexes.push_back(Text(schema.get(), 2));
    if (Text(schema.get(), 0) == "table") all.push_back({Text(schema.get(), 1), Text(schema.get(), 2), 0, {}});
  }
  for (Rows& rows : all) {
    const Prepared select = Prepare(database.get(), "SELECT * FROM " + rows.table);
    rows.columns = static_cast<size_t>(::sqlite3_column_count(select.get()));
    while (::sqlite3_step(select.get()) == SQLITE_ROW) {
      for (size_t c = 0; c < rows.columns; ++c)
        rows.values.emplace_back(::sqlite3_value_dup(::sqlite3_column_value(select.get(), static_cast<int>(c))));
    }
  }
  return all;
}

}  // namespace

std::vector<double> CommitRows(const std::string& path, double seconds) {
  Remove(path);
  std::vector<double> times;
  {
    const Database database = Open(path);
    Run(database.get(), "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE clicks (id INTEGER PRIMARY KEY, payload BLOB)");
    const Prepared insert = Prepare(database.get(), "INSERT INTO clicks (payload) VALUES (?1)");
    const std::string payload(100, 'u');
    const double end = WallSeconds() + seconds;
    for (double now = WallSeconds(); now < end;) {
      Run(database.get(), "BEGIN IMMEDIATE");
      ::sqlite3_bind_blob(insert.get(), 1, payload.data(), static_cast<int>(payload.size()), SQLITE_STATIC);
      Step(database.get(), insert.get());
      Run(database.get(), "COMMIT");
      const double after = WallSeconds();
      times.push_back((after - now) * 1e6);
      now = after;
    }
  }
  Remove(path);
  return times;
}

UpsertCost UpsertRows(const std::vector<std::string>& sources, const std::string& path) {
  Remove(path);
  UpsertCost cost;
  {
    const Database database = Open(path);
    Run(database.get(), "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32768; PRAGMA temp_store=MEMORY");
    std::vector<Rows> all;
    std::vector<Prepared> upserts;
    for (const std::string& source : sources) {
      std::vector<std::string> indexes;
      for (Rows& rows : ReadAll(source, indexes)) {
        // Every group has tables of its own name, but for the bookkeeping of projections: one of each is enough.
        bool known = false;
        for (const Rows& other : all) known = known || other.table == rows.table;
        if (known) continue;
        Run(database.get(), rows.create);
        std::string marks;
        for (size_t c = 0; c < rows.columns; ++c) marks += c == 0 ? "?" : ",?";
        upserts.push_back(Prepare(database.get(), "INSERT OR REPLACE INTO " + rows.table + " VALUES (" + marks + ")"));
        all.push_back(std::move(rows));
      }
      for (const std::string& index : indexes) {
        if (::sqlite3_exec(database.get(), index.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
          continue;  // that of a table known before
      }
    }
    Uniform chance(11);
    std::vector<std::vector<size_t>> orders;
    for (const Rows& rows : all) {
      std::vector<size_t>& order = orders.emplace_back(rows.columns == 0 ? 0 : rows.values.size() / rows.columns);
      for (size_t i = 0; i < order.size(); ++i) order[i] = i;
      // Neighbours stay near each other, as the contacts of a frame do.
      constexpr size_t kNear = 4096;
      for (size_t i = 0; i + 1 < order.size(); ++i) std::swap(order[i], order[i + chance.Below(std::min(kNear, order.size() - i))]);
    }
    const double start = WallSeconds();
    Run(database.get(), "BEGIN IMMEDIATE");
    for (size_t t = 0; t < all.size(); ++t) {
      for (const size_t row : orders[t]) {
        for (size_t c = 0; c < all[t].columns; ++c)
          ::sqlite3_bind_value(upserts[t].get(), static_cast<int>(c) + 1, all[t].values[row * all[t].columns + c].get());
        Step(database.get(), upserts[t].get());
        ++cost.rows;
      }
    }
    Run(database.get(), "COMMIT");
    cost.seconds = WallSeconds() - start;
  }
  Remove(path);
  return cost;
}

}  // namespace maily::bench
