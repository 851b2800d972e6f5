// Runs the SQL contract over PostgreSQL, and tests what only it has: sessions that end, locks, gathering and pipelining.
#include "projections/sql/postgres/postgres.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
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

// A server's login and two analysts', under the roles of deploy/postgres-roles.sql.
class PostgresRoles : public Postgres {
 protected:
  void SetUp() override {
    Postgres::SetUp();
    if (!database_) return;
    std::ifstream script(std::string(std::getenv("MAILY_SOURCE_DIR")) + "/deploy/postgres-roles.sql");
    database_->Run(std::string(std::istreambuf_iterator<char>(script), {}));
    for (const char* login : {"test_server", "test_ann", "test_ben"}) {
      database_->Run(fmt::format("DO $$ BEGIN IF to_regrole('{0}') IS NULL THEN CREATE ROLE {0} LOGIN; END IF; END $$", login));
    }
    database_->Run("GRANT maily_owner, maily_writer TO test_server; GRANT maily_analyst TO test_ann, test_ben");
    all_ = OpenPostgres({.url = As("test_server"), .lock_wait = Milliseconds(50), .private_tables = {"secrets"}}).value();
    database_->Run("INSERT INTO maily.analysts VALUES ('test_ann', 1), ('test_ben', 2)");
    for (const char* version : {"g-v1", "g-v2"}) {
      auto w = all_->Open(version, Purpose::kWrite).value();
      w->Execute(
           "-- What is sent.\nCREATE TABLE sends (\n  tenant BIGINT NOT NULL,\n  n BIGINT  -- how many\n);\n"
           "CREATE TABLE secrets (tenant BIGINT NOT NULL, word TEXT);\nCREATE TABLE kinds (kind BIGINT, name TEXT);\n"
           "INSERT INTO kinds VALUES (1, 'one');")
          .value();
      w->Begin().value();
      for (const int64_t tenant : {1, 2, 2}) Do(*w->Prepare("INSERT INTO sends (tenant, n) VALUES (?1, ?2)").value(), tenant, 1).value();
      w->Commit().value();
      w->MakeDurable().value();
    }
    all_->SetLive("g", {"g-v1", ""}).value();
  }
  void TearDown() override {
    if (database_) database_->Run("REVOKE CREATE ON DATABASE " + database_->Run("SELECT current_database()") + " FROM maily_owner");
  }
  std::string As(const std::string& login) const { return database_->url() + "&user=" + login; }
  // Asks as an analyst.
  static int64_t Ask(const TestDatabase& as, const std::string& sql) { return std::stoll("0" + as.Run(sql)); }
  TestDatabase Login(const std::string& login) const { return database_->With("user=" + login); }
  std::unique_ptr<Databases> all_;
};

TEST_F(PostgresRoles, AnAnalystSeesTheRowsOfHisTenantsOnlyAndWithoutRowSecurityAll) {
  const TestDatabase ann = Login("test_ann");
  const TestDatabase ben = Login("test_ben");
  EXPECT_EQ(Ask(ann, "SELECT count(*) FROM analytics.sends"), 1);
  EXPECT_EQ(Ask(ben, "SELECT count(*) FROM analytics.sends"), 2);
  EXPECT_EQ(Ask(ben, "SELECT count(*) FROM analytics.sends WHERE tenant = 1"), 0);
  EXPECT_EQ(Ask(ben, "SELECT count(*) FROM \"g-v1\".sends"), 2);
  EXPECT_EQ(Ask(ann, "SET maily.tenant = 2; SET ROLE maily_analyst; SELECT count(*) FROM analytics.sends"), 1);
  EXPECT_EQ(Ask(ann, "SELECT count(*) FROM analytics.kinds"), 1);
  // The rows are apart by this alone.
  database_->Run("ALTER TABLE \"g-v1\".sends DISABLE ROW LEVEL SECURITY");
  EXPECT_EQ(Ask(ann, "SELECT count(*) FROM analytics.sends"), 3);
}

TEST_F(PostgresRoles, TheExaminationSeesRolesAndTheirAbsence) {
  const auto says = [](const std::string& url, std::string_view what) {
    std::string all;
    for (const PostgresFinding& found : ExaminePostgres({.url = url})) all += found.detail + "\n";
    return all.find(what) != std::string::npos;
  };
  EXPECT_TRUE(says(As("test_server"), "roles are in use"));
  EXPECT_TRUE(says(As("test_ann"), "no roles"));
  EXPECT_TRUE(says(As("test_ann"), "may not create schemas"));
  const auto down = ExaminePostgres({.url = "host=/nowhere dbname=x password=geheim"});
  ASSERT_EQ(down.size(), 1u);
  EXPECT_EQ(down[0].level, PostgresFinding::Level::kFail);
  EXPECT_EQ(down[0].detail.find("geheim"), std::string::npos);
}

TEST_F(PostgresRoles, AnAnalystCannotWriteNorReadWhatIsPrivate) {
  const TestDatabase ann = Login("test_ann");
  EXPECT_EQ(Ask(ann, "SELECT count(*) FROM analytics.sends"), 1);
  for (const char* sql :
       {"UPDATE analytics.sends SET n = 9", "DELETE FROM \"g-v1\".sends", "SELECT * FROM \"g-v1\".secrets",
        "SELECT * FROM analytics.secrets", "INSERT INTO maily.analysts VALUES ('test_ann', 2)", "SELECT * FROM maily.live",
        "SET ROLE maily_owner", "CREATE SCHEMA own", "ALTER TABLE \"g-v1\".sends DISABLE ROW LEVEL SECURITY"}) {
    EXPECT_FALSE(ann.Succeeds(sql)) << sql;
  }
}

TEST_F(PostgresRoles, ASwitchMovesTheViewsWithTheirCommentsWhileAQueryRuns) {
  const TestDatabase ann = Login("test_ann");
  database_->Run("GRANT USAGE ON SCHEMA analytics TO maily_writer; GRANT SELECT ON analytics.sends TO maily_writer");
  auto reader = all_->Open("g-v1", Purpose::kRead).value();
  reader->Begin().value();
  EXPECT_EQ(Integer(*reader, "SELECT count(*) FROM analytics.sends"), 3);  // holds a lock on the old view
  for (const char* live : {"g-v2", "g-v1", "g-v2"}) {
    all_->SetLive("g", {live, "g-v1"}).value();
    EXPECT_EQ(database_->Run("SELECT string_agg(DISTINCT view_schema || '.' || table_schema, ' ') FROM information_schema.view_table_usage "
                             "WHERE view_schema = 'analytics'"),
              std::string("analytics.") + live);
  }
  EXPECT_EQ(Ask(ann, "SELECT count(*) FROM analytics.sends"), 1);
  EXPECT_EQ(database_->Run("SELECT obj_description('analytics.sends'::regclass) || col_description('analytics.sends'::regclass, 2)"),
            "What is sent.how many");
  reader->Commit().value();
}

TEST_F(PostgresRoles, TheServerWritesRowsUnderARoleThatCannotDropThem) {
  auto w = all_->Open("g-v1", Purpose::kWrite).value();
  EXPECT_EQ(RunWith(*w->Prepare("UPDATE sends SET n = 5 WHERE tenant = ?1").value(), 2).value(), 2);
  EXPECT_EQ(w->Prepare("DROP TABLE sends").value()->Run().error().code, Code::kInvalid);
  EXPECT_EQ(Integer(*w, "SELECT count(*) FROM sends"), 3);
  all_->Drop("g-v2").value();
  EXPECT_EQ(all_->List().value(), std::vector<std::string>{"g-v1"});
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
