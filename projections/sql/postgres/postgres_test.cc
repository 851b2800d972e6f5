// Runs the SQL contract over PostgreSQL, and tests what only it has: sessions that end, locks, gathering and pipelining.
#include "projections/sql/postgres/postgres.h"

#include <gtest/gtest.h>

#include <optional>

#include "projections/sql/postgres/test_database.h"
#include "tests/contract/sql_contract.h"

namespace maily::sql {
namespace {

class Postgres : public testing::Test {
 protected:
  void SetUp() override {
    if (TestDatabase::ServerUrl().empty()) GTEST_SKIP() << "skipped: no PostgreSQL (scripts/setup.sh --postgres installs it)";
    database_.emplace();
  }
  std::unique_ptr<Databases> Make() { return OpenPostgres({.url = database_->url(), .lock_wait = Milliseconds(50)}).value(); }
  static int64_t Integer(Connection& connection, const std::string& sql) {
    Statement* statement = connection.Prepare(sql).value();
    EXPECT_TRUE(statement->Step().value()) << sql;
    const int64_t value = statement->integer(0);
    statement->Reset();
    return value;
  }
  std::optional<TestDatabase> database_;
};

constexpr std::string_view kTable = "CREATE TABLE t(a BIGINT NOT NULL PRIMARY KEY, b TEXT, c BLOB);";

TEST_F(Postgres, KeepsTheContract) {
  SqlContract([this] { return Make(); }).RunAll();
}

TEST_F(Postgres, RowsThatAreGatheredAreSeenByEveryLaterStatement) {
  auto w = Make()->Open("gather", Purpose::kWrite).value();
  w->Execute(kTable).value();
  Statement* insert = w->Prepare("INSERT INTO t (a, b, c) VALUES (?1, ?2, ?3)").value();
  Statement* update = w->Prepare("UPDATE t SET b = ?2 WHERE a = ?1").value();
  w->Begin().value();
  for (int i = 0; i < 2'500; ++i) {
    const std::string text = "row " + std::to_string(i);
    i % 5 == 0 ? Do(*insert, i, std::nullopt, Blob{text}).value() : Do(*insert, i, std::string_view(text), std::nullopt).value();
    if (i % 700 == 0) {
      EXPECT_EQ(Integer(*w, "SELECT count(*) FROM t"), i + 1);
    }
    if (i % 1'100 == 0) {
      EXPECT_EQ(RunWith(*update, i, std::string_view("changed")).value(), 1);
    }
  }
  w->Commit().value();
  EXPECT_EQ(Integer(*w, "SELECT count(*) FROM t"), 2'500);
  EXPECT_EQ(Integer(*w, "SELECT count(*) FROM t WHERE b = 'changed'"), 3);
  EXPECT_EQ(Integer(*w, "SELECT count(*) FROM t WHERE a % 5 = 0 AND b IS NULL"), 497);
}

TEST_F(Postgres, WhatIsSentIsCountedAndShownWhenItSettles) {
  auto w = Make()->Open("counts", Purpose::kWrite).value();
  w->Execute(kTable).value();
  Statement* once = w->Prepare("INSERT INTO t (a) VALUES (?1) ON CONFLICT (a) DO NOTHING").value();
  Statement* raise = w->Prepare("UPDATE t SET a = a + 1000 WHERE a = ?1 RETURNING a").value();
  w->Begin().value();
  int64_t even = 0;
  int64_t odd = 0;
  for (int i = 0; i < 400; ++i) {
    BindAll(*once, i % 300);
    once->SendCounting(i % 2 == 0 ? even : odd).value();
  }
  std::vector<int64_t> raised;
  for (const int a : {7, 8, 9'999}) {
    BindAll(*raise, a);
    raise->SendReading([&](const Statement* row) { raised.push_back(row == nullptr ? -1 : row->integer(0)); }).value();
  }
  raise->Settle().value();
  EXPECT_EQ(even, 150);
  EXPECT_EQ(odd, 150);
  EXPECT_EQ(raised, (std::vector<int64_t>{1'007, 1'008, -1}));
  w->Commit().value();
}

TEST_F(Postgres, AnErrorOfWhatWasSentComesAtLastFromCommitAndNothingStays) {
  auto w = Make()->Open("late", Purpose::kWrite).value();
  w->Execute(kTable).value();
  Statement* insert = w->Prepare("INSERT INTO t (a) VALUES (?1)").value();
  w->Begin().value();
  Do(*insert, 1).value();
  Do(*insert, 1).value();
  const auto committed = w->Commit();
  ASSERT_FALSE(committed.has_value());
  EXPECT_EQ(committed.error().code, Code::kInvalid);
  EXPECT_EQ(Integer(*w, "SELECT count(*) FROM t"), 0);
  w->Begin().value();
  Do(*insert, 1).value();
  w->Commit().value();
  EXPECT_EQ(Integer(*w, "SELECT count(*) FROM t"), 1);
}

TEST_F(Postgres, MoreAnswersThanASocketHoldsBlockNobody) {
  auto w = Make()->Open("flood", Purpose::kWrite).value();
  w->Execute(kTable).value();
  Statement* insert = w->Prepare("INSERT INTO t (a, b) VALUES (?1, ?2) ON CONFLICT (a) DO UPDATE SET b = ?2").value();
  w->Begin().value();
  const std::string text(200, 'x');
  for (int i = 0; i < 20'000; ++i) Do(*insert, i, std::string_view(text)).value();
  w->Commit().value();
  EXPECT_EQ(Integer(*w, "SELECT count(*) FROM t"), 20'000);
}

TEST_F(Postgres, ARowInTheMiddleOfAnAnswerDoesNotHoldTheConnection) {
  auto w = Make()->Open("stream", Purpose::kWrite).value();
  w->Execute(kTable).value();
  for (int i = 0; i < 50; ++i) Do(*w->Prepare("INSERT INTO t (a) VALUES (?1)").value(), i).value();
  Statement* all = w->Prepare("SELECT a FROM t ORDER BY a").value();
  int64_t sum = 0;
  while (all->Step().value()) {
    sum += all->integer(0);
    if (sum == 3) {
      EXPECT_EQ(Integer(*w, "SELECT count(*) FROM t"), 50);
    }
  }
  all->Reset();
  EXPECT_EQ(sum, 49 * 50 / 2);
}

TEST_F(Postgres, AReaderGetsAnotherSessionWhenItsOwnWasEnded) {
  auto all = Make();
  auto w = all->Open("ended", Purpose::kWrite).value();
  w->Execute(kTable).value();
  auto r = all->Open("ended", Purpose::kRead).value();
  EXPECT_EQ(Integer(*r, "SELECT count(*) FROM t"), 0);
  database_->EndSessions();
  EXPECT_EQ(Integer(*r, "SELECT count(*) FROM t"), 0);
  database_->EndSessions();
  r->Begin().value();
  EXPECT_EQ(Integer(*r, "SELECT count(*) FROM t"), 0);
  r->Commit().value();
  EXPECT_EQ(all->List().value(), std::vector<std::string>{"ended"});
}

TEST_F(Postgres, AWriterThatLostItsSessionSaysRetryAndLeavesNothing) {
  auto all = Make();
  auto w = all->Open("lost", Purpose::kWrite).value();
  w->Execute(kTable).value();
  Statement* insert = w->Prepare("INSERT INTO t (a) VALUES (?1)").value();
  w->Begin().value();
  Do(*insert, 1).value();
  database_->EndSessions();
  auto committed = w->Commit();
  ASSERT_FALSE(committed.has_value());
  EXPECT_EQ(committed.error().code, Code::kRetry) << committed.error().message;
  EXPECT_EQ(w->Begin().error().code, Code::kRetry);
  auto again = all->Open("lost", Purpose::kWrite).value();
  EXPECT_EQ(Integer(*again, "SELECT count(*) FROM t"), 0);
}

TEST_F(Postgres, TextSortsByBytesAndSumsAreIntegers) {
  auto w = Make()->Open("dialect", Purpose::kWrite).value();
  w->Execute(kTable).value();
  Statement* insert = w->Prepare("INSERT INTO t VALUES (?1, ?2, NULL)").value();
  Do(*insert, INT64_C(4'000'000'000'000'000'000), std::string_view("b")).value();
  Do(*insert, -5, std::string_view("B")).value();
  Do(*insert, 12'345, std::string_view("a")).value();
  Statement* sorted = w->Prepare("SELECT b FROM t ORDER BY b").value();
  std::string order;
  while (sorted->Step().value()) order += sorted->bytes(0);
  sorted->Reset();
  EXPECT_EQ(order, "Bab");
  EXPECT_EQ(Integer(*w, "SELECT sum(a) FROM t"), INT64_C(4'000'000'000'000'012'340));
  EXPECT_EQ(Integer(*w, "SELECT coalesce(sum(a), 0) FROM t WHERE a < 0"), -5);
  EXPECT_EQ(Integer(*w, "SELECT coalesce(sum(a), 0) FROM t WHERE a = 1"), 0);
}

TEST_F(Postgres, WhoCannotConnectIsToldWhetherToTryAgain) {
  EXPECT_EQ(OpenPostgres({.url = "host=/nowhere dbname=x"}).error().code, Code::kRetry);
  EXPECT_EQ(OpenPostgres({.url = TestDatabase::ServerUrl() + "&dbname=no_such_database"}).error().code, Code::kInvalid);
  const auto refused = OpenPostgres({.url = TestDatabase::ServerUrl() + "&user=nobody_knows&password=geheim"});
  EXPECT_EQ(refused.error().code, Code::kInvalid);
  EXPECT_EQ(refused.error().message.find("geheim"), std::string::npos);
}

}  // namespace
}  // namespace maily::sql
