// Where a test keeps its databases: SQLite in a directory of its own; or PostgreSQL, where ctest runs the test with MAILY_SQL=postgres.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "projections/sql/postgres/postgres.h"
#include "projections/sql/postgres/test_database.h"
#include "projections/sql/sqlite/sqlite.h"

namespace maily::test {

inline bool OnPostgres() {
  const char* engine = std::getenv("MAILY_SQL");
  return engine != nullptr && std::string_view(engine) == "postgres";
}
// PostgreSQL is wanted, and there is none: the test says so and skips.
inline bool NoEngine() { return OnPostgres() && sql::TestDatabase::ServerUrl().empty(); }

// An empty place, which goes with this. One at a time in a process.
class Databases {
 public:
  Databases() {
    if (NoEngine()) return;
    if (OnPostgres()) {
      postgres_ = std::make_unique<sql::TestDatabase>();
    } else {
      char name[] = "/tmp/maily-databases-XXXXXX";
      directory_ = ::mkdtemp(name);
    }
  }
  ~Databases() {
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }
  Databases(const Databases&) = delete;
  Databases& operator=(const Databases&) = delete;

  // The place, opened once more. Null where NoEngine.
  std::unique_ptr<sql::Databases> Open() const {
    if (NoEngine()) return nullptr;
    if (postgres_ != nullptr) return sql::OpenPostgres({.url = postgres_->url(), .lock_wait = Milliseconds(10)}).value();
    return sql::OpenSqlite({.directory = directory_, .busy_wait = Milliseconds(10)}).value();
  }
  // The place as it is after the process that has it open was killed.
  std::unique_ptr<sql::Databases> AfterKill() {
    if (postgres_ != nullptr) {
      postgres_->EndSessions();
      return Open();
    }
    const std::string killed = directory_ + "/killed";
    std::filesystem::create_directory(killed);
    for (const auto& file : std::filesystem::directory_iterator(directory_)) {
      if (file.is_regular_file()) std::filesystem::copy(file.path(), killed + "/" + file.path().filename().string());
    }
    return sql::OpenSqlite({.directory = killed}).value();
  }

 private:
  std::string directory_;
  std::unique_ptr<sql::TestDatabase> postgres_;
};

}  // namespace maily::test
