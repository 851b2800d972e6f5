// Runs the SQL contract over SQLite, and tests what only it has: files that can be damaged, and locks.
#include "projections/sql/sqlite/sqlite.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
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

// Every value of a table and of an index, or why not.
Result<std::string> AllOf(Databases& databases) {
  MAILY_TRY(auto r, databases.Open("pages", Purpose::kRead));
  std::string all;
  for (const char* text : {"SELECT a, b FROM t", "SELECT b FROM t INDEXED BY by_b ORDER BY b"}) {
    MAILY_TRY(Statement * statement, r->Prepare(text));
    for (;;) {
      MAILY_TRY(const bool any, statement->Step());
      if (!any) break;
      all.append(statement->bytes(statement->column_count() - 1)).push_back('\n');
    }
    statement->Reset();
  }
  return all;
}

TEST_F(Sqlite, AFlippedBitOfAPageIsCorruptAndItsPageIsNamed) {
  const std::string path = directory_ + "/pages.db";
  {
    auto all = Make();
    auto w = all->Open("pages", Purpose::kWrite).value();
    w->Execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX by_b ON t(b)").value();
    for (int i = 0; i < 100; ++i)
      RunWith(*w->Prepare("INSERT INTO t VALUES(?1, ?2)").value(), i, std::string(200, static_cast<char>('a' + i % 26))).value();
    w->MakeDurable().value();
  }
  const std::string sound = AllOf(*Make()).value();
  const auto size = static_cast<size_t>(std::filesystem::file_size(path));
  size_t harmless = 0;
  for (size_t byte = 0; byte < size; byte += 97) {
    const auto flip = [&] {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(static_cast<std::streamoff>(byte));
      const int was = file.get();
      file.seekp(static_cast<std::streamoff>(byte));
      file.put(static_cast<char>(was ^ 1 << byte % 8));
    };
    flip();
    const auto read = AllOf(*Make());
    if (read) {
      EXPECT_EQ(*read, sound) << byte;
      ++harmless;
    } else {
      EXPECT_EQ(read.error().code, Code::kCorrupt) << byte << ": " << read.error().ToString();
      EXPECT_NE(read.error().message.find(path), std::string::npos) << read.error().message;
      if (byte >= 100) {  // the header is also looked at by SQLite itself
        EXPECT_NE(read.error().message.find(fmt::format("page {} at offset {} has", byte / 4096 + 1, byte / 4096 * 4096)),
                  std::string::npos)
            << byte << ": " << read.error().message;
      }
    }
    flip();
  }
  EXPECT_EQ(harmless, 0U) << "every page is in use";
  EXPECT_EQ(AllOf(*Make()).value(), sound);
}

TEST_F(Sqlite, ADatabaseWithoutPageChecksumsIsReadAsItIs) {
  const std::string path = directory_ + "/old.db";
  sqlite3* old = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &old), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(old, "PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(7)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(old);
  auto w = Make()->Open("old", Purpose::kWrite).value();
  w->Execute("INSERT INTO t VALUES(8)").value();
  w->MakeDurable().value();
  Statement* sum = w->Prepare("SELECT sum(a) FROM t").value();
  ASSERT_TRUE(sum->Step().value());
  EXPECT_EQ(sum->integer(0), 15);
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
