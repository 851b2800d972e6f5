// Runs the SQL contract over SQLite, and tests what only it has: files that can be damaged, and locks.
#include "projections/sql/sqlite/sqlite.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/contract/sql_contract.h"

namespace maily::sql {
namespace {

class Sqlite : public testing::Test {
 protected:
  Sqlite() {
    char name[] = "/tmp/maily-sqlite-XXXXXX";
    directory_ = ::mkdtemp(name);
  }
  ~Sqlite() override { std::filesystem::remove_all(directory_); }
  std::unique_ptr<Databases> Make() { return OpenSqlite({.directory = directory_, .busy_wait = Milliseconds(10)}).value(); }
  std::string directory_;
};

TEST_F(Sqlite, KeepsTheContract) {
  SqlContract([this] { return Make(); }).RunAll();
}

TEST_F(Sqlite, ADamagedFileIsCorruptAndNamed) {
  {
    std::ofstream(directory_ + "/bad.db") << std::string(8192, 'x');
  }
  const auto opened = Make()->Open("bad", Purpose::kRead);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Code::kCorrupt);
  EXPECT_NE(opened.error().message.find("/bad.db"), std::string::npos);
}

TEST_F(Sqlite, ATornPointerIsCorrupt) {
  {
    std::ofstream(directory_ + "/g.live") << "g-v1";
  }
  EXPECT_EQ(Make()->Live("g").error().code, Code::kCorrupt);
}

TEST_F(Sqlite, TheWriteAheadFileIsMeasuredAndPutInPlace) {
  auto all = Make();
  auto w = all->Open("wal", Purpose::kWrite).value();
  w->Execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)").value();
  const std::string text(2000, 'x');
  for (int i = 0; i < 100; ++i) RunWith(*w->Prepare("INSERT INTO t VALUES(?1, ?2)").value(), i, std::string_view(text)).value();
  const int64_t before = w->unplaced_bytes();
  EXPECT_GT(before, 100'000);
  all->Checkpoint("wal").value();
  RunWith(*w->Prepare("INSERT INTO t VALUES(?1, ?2)").value(), 1000, std::string_view(text)).value();
  EXPECT_LT(w->unplaced_bytes(), before / 4);
}

}  // namespace
}  // namespace maily::sql
