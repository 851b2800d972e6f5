// Tests named queries on the live version, and waiting for freshness.
#include "projections/views/views.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <thread>

#include "tests/databases.h"

namespace maily::projections {
namespace {

// Runs jobs when told to; time stands still until told to move.
class ManualExecutor final : public Executor {
 public:
  void Post(Job job) override { jobs_.push_back(std::move(job)); }
  TimerId After(Duration delay, Job job) override {
    timers_.push_back({++last_, now_ + delay, std::move(job)});
    return last_;
  }
  void Cancel(TimerId timer) override {
    std::erase_if(timers_, [&](const Timer& t) { return t.id == timer; });
  }
  void Drain() {
    while (!jobs_.empty()) {
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      job();
    }
  }
  void Advance(Duration by) {
    now_ = now_ + by;
    for (size_t i = 0; i < timers_.size();) {
      if (timers_[i].due > now_) {
        ++i;
        continue;
      }
      jobs_.push_back(std::move(timers_[i].job));
      timers_.erase(timers_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    Drain();
  }
  size_t timers() const { return timers_.size(); }

 private:
  struct Timer {
    TimerId id;
    Duration due;
    Job job;
  };
  std::deque<Job> jobs_;
  std::vector<Timer> timers_;
  TimerId last_ = 0;
  Duration now_;
};

constexpr std::string_view kQueries =
    "-- name: doubled\nSELECT a, b FROM t WHERE a >= :from ORDER BY a;\n-- fold: insert\nINSERT INTO t VALUES(?1, ?2);";

class ViewsTest : public testing::Test {
 protected:
  ViewsTest() {
    databases_ = place_.Open();
    if (databases_ == nullptr) return;
    views_ = std::make_unique<Views>(*databases_, std::vector<GroupQueries>{{"g", {kQueries}}, {"h", {}}}, Views::Options{.rows_max = 3});
  }
  void SetUp() override {
    if (test::NoEngine()) GTEST_SKIP() << "skipped: no PostgreSQL (scripts/setup.sh --postgres installs it)";
  }
  void Make(const std::string& database, int rows) {
    auto w = databases_->Open(database, sql::Purpose::kWrite).value();
    w->Execute("CREATE TABLE t(a BIGINT PRIMARY KEY, b TEXT)").value();
    for (int i = 1; i <= rows; ++i)
      sql::RunWith(*w->Prepare("INSERT INTO t VALUES(?1, ?2)").value(), i, std::string_view(database)).value();
  }
  test::Databases place_;
  std::unique_ptr<sql::Databases> databases_;
  std::unique_ptr<Views> views_;
};

TEST_F(ViewsTest, AQueryRunsOnTheLiveVersionAndNoticesTheSwitch) {
  Make("g-v1", 2);
  Make("g-v2", 3);
  EXPECT_EQ(views_->Query("doubled", {{"from", Value::Integer(1)}}).error().code, Code::kRetry);
  views_->SetLive("g", "g-v1");
  const Rows rows = views_->Query("doubled", {{"from", Value::Integer(2)}}).value();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows.columns, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(rows.at(0, "b"), Value::Text("g-v1"));
  views_->SetLive("g", "g-v2");
  EXPECT_EQ(views_->Query("doubled", {{"from", Value::Integer(1)}}).value().size(), 3u);
}

TEST_F(ViewsTest, WrongNamesAndParametersAreRefused) {
  Make("g-v1", 1);
  views_->SetLive("g", "g-v1");
  EXPECT_EQ(views_->Query("nothing").error().code, Code::kNotFound);
  EXPECT_EQ(views_->Query("insert").error().code, Code::kNotFound);
  EXPECT_EQ(views_->Query("doubled").error().code, Code::kInvalid);
  EXPECT_EQ(views_->Query("doubled", {{"to", Value::Integer(2)}}).error().code, Code::kInvalid);
  EXPECT_EQ(views_->Query("doubled", {{"from", Value::Integer(1)}}).value().size(), 1u);
}

TEST_F(ViewsTest, AnAnswerWithoutALimitIsRefused) {
  Make("g-v1", 4);
  views_->SetLive("g", "g-v1");
  EXPECT_EQ(views_->Query("doubled", {{"from", Value::Integer(1)}}).error().code, Code::kInvalid);
  EXPECT_EQ(views_->Query("doubled", {{"from", Value::Integer(2)}}).value().size(), 3u);
}

TEST_F(ViewsTest, ManyThreadsAskWhileVersionsSwitch) {
  Make("g-v1", 1);
  Make("g-v2", 2);
  views_->SetLive("g", "g-v1");
  std::atomic<bool> over = false;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!over) {
        const auto rows = views_->Query("doubled", {{"from", Value::Integer(1)}});
        // Every answer is of one version, whole.
        if (!rows || rows->at(0, "b").bytes != (rows->size() == 1 ? "g-v1" : "g-v2")) ++wrong;
      }
    });
  }
  for (int i = 0; i < 100; ++i) views_->SetLive("g", i % 2 == 0 ? "g-v2" : "g-v1");
  over = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
}

CommandAt At(uint16_t partition, uint64_t offset, uint32_t index, uint32_t generation = 1) {
  return {PartitionId(partition), generation, Offset(offset), index};
}
Reached Has(uint16_t partition, uint64_t offset, uint32_t index, uint32_t generation = 1) {
  return {PartitionId(partition), true, generation, Offset(offset), index};
}

TEST(Freshness, AWaiterIsToldWhenEveryPositionIsReached) {
  Freshness freshness({"g", "h"});
  ManualExecutor executor;
  int told = 0;
  freshness.Wait("g", {At(0, 5, 2), At(1, 7, 0)}, Seconds(1), executor, [&](bool fresh) { told += fresh ? 1 : 100; });
  freshness.Advance("g", std::vector{Has(0, 5, 2)});
  freshness.Advance("h", std::vector{Has(1, 9, 9)});
  executor.Drain();
  EXPECT_EQ(told, 0);
  freshness.Advance("g", std::vector{Has(1, 8, 0)});
  executor.Drain();
  EXPECT_EQ(told, 1);
  EXPECT_EQ(executor.timers(), 0u);
  EXPECT_FALSE(freshness.IsFresh("", std::vector{At(0, 5, 2)}));
  freshness.Advance("h", std::vector{Has(0, 6, 0)});
  EXPECT_TRUE(freshness.IsFresh("", std::vector{At(0, 5, 2)}));
  EXPECT_FALSE(freshness.IsFresh("g", std::vector{At(0, 5, 3)}));
}

TEST(Freshness, AWaiterGivesUpAtItsDeadlineAndOnAnOlderGeneration) {
  Freshness freshness({"g"});
  ManualExecutor executor;
  std::vector<bool> told;
  const auto tell = [&](bool fresh) { told.push_back(fresh); };
  freshness.Wait("g", {At(0, 5, 0)}, Seconds(1), executor, tell);
  executor.Advance(Milliseconds(999));
  EXPECT_TRUE(told.empty());
  executor.Advance(Milliseconds(1));
  EXPECT_EQ(told, std::vector<bool>{false});
  EXPECT_EQ(freshness.waiting(), 0u);
  freshness.Advance("g", std::vector{Has(0, 1, 0, 2)});
  freshness.Wait("g", {At(0, 0, 0, 1)}, Seconds(1), executor, tell);
  executor.Drain();
  EXPECT_EQ(told, (std::vector<bool>{false, false}));
}

}  // namespace
}  // namespace maily::projections
