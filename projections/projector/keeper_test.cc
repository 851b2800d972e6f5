// Two processes keep one projection group: one folds, the other looks on and takes over.
#include "projections/projector/keeper.h"

#include "maily/lists/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

using maily::lists::v1::ListCreated;

constexpr std::string_view kSchema = "CREATE TABLE names (id BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;";
constexpr std::string_view kSql =
    "-- name: names\nSELECT id, name FROM names ORDER BY id;\n"
    "-- fold: put\nINSERT INTO names (id, name) VALUES (?1, ?2);\n";

class NamesFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<NamesFold>();
    MAILY_TRY(fold->put_, setup.Prepare("put"));
    setup.handlers.On<ListCreated>([f = fold.get()](const EventAt&, const ListCreated& e) -> Result<void> {
      return sql::Do(*f->put_, e.list_id(), std::string_view(e.name()));
    });
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  sql::Statement* put_ = nullptr;
};

const Group kGroup{"g", {{"names", 1, kSchema, kSql, {{"names", TableKind::kFolded}}, &NamesFold::Make}}};
constexpr Duration kLease = Milliseconds(300);

class KeeperTest : public ProjectionFixture {
 protected:
  // A process. It runs only while the test runs its executor: one that is left alone sleeps.
  struct Process {
    Process(KeeperTest& test, const std::string& name, bool folds = true)
        : executor(test.executors.emplace_back()),
          databases(test.place.Open()),
          views(*databases, std::vector{GroupQueries{.group = "g", .queries_sql = {kSql}}}),
          keeper(Env(test), kGroup, views, {.holder = name, .folds = folds, .lease = kLease, .turn = Milliseconds(50)}) {
      keeper.Start([this](Result<void> started) { ready = started.has_value(); });
    }
    ~Process() {
      bool ended = false;
      keeper.Stop([&] { ended = true; });
      while (!ended) executor.RunOne();
    }
    ProjectionEnvironment Env(KeeperTest& test) {
      return {.databases = *databases,
              .executor = executor,
              .clock = executor,
              .partition_count = 2,
              .open_reader = [&test](PartitionId p, const journal::Position& from) { return test.journal.Open(p, from); },
              .journal_end = [&test](PartitionId p) { return test.journal.End(p); }};
    }
    bool folds() const { return keeper.folding() != nullptr; }
    size_t rows() {
      const auto rows = views.Query("names");
      return rows ? rows->size() : 0;
    }

    ManualExecutor& executor;
    std::unique_ptr<sql::Databases> databases;
    Views views;
    Keeper keeper;
    bool ready = false;
  };

  std::deque<ManualExecutor> executors;  // the journal posts to those of processes that are gone, too

  void Happens(uint64_t id) {
    ListCreated event;
    event.set_list_id(id);
    event.set_name("n");
    FakeDecision decision;
    decision.With(event);
    journal.Add(static_cast<uint16_t>(id % 2), Instant{1'700'000'000'000'000}, {std::move(decision)});
  }
  // Lets these run until `reached`, or for ten seconds of the database's time, which is the real one.
  static bool Until(std::initializer_list<Process*> running, const std::function<bool()>& reached) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!reached() && std::chrono::steady_clock::now() < end) {
      for (Process* process : running) process->executor.RunOne();
    }
    return reached();
  }
};

TEST_F(KeeperTest, OneFoldsTheOtherLooksOnAndTakesOverWhenItSleeps) {
  if (!test::OnPostgres()) GTEST_SKIP() << "skipped: a directory of SQLite has one process";
  Process a(*this, "a");
  Happens(1);
  ASSERT_TRUE(Until({&a}, [&] { return a.ready && a.rows() == 1; }));
  Process b(*this, "b");
  ASSERT_TRUE(Until({&a, &b}, [&] { return b.ready && b.rows() == 1; }));
  EXPECT_TRUE(a.folds());
  EXPECT_FALSE(b.folds());
  EXPECT_EQ(b.keeper.holder(), "a");
  EXPECT_EQ(b.keeper.Status().positions.size(), 2u);

  // a sleeps through its lease.
  ASSERT_TRUE(Until({&b}, [&] { return b.folds(); }));
  Happens(2);
  Happens(3);
  ASSERT_TRUE(Until({&b}, [&] { return b.rows() == 3; }));
  // a wakes, finds itself overtaken, and looks on.
  ASSERT_TRUE(Until({&a, &b}, [&] { return !a.folds(); }));
  Happens(4);
  ASSERT_TRUE(Until({&a, &b}, [&] { return a.rows() == 4 && b.rows() == 4; }));
  EXPECT_TRUE(b.folds());
  EXPECT_EQ(a.keeper.holder(), "b");
}

TEST_F(KeeperTest, OneThatStopsGivesTheLeaseBack) {
  if (!test::OnPostgres()) GTEST_SKIP() << "skipped: a directory of SQLite has one process";
  auto a = std::make_unique<Process>(*this, "a");
  Happens(1);
  ASSERT_TRUE(Until({a.get()}, [&] { return a->ready; }));
  Process b(*this, "b");
  Process c(*this, "c", false);
  ASSERT_TRUE(Until({a.get(), &b, &c}, [&] { return b.ready && c.ready; }));
  a.reset();
  ASSERT_TRUE(Until({&b}, [&] { return b.folds(); }));
  Happens(2);
  ASSERT_TRUE(Until({&b, &c}, [&] { return c.rows() == 2; }));
  EXPECT_FALSE(c.folds());
}

TEST_F(KeeperTest, AloneItFoldsAtOnce) {
  Process a(*this, "a");
  Happens(1);
  ASSERT_TRUE(Until({&a}, [&] { return a.ready && a.rows() == 1; }));
  EXPECT_TRUE(a.folds());
}

}  // namespace
}  // namespace maily::projections
