// What every adapter of the SQL port must keep; each adapter's own test runs this over its own Databases.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "projections/sql/sql.h"

namespace maily::sql {

class SqlContract {
 public:
  // `make` opens the databases of an empty place; a second call opens the same place again.
  explicit SqlContract(std::function<std::unique_ptr<Databases>()> make) : make_(std::move(make)) {}

  void RunAll() {
    ValuesComeBackAsTheyWere();
    WhatIsNoTextIsReplaced();
    WhatIsSentIsSeenCountedAndShown();
    ARolledBackTransactionLeavesNothing();
    AReaderKeepsItsSnapshotAndNeverWaits();
    ASecondWriterIsToldToRetryAndReadersGoOn();
    AReaderCannotWrite();
    AWrongStatementIsInvalidAndTheConnectionGoesOn();
    CommittedRowsSurviveReopening();
    ABuiltDatabaseBecomesDurable();
    TheLivePointerIsReplacedWhole();
    AMissingDatabaseIsNotFoundAndADroppedOneIsGone();
  }

 private:
  static int64_t Count(Connection& connection) {
    Statement* count = connection.Prepare("SELECT count(*) FROM t").value();
    EXPECT_TRUE(count->Step().value());
    const int64_t rows = count->integer(0);
    count->Reset();
    return rows;
  }
  static std::unique_ptr<Connection> Fresh(Databases& all, const std::string& name) {
    auto connection = all.Open(name, Purpose::kWrite).value();
    connection->Execute("CREATE TABLE t(a BIGINT NOT NULL PRIMARY KEY, b TEXT, c BLOB);").value();
    return connection;
  }

  void ValuesComeBackAsTheyWere() {
    auto all = make_();
    auto w = Fresh(*all, "values");
    Statement* insert = w->Prepare("INSERT INTO t VALUES(?1, ?2, ?3)").value();
    const std::string zeros("a\0b", 3);
    EXPECT_EQ(RunWith(*insert, INT64_MIN, std::string_view("grüße"), Blob{zeros}).value(), 1);
    EXPECT_EQ(RunWith(*insert, INT64_MAX, std::string_view(), std::nullopt).value(), 1);
    Statement* select = w->Prepare("SELECT a, b, c FROM t ORDER BY a").value();
    ASSERT_TRUE(select->Step().value());
    EXPECT_EQ(select->column_count(), 3);
    EXPECT_EQ(select->column_name(1), "b");
    EXPECT_EQ(select->value(0), Value::Integer(INT64_MIN));
    EXPECT_EQ(select->value(1), Value::Text("grüße"));
    EXPECT_EQ(select->value(2), Value::Blob(zeros));
    ASSERT_TRUE(select->Step().value());
    EXPECT_EQ(select->value(0), Value::Integer(INT64_MAX));
    EXPECT_EQ(select->value(1), Value::Text(""));
    EXPECT_EQ(select->value(2), Value::Null());
    EXPECT_FALSE(select->Step().value());
    select->Reset();
    Statement* named = w->Prepare("SELECT b FROM t WHERE a = :a").value();
    EXPECT_EQ(named->parameter_count(), 1);
    EXPECT_EQ(named->ParameterIndex("a"), 1);
    EXPECT_EQ(named->ParameterIndex("nothing"), 0);
    EXPECT_EQ(w->Prepare("SELECT b FROM t WHERE a = :a").value(), named);
  }

  void WhatIsNoTextIsReplaced() {
    auto all = make_();
    auto w = Fresh(*all, "text");
    const std::string bytes("a\0b\xff\xc3\xbc\xe2\x82", 8);
    RunWith(*w->Prepare("INSERT INTO t VALUES(?1, ?2, NULL)").value(), 1, std::string_view(bytes)).value();
    Statement* select = w->Prepare("SELECT b FROM t").value();
    ASSERT_TRUE(select->Step().value());
    EXPECT_EQ(select->value(0), Value::Text("a\uFFFDb\uFFFDü\uFFFD\uFFFD"));
    select->Reset();
  }

  void WhatIsSentIsSeenCountedAndShown() {
    auto all = make_();
    auto w = Fresh(*all, "sent");
    Statement* insert = w->Prepare("INSERT INTO t (a, b) VALUES (?1, ?2) ON CONFLICT (a) DO NOTHING").value();
    Statement* find = w->Prepare("SELECT b FROM t WHERE a = ?1").value();
    for (const bool transaction : {true, false}) {
      if (transaction) w->Begin().value();
      int64_t changed = 0;
      for (const int a : {1, 2, 2, 3}) {
        const std::string text = fmt::format("{}{}", transaction, a);  // gone before it is looked for
        BindAll(*insert, transaction ? a : a + 10, std::string_view(text));
        insert->SendCounting(changed).value();
      }
      std::string found;
      for (const int a : {3, 4}) {
        BindAll(*find, transaction ? a : a + 10);
        find->SendReading([&](const Statement* row) { found += row == nullptr ? "none" : row->bytes(0); }).value();
      }
      find->Settle().value();
      EXPECT_EQ(changed, 3);
      EXPECT_EQ(found, transaction ? "true3none" : "false3none");
      if (transaction) w->Commit().value();
    }
    EXPECT_EQ(Count(*w), 6);
  }

  void ARolledBackTransactionLeavesNothing() {
    auto all = make_();
    auto w = Fresh(*all, "rollback");
    w->Begin().value();
    EXPECT_EQ(RunWith(*w->Prepare("INSERT INTO t VALUES(?1, NULL, NULL)").value(), 1).value(), 1);
    w->Rollback();
    EXPECT_EQ(Count(*w), 0);
    EXPECT_EQ(RunWith(*w->Prepare("UPDATE t SET b = 'x' WHERE a = ?1").value(), 1).value(), 0);
  }

  void AReaderKeepsItsSnapshotAndNeverWaits() {
    auto all = make_();
    auto w = Fresh(*all, "snapshot");
    auto r = all->Open("snapshot", Purpose::kRead).value();
    Statement* insert = w->Prepare("INSERT INTO t VALUES(?1, NULL, NULL)").value();
    RunWith(*insert, 1).value();
    r->Begin().value();
    EXPECT_EQ(Count(*r), 1);
    w->Begin().value();
    RunWith(*insert, 2).value();
    EXPECT_EQ(Count(*r), 1);
    w->Commit().value();
    EXPECT_EQ(Count(*r), 1);
    w->Checkpoint().value();
    all->Checkpoint("snapshot").value();
    EXPECT_EQ(Count(*r), 1);
    r->Commit().value();
    EXPECT_EQ(Count(*r), 2);
  }

  void ASecondWriterIsToldToRetryAndReadersGoOn() {
    auto all = make_();
    auto first = Fresh(*all, "lock");
    auto second = all->Open("lock", Purpose::kWrite).value();
    auto reader = all->Open("lock", Purpose::kRead).value();
    first->Begin().value();
    const auto begun = second->Begin();
    ASSERT_FALSE(begun.has_value());
    EXPECT_EQ(begun.error().code, Code::kRetry);
    EXPECT_EQ(Count(*reader), 0);
    first->Commit().value();
    second->Begin().value();
    second->Commit().value();
  }

  void AReaderCannotWrite() {
    auto all = make_();
    auto w = Fresh(*all, "readonly");
    auto r = all->Open("readonly", Purpose::kRead).value();
    EXPECT_FALSE(r->Execute("DELETE FROM t").has_value());
  }

  void AWrongStatementIsInvalidAndTheConnectionGoesOn() {
    auto all = make_();
    auto w = Fresh(*all, "wrong");
    EXPECT_EQ(w->Prepare("SELEC").error().code, Code::kInvalid);
    Statement* insert = w->Prepare("INSERT INTO t VALUES(?1, NULL, NULL)").value();
    RunWith(*insert, 1).value();
    EXPECT_EQ(RunWith(*insert, 1).error().code, Code::kInvalid);
    EXPECT_EQ(RunWith(*insert, 2).value(), 1);
  }

  void CommittedRowsSurviveReopening() {
    {
      auto all = make_();
      auto w = Fresh(*all, "reopen");
      w->Begin().value();
      RunWith(*w->Prepare("INSERT INTO t VALUES(?1, NULL, NULL)").value(), 7).value();
      w->Commit().value();
    }
    auto all = make_();
    EXPECT_EQ(Count(*all->Open("reopen", Purpose::kRead).value()), 1);
  }

  void ABuiltDatabaseBecomesDurable() {
    auto all = make_();
    auto b = all->Open("build", Purpose::kBuild).value();
    b->Execute("CREATE TABLE t(a BIGINT NOT NULL PRIMARY KEY);").value();
    RunWith(*b->Prepare("INSERT INTO t VALUES(?1)").value(), 1).value();
    b->MakeDurable().value();
    EXPECT_EQ(b->unplaced_bytes(), 0);
    EXPECT_EQ(Count(*b), 1);
  }

  void TheLivePointerIsReplacedWhole() {
    {
      auto all = make_();
      EXPECT_FALSE(all->Live("group").value().has_value());
      all->SetLive("group", {"group-v1", ""}).value();
      all->SetLive("group", {"group-v2", "group-v1"}).value();
    }
    EXPECT_EQ(make_()->Live("group").value(), (LivePointer{"group-v2", "group-v1"}));
  }

  void AMissingDatabaseIsNotFoundAndADroppedOneIsGone() {
    auto all = make_();
    EXPECT_EQ(all->Open("never", Purpose::kRead).error().code, Code::kNotFound);
    Fresh(*all, "dropped").reset();
    all->Drop("dropped").value();
    all->Drop("dropped").value();
    EXPECT_EQ(all->Open("dropped", Purpose::kRead).error().code, Code::kNotFound);
    EXPECT_EQ(all->Open("../out", Purpose::kWrite).error().code, Code::kInvalid);
  }

  std::function<std::unique_ptr<Databases>()> make_;
};

}  // namespace maily::sql
