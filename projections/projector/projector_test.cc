// Tests following, fencing, digests, rebuild and switch, with a read model made for it.
#include "projections/projector/projector.h"

#include <gtest/gtest.h>

#include <random>

#include "maily/lists/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

using maily::lists::v1::ListCreated;
using maily::lists::v1::MemberJoined;

constexpr std::string_view kSchema =
    "CREATE TABLE names (tenant BIGINT NOT NULL, id BIGINT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (tenant, id)) WITHOUT ROWID;\n"
    "CREATE TABLE joined (tenant BIGINT NOT NULL PRIMARY KEY, n BIGINT NOT NULL);";
constexpr std::string_view kSql =
    "-- name: names\nSELECT id, name FROM names ORDER BY id;\n"
    "-- name: joined\nSELECT n FROM joined;\n"
    "-- fold: put\nINSERT INTO names (tenant, id, name) VALUES (?1, ?2, ?3) ON CONFLICT (tenant, id) DO UPDATE SET name = ?3;\n"
    "-- fold: add\nINSERT INTO joined (tenant, n) VALUES (?1, ?2) ON CONFLICT (tenant) DO UPDATE SET n = joined.n + ?2;";

class NamesFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<NamesFold>();
    MAILY_TRY(fold->put_, setup.Prepare("put"));
    MAILY_TRY(fold->add_, setup.Prepare("add"));
    setup.handlers.On<ListCreated>([f = fold.get()](const EventAt& at, const ListCreated& e) -> Result<void> {
      MAILY_TRY([[maybe_unused]] auto rows, sql::RunWith(*f->put_, at.tenant.value(), e.list_id(), std::string_view(e.name())));
      return Ok();
    });
    setup.handlers.On<MemberJoined>([f = fold.get()](const EventAt& at, const MemberJoined&) -> Result<void> {
      ++f->joined_[at.tenant.value()];
      return Ok();
    });
    return std::unique_ptr<Fold>(std::move(fold));
  }
  Result<void> Flush() override {
    for (const auto& [tenant, n] : joined_) {
      MAILY_TRY([[maybe_unused]] auto rows, sql::RunWith(*add_, tenant, n));
    }
    joined_.clear();
    return Ok();
  }

 private:
  sql::Statement* put_ = nullptr;
  sql::Statement* add_ = nullptr;
  std::map<uint32_t, int64_t> joined_;
};

Group NamesGroup(uint32_t version = 1) {
  return {"g", {{"names", version, kSchema, kSql, {{"names", TableKind::kFolded}, {"joined", TableKind::kFolded}}, &NamesFold::Make}}};
}

ListCreated Created(uint64_t id, const std::string& name) {
  ListCreated event;
  event.set_list_id(id);
  event.set_name(name);
  return event;
}
MemberJoined Joined(uint64_t ordinal) {
  MemberJoined event;
  event.set_ordinal(ordinal);
  return event;
}

class ProjectionTest : public FoldFixture {
 protected:
  ProjectionTest() : FoldFixture(NamesGroup()) {}

  // Stops, and starts again over the same files.
  void Restart() {
    projection->Stop([] {});
    executor.Drain();
    projection.reset();
    views.reset();
  }
};

TEST_F(ProjectionTest, RowsAndPositionMoveTogetherAndReadersWaitForThem) {
  Fold();
  EXPECT_TRUE(Ask("names").empty());
  int told = 0;
  views->freshness().Wait("g", {{PartitionId(1), 1, Offset(1), 0}}, Seconds(1), executor, [&](bool fresh) { told += fresh ? 1 : 100; });
  journal.Add(1, now, {FakeDecision{}.With(Created(7, "news")).With(Joined(1)), FakeDecision{}.With(Joined(2))});
  Fold();
  EXPECT_EQ(told, 1);
  EXPECT_EQ(Ask("names").at(0, "name"), Value::Text("news"));
  EXPECT_EQ(Ask("joined").at(0, "n"), Value::Integer(2));
  const auto positions = ReadPositions(*databases->Open("g-v1", sql::Purpose::kRead).value()).value();
  EXPECT_EQ(positions[1].lsn, Lsn(2));
  EXPECT_TRUE(positions[0].at_genesis);
}

TEST_F(ProjectionTest, ARestartGoesOnWhereTheRowsStand) {
  Happens(0, Joined(1));
  Restart();
  journal.Add(0, now, {FakeDecision{}.With(Joined(2))});
  Fold();
  EXPECT_EQ(Ask("joined").at(0, "n"), Value::Integer(2));
  EXPECT_EQ(projection->Status().live, "g-v1");
}

TEST_F(ProjectionTest, AProjectorThatWasOvertakenIsFenced) {
  Happens(0, Joined(1));
  std::vector<Error> errors;
  auto stale = Projector::Open(Environment(), group, "g-v1", Mode::kLive, {},
                               {.committed = {}, .stopped = [&](const Error& e) { errors.push_back(e); }})
                   .value();
  Happens(0, Joined(2));
  stale->Start();
  executor.Drain();
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].code, Code::kFenced);
  EXPECT_EQ(Ask("joined").at(0, "n"), Value::Integer(2));
  stale->Stop();
}

TEST_F(ProjectionTest, ALockedDatabaseIsTriedAgain) {
  Happens(0, Joined(1));
  auto other = databases->Open("g-v1", sql::Purpose::kWrite).value();
  other->Begin().value();
  journal.Add(0, now, {FakeDecision{}.With(Joined(2))});
  const Duration before = executor.Steady();
  while (executor.Steady() < before + Milliseconds(900)) ASSERT_TRUE(executor.RunOne());
  EXPECT_EQ(Ask("joined").at(0, "n"), Value::Integer(1));
  other->Rollback();
  executor.Drain();
  EXPECT_EQ(Ask("joined").at(0, "n"), Value::Integer(2));
  EXPECT_EQ(projection->Status().stopped, "");
}

// Databases whose next commit takes place or does not, and whose answer is lost.
class LosesAnAnswer final : public sql::Databases {
 public:
  enum class Next { kAnswers, kCommitsUnheard, kIsTakenBack };
  explicit LosesAnAnswer(sql::Databases& all) : all_(all) {}
  Result<std::unique_ptr<sql::Connection>> Open(const std::string& name, sql::Purpose purpose) override {
    MAILY_TRY(auto opened, all_.Open(name, purpose));
    return std::unique_ptr<sql::Connection>(std::make_unique<Connection>(*this, std::move(opened)));
  }
  Result<std::vector<std::string>> List() override { return all_.List(); }
  Result<void> Drop(const std::string& name) override { return all_.Drop(name); }
  Result<void> Checkpoint(const std::string& name) override { return all_.Checkpoint(name); }
  Result<std::optional<sql::LivePointer>> Live(const std::string& g) override {
    if (away-- > 0) return Fail(Code::kRetry, "the server does not answer");
    return all_.Live(g);
  }
  Result<void> SetLive(const std::string& g, const sql::LivePointer& pointer) override { return all_.SetLive(g, pointer); }
  Result<Held> Hold(const std::string& g, const std::string& holder, Duration lease) override { return all_.Hold(g, holder, lease); }
  Result<std::string> Holder(const std::string& g) override { return all_.Holder(g); }
  Result<void> Release(const std::string& g, const std::string& holder) override { return all_.Release(g, holder); }

  Next next = Next::kAnswers;
  int away = 0;  // so many calls of Live fail

 private:
  class Connection final : public sql::Connection {
   public:
    Connection(LosesAnAnswer& owner, std::unique_ptr<sql::Connection> real) : owner_(owner), real_(std::move(real)) {}
    Result<sql::Statement*> Prepare(std::string_view sql) override { return real_->Prepare(sql); }
    Result<void> Execute(std::string_view sql) override { return real_->Execute(sql); }
    Result<void> Begin() override { return real_->Begin(); }
    Result<void> Commit() override {
      const Next what = std::exchange(owner_.next, Next::kAnswers);
      if (what == Next::kIsTakenBack) real_->Rollback();
      if (what != Next::kIsTakenBack) MAILY_TRY_VOID(real_->Commit());
      if (what == Next::kAnswers) return Ok();
      return Fail(Code::kRetry, "the connection was lost");
    }
    void Rollback() override { real_->Rollback(); }
    int64_t unplaced_bytes() const override { return real_->unplaced_bytes(); }
    Result<void> Checkpoint() override { return real_->Checkpoint(); }
    Result<void> MakeDurable() override { return real_->MakeDurable(); }

   private:
    LosesAnAnswer& owner_;
    std::unique_ptr<sql::Connection> real_;
  };
  sql::Databases& all_;
};

TEST_F(ProjectionTest, ACommitWhoseAnswerWasLostIsReadAgain) {
  LosesAnAnswer losing(*databases);
  std::vector<Lsn> told;
  auto projector = Projector::Open(EnvironmentOf(losing), group, "g-v1", Mode::kLive, {},
                                   {.committed = [&](const auto& changed) { told.push_back(changed.at(0).lsn); },
                                    .stopped = [](const Error& e) { FAIL() << e.message; }})
                       .value();
  projector->Start();
  executor.Drain();
  int joined = 0;
  for (const auto next : {LosesAnAnswer::Next::kCommitsUnheard, LosesAnAnswer::Next::kIsTakenBack, LosesAnAnswer::Next::kAnswers}) {
    losing.next = next;
    journal.Add(0, now, {FakeDecision{}.With(Joined(1))});
    executor.Drain();
    EXPECT_EQ(projector->positions()[0].lsn, Lsn(static_cast<uint64_t>(++joined)));
  }
  EXPECT_EQ(told, (std::vector<Lsn>{Lsn(1), Lsn(2), Lsn(3)}));
  sql::Statement* n = projector->connection().Prepare("SELECT n FROM joined").value();
  ASSERT_TRUE(n->Step().value());
  EXPECT_EQ(n->integer(0), 3);
  n->Reset();
  projector->Stop();
}

TEST_F(ProjectionTest, AServerThatDoesNotAnswerAtTheStartIsAskedAgain) {
  LosesAnAnswer losing(*databases);
  losing.away = 2;
  Views other(losing, {{"g", {kSql}}});
  Projection waiting(EnvironmentOf(losing), group, other);
  int ready = 0;
  waiting.Start([&](Result<void> started) { ready += started ? 1 : 100; });
  executor.RunOne();
  EXPECT_NE(waiting.Status().stopped.find("does not answer"), std::string::npos);
  executor.Drain();
  EXPECT_EQ(ready, 1);
  EXPECT_EQ(waiting.Status().stopped, "");
  waiting.Stop([] {});
  executor.Drain();
}

TEST_F(ProjectionTest, AnEventThatIsNotUnderstoodStopsIt) {
  damaged = true;
  Happens(0, Joined(1));
  journal.Add(0, now, {FakeDecision{.events = {{9999, "?"}}}});
  executor.Drain();
  EXPECT_NE(projection->Status().stopped.find("upgrade"), std::string::npos);
}

TEST_F(ProjectionTest, APayloadThatIsNoneOfItsTypeIsCorruptAndNamed) {
  damaged = true;
  Happens(0, Joined(1));
  journal.Add(0, now, {FakeDecision{.events = {{TypeNumberOf<ListCreated>(), "\xff\xff"}}}});
  executor.Drain();
  EXPECT_NE(projection->Status().stopped.find("partition 0, lsn 2"), std::string::npos);
}

TEST_F(ProjectionTest, TheDigestDoesNotDependOnTheOrderOfPartitions) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 50; ++i) {
    const auto p = static_cast<uint16_t>(random() % 2);
    journal.Add(p, now, {FakeDecision{}.With(Created(p * 1000u + random() % 20, std::to_string(random() % 5))).With(Joined(1))});
    if (random() % 3 == 0) Fold();
  }
  Fold();
  const std::string before = Digest().ToHex();
  RebuildGivesTheSame();
  Happens(0, Joined(1));
  EXPECT_NE(Digest().ToHex(), before);
}

TEST_F(ProjectionTest, ARebuildSwitchesWholeAndKeepsTheOldVersionForRollback) {
  for (int i = 0; i < 10; ++i) Happens(static_cast<uint16_t>(i % 2), Created(static_cast<uint64_t>(i), "x"));
  bool done = false;
  projection->Rebuild(Projection::Then::kSwitch, [&](Result<RebuildStatus> built) {
    EXPECT_TRUE(built->compared);
    EXPECT_EQ(built->phase, RebuildPhase::kDone);
    done = true;
  });
  Code second = Code::kFatal;
  projection->Rebuild(Projection::Then::kSwitch, [&](Result<RebuildStatus> built) { second = built.error().code; });
  // Frames keep coming, and readers see every row at every moment.
  uint64_t added = 0;
  while (executor.RunOne()) {
    EXPECT_GE(Ask("names").size(), 10u);
    if (!done && added < 5) {
      journal.Add(1, now, {FakeDecision{}.With(Created(100 + added, "y"))});
      ++added;
    }
  }
  EXPECT_TRUE(done);
  EXPECT_EQ(second, Code::kConflict);
  EXPECT_EQ(Ask("names").size(), 15u);
  EXPECT_EQ(projection->Status().live, "g-v2");
  EXPECT_EQ(projection->Status().previous, "g-v1");
  Happens(0, Created(200, "z"));
  projection->Rollback([](Result<void> back) { back.value(); });
  executor.Drain();
  EXPECT_EQ(projection->Status().live, "g-v1");
  EXPECT_EQ(Ask("names").size(), 16u);
  EXPECT_EQ(databases->Live("g").value(), (sql::LivePointer{"g-v1", "g-v2"}));
}

TEST_F(ProjectionTest, ARebuildThatDiffersLeavesTheLiveVersion) {
  damaged = true;
  Happens(0, Created(1, "x"));
  databases->Open("g-v1", sql::Purpose::kWrite).value()->Execute("UPDATE names SET name = 'damaged'").value();
  std::string why;
  projection->Rebuild(Projection::Then::kSwitch, [&](Result<RebuildStatus> built) { why = built.error().ToString(); });
  executor.Drain();
  EXPECT_NE(why.find("diverged"), std::string::npos);
  EXPECT_NE(why.find("names"), std::string::npos);
  EXPECT_EQ(projection->Status().live, "g-v1");
  EXPECT_EQ(databases->List().value(), std::vector<std::string>{"g-v1"});
}

TEST_F(ProjectionTest, DeletedReadModelsAreBuiltAgainBeforeAnyQueryIsAnswered) {
  for (int i = 0; i < 10; ++i) Happens(static_cast<uint16_t>(i % 2), Created(static_cast<uint64_t>(i), "x"));
  const std::string digest = Digest().ToHex();
  Restart();
  databases->Drop("g-v1").value();
  GroupQueries queries{"g", {kSql}};
  views = std::make_unique<Views>(*databases, std::vector{queries});
  projection = std::make_unique<Projection>(Environment(), group, *views);
  projection->Start([](Result<void> started) { started.value(); });
  while (executor.RunOne()) {
    auto rows = views->Query("names");
    if (rows) {
      EXPECT_EQ(rows->size(), 10u);
    }
  }
  EXPECT_EQ(Ask("names").size(), 10u);
  EXPECT_EQ(Digest().ToHex(), digest);
}

TEST_F(ProjectionTest, AFirstBuildGoesLiveWhileFramesKeepComing) {
  for (int i = 0; i < 10; ++i) journal.Add(0, now, {FakeDecision{}.With(Created(static_cast<uint64_t>(i), "x"))});
  views = std::make_unique<Views>(*databases, std::vector{GroupQueries{"g", {kSql}}});
  projection = std::make_unique<Projection>(Environment(), group, *views);
  bool ready = false;
  projection->Start([&](Result<void> started) {
    started.value();
    ready = true;
  });
  for (uint64_t i = 0; !ready && i < 1000; ++i) {
    journal.Add(static_cast<uint16_t>(i % 2), now, {FakeDecision{}.With(Created(100 + i, "y"))});
    executor.RunOne();
  }
  EXPECT_TRUE(ready);
  executor.Drain();
  EXPECT_EQ(projection->Status().lag_records, 0u);
  RebuildGivesTheSame();
}

TEST_F(ProjectionTest, ARebuildThatWasKilledLeavesNothing) {
  for (int i = 0; i < 10; ++i) Happens(0, Created(static_cast<uint64_t>(i), "x"));
  projection->Rebuild(Projection::Then::kSwitch, [](Result<RebuildStatus>) { FAIL() << "it was killed"; });
  for (int i = 0; i < 3; ++i) executor.RunOne();
  EXPECT_EQ(databases->List().value().size(), 2u);
  // Killed: nothing is stopped in order; the next start finds what stands there.
  auto copy = place.AfterKill();
  ManualExecutor other;
  ProjectionEnvironment env = EnvironmentOf(*copy);
  ProjectionEnvironment restarted_env{.databases = *copy,
                                      .executor = other,
                                      .clock = other,
                                      .partition_count = 2,
                                      .open_reader = env.open_reader,
                                      .journal_end = env.journal_end};
  Views other_views(*copy, {{"g", {kSql}}});
  Projection restarted(restarted_env, group, other_views);
  restarted.Start([](Result<void> started) { started.value(); });
  other.Drain();
  EXPECT_EQ(copy->List().value(), std::vector<std::string>{"g-v1"});
  EXPECT_EQ(other_views.Query("names").value().size(), 10u);
  restarted.Stop([] {});
  other.Drain();
  damaged = true;
}

TEST_F(ProjectionTest, AnotherVersionOfAReadModelIsRebuiltWhileTheOldOneAnswers) {
  for (int i = 0; i < 10; ++i) Happens(0, Created(static_cast<uint64_t>(i), "x"));
  Restart();
  group = NamesGroup(2);
  views = std::make_unique<Views>(*databases, std::vector{GroupQueries{"g", {kSql}}});
  projection = std::make_unique<Projection>(Environment(), group, *views);
  projection->Start([](Result<void> started) { started.value(); });
  executor.RunOne();
  EXPECT_EQ(views->live("g"), "g-v1");
  EXPECT_EQ(Ask("names").size(), 10u);
  executor.Drain();
  EXPECT_EQ(projection->Status().live, "g-v2");
  EXPECT_EQ(Ask("names").size(), 10u);
}

TEST_F(ProjectionTest, LagIsReportedInRecordsAndSeconds) {
  observe::Metrics metrics;
  Happens(0, Joined(1));
  projection->Report(metrics);
  EXPECT_NE(metrics.PrometheusText().find("maily_projection_lag_records{projection=\"g\",partition=\"0\"} 0"), std::string::npos)
      << metrics.PrometheusText();
  journal.Add(0, now, {FakeDecision{}.With(Joined(2))});
  EXPECT_EQ(projection->Status().lag_records, 1u);
  EXPECT_GT(projection->Status().lag.us, 0);
  executor.Drain();
  EXPECT_EQ(projection->Status().lag_records, 0u);
  Restart();
}

}  // namespace
}  // namespace maily::projections
