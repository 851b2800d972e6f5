// The runner and the clock effect, and how far behind they say to be.
#include <gtest/gtest.h>

#include "maily/campaigns/v1/state.pb.h"
#include "processors/effects/clock.h"
#include "processors/effects/lag.h"
#include "processors/effects/runner.h"
#include "processors/effects/starter.h"
#include "schemas/types.h"
#include "streams/adapters/sim/sim_env.h"
#include "streams/adapters/sim/sim_log.h"
#include "streams/journal/writer.h"
#include "streams/state/key.h"
#include "streams/state/map_kv.h"
#include "streams/state/timers.h"
#include "tests/model/script_log.h"

namespace maily::effects {
namespace {

constexpr PartitionId kPartition(2);
constexpr uint16_t kTick = 1;

// True if GET /metrics shows this line.
bool Shown(const std::string& line) {
  return ("\n" + observe::Metrics::Process().PrometheusText()).find("\n" + line + "\n") != std::string::npos;
}

class FixedClock : public Clock {
 public:
  Instant Now() override { return now; }
  Duration Steady() override { return Duration{now.us}; }
  Instant now{10'000'000};
};

TEST(Lag, CountsWhatIsOpenAndShowsTheOldest) {
  FixedClock clock;
  {
    Lag lag(clock, "test", kPartition);
    EXPECT_EQ(lag.oldest(), Duration{});
    auto first = lag.Begin(Seconds(3));
    clock.now.us += 1'500'000;
    auto second = lag.Begin();
    auto copy = second;
    EXPECT_EQ(lag.records(), 2U);
    EXPECT_EQ(lag.oldest(), Milliseconds(4500));
    EXPECT_TRUE(Shown(R"(maily_effect_lag_records{effect="test",partition="2"} 2)"));
    EXPECT_TRUE(Shown(R"(maily_effect_lag_seconds{effect="test",partition="2"} 4.5)"));
    first.reset();
    second.reset();
    EXPECT_EQ(lag.records(), 1U) << "a copy is left";
    EXPECT_EQ(lag.oldest(), Duration{});
    copy.reset();
    EXPECT_EQ(lag.records(), 0U);
    first = lag.Begin();
    second = lag.Begin();  // outlives its Lag
  }
  EXPECT_EQ(observe::Metrics::Process().PrometheusText().find("effect=\"test\""), std::string::npos);
}

TEST(Starter, SaysStartUntilTheStateShowsWhatCameOfItAndNothingWhereTheInstanceIsHeld) {
  sim::Scheduler scheduler(1);
  sim::SimLog::Options options;
  options.settings.partition_count = 4;
  sim::SimLog log(scheduler, options);
  command::Sender sender(log, 1 << 20);
  const auto executor = scheduler.MakeExecutor();
  state::Disk disk;
  state::MapKv kv(disk);
  state::Cache cache(kv, 1 << 20);
  const auto said = [&] { return log.Ends({Topic::kCommands, kPartition}).durable.value(); };
  const std::string key = state::Key(TenantId(3), uint64_t{7});
  const Leadership leadership{.partition = kPartition, .epoch = Epoch(1), .position = {}, .cache = &cache, .credits = nullptr};

  StarterEffect held({.live = false, .held = true}, scheduler.clock(), scheduler.entropy(), *executor, sender);
  StarterEffect starter({.live = true}, scheduler.clock(), scheduler.entropy(), *executor, sender);
  held.Lead(leadership);
  starter.Lead(leadership);
  scheduler.RunFor(Seconds(20));
  EXPECT_EQ(said(), 0U) << "nothing is due";
  cache.Begin();
  state::Table<campaigns::v1::DueStart>(cache).Edit(key).set_at_us(1);
  cache.Commit();
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(said(), 1U) << "by one of the two";
  scheduler.RunFor(Seconds(11));
  EXPECT_EQ(said(), 3U) << "it was not heard";
  cache.Begin();
  state::Table<campaigns::v1::DueStart>(cache).Erase(key);
  cache.Commit();
  scheduler.RunFor(Seconds(20));
  EXPECT_EQ(said(), 3U);
}

TEST(Clock, TicksUntilADueTimerIsFiredAndOwesItUntilJournalTimeHasReachedIt) {
  sim::Scheduler scheduler(1);
  sim::SimLog::Options options;
  options.settings.partition_count = 4;
  sim::SimLog log(scheduler, options);
  command::Sender sender(log, 1 << 20);
  const auto executor = scheduler.MakeExecutor();
  state::Disk disk;
  state::MapKv kv(disk);
  state::Cache cache(kv, 1 << 20);
  const Instant due = scheduler.clock().Now() + Seconds(10);
  cache.Begin();
  state::Timers(cache).Arm(due, TenantId(1), 1, "it");
  cache.Commit();
  const auto ticks = [&] { return log.Ends({Topic::kCommands, kPartition}).durable.value(); };
  const std::string none = R"(maily_effect_lag_records{effect="clock",partition="2"} 0)";

  ClockEffect clock(scheduler.clock(), scheduler.entropy(), *executor, sender, kTick);
  clock.Lead({.partition = kPartition, .epoch = Epoch(1), .position = {}, .cache = &cache, .credits = nullptr});
  scheduler.RunFor(Seconds(9));
  EXPECT_EQ(ticks(), 1U) << "one at take-over, then nothing is due";
  EXPECT_TRUE(Shown(none));
  scheduler.RunFor(Seconds(3));
  EXPECT_GT(ticks(), 4U) << "again and again until the journal shows it";
  EXPECT_TRUE(Shown(R"(maily_effect_lag_records{effect="clock",partition="2"} 1)"));
  EXPECT_TRUE(Shown(R"(maily_effect_lag_seconds{effect="clock",partition="2"} 2)")) << observe::Metrics::Process().PrometheusText();

  journal::AcceptedFrame frame;
  frame.time = due;
  clock.Accepted(frame);
  EXPECT_TRUE(Shown(none));
  uint64_t before = ticks();
  scheduler.RunFor(Seconds(3));
  EXPECT_GT(ticks(), before + 4) << "the task may hold it because the clocks were apart when the last Tick came";
  EXPECT_TRUE(Shown(none));
  cache.Begin();
  state::Timers(cache).Disarm(due, TenantId(1), 1, "it");
  cache.Commit();
  scheduler.RunFor(Milliseconds(500));  // the last one is on its way
  before = ticks();
  scheduler.RunFor(Seconds(3));
  EXPECT_EQ(ticks(), before) << "it was fired";
  clock.Stop();
  EXPECT_FALSE(Shown(none));
}

// Notes what it sees.
class SeenEffect : public Effect {
 public:
  explicit SeenEffect(std::vector<std::string>& seen) : seen_(seen) {}
  void Lead(const Leadership& leadership) override { seen_.push_back(fmt::format("lead {}", leadership.epoch.value())); }
  void Accepted(const journal::AcceptedFrame& frame) override { seen_.emplace_back(frame.decisions.front().answer); }
  void Stop() override { seen_.emplace_back("stop"); }

 private:
  std::vector<std::string>& seen_;
};

TEST(Runner, ShowsHowManyRecordsItsEffectsHaveNotSeen) {
  model::ScriptLog log;
  ASSERT_TRUE(journal::WriteGenesis(log, kPartition));
  model::ManualExecutor tasks, effects;
  model::CountingEntropy entropy;
  journal::Tail tail(log, kPartition, 1 << 20);
  journal::Writer writer(log, tail, tasks, entropy, {.partition = kPartition, .owner = "here", .build = "test", .level = 1});
  std::optional<Result<Epoch>> led;
  writer.Lead({}, [](const journal::AcceptedFrame&) { return Ok(); }, [&](Result<Epoch> epoch) { led = std::move(epoch); });
  tasks.Run();
  ASSERT_TRUE(led && *led);
  const auto append = [&](std::string_view answer) {
    journal::FrameDraft draft;
    journal::Decision decision;
    decision.answer = answer;
    draft.Add(decision);
    draft.SetTime(log.now);
    bool accepted = false;
    writer.Append(std::move(draft), [&](const Result<journal::Position>& position) { accepted = position.has_value(); });
    tasks.Run();
    return accepted;
  };

  FixedClock clock;
  std::vector<std::string> seen;
  Runner runner(log, clock, [&](PartitionId, Executor&) {
    std::vector<std::unique_ptr<Effect>> list;
    list.push_back(std::make_unique<SeenEffect>(seen));
    return list;
  });
  log.now = clock.now;
  runner.Led(effects, {kPartition, **led, writer.position(), nullptr, nullptr}, tail);
  effects.Run();
  EXPECT_TRUE(Shown(R"(maily_effect_journal_lag_records{partition="2"} 0)"));
  ASSERT_TRUE(append("a") && append("b"));
  clock.now.us += 7'000'000;
  EXPECT_TRUE(Shown(R"(maily_effect_journal_lag_records{partition="2"} 2)")) << observe::Metrics::Process().PrometheusText();
  effects.Run();
  EXPECT_EQ(seen, (std::vector<std::string>{"lead 1", "a", "b"}));
  EXPECT_TRUE(Shown(R"(maily_effect_journal_lag_records{partition="2"} 0)"));
  EXPECT_TRUE(Shown(R"(maily_effect_journal_lag_seconds{partition="2"} 0)"));
  ASSERT_TRUE(append("c"));
  EXPECT_TRUE(Shown(R"(maily_effect_journal_lag_seconds{partition="2"} 7)")) << "since b";
  effects.Run();
  // A record that is nobody's frame is passed over, and is no lag.
  log.Put({Topic::kJournal, kPartition}, "stray");
  effects.Run();
  EXPECT_TRUE(Shown(R"(maily_effect_journal_lag_records{partition="2"} 0)"));
  runner.Stopped(kPartition);
  EXPECT_EQ(seen.back(), "stop");
  EXPECT_EQ(observe::Metrics::Process().PrometheusText().find("maily_effect_journal_lag"), std::string::npos);
}

}  // namespace
}  // namespace maily::effects
