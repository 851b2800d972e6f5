// Two clocks that differ: what is known of them, and that a task's timers hold meanwhile.
#include "streams/task/clock_watch.h"

#include <gtest/gtest.h>

#include "streams/adapters/sim/sim_env.h"
#include "streams/adapters/sim/sim_kv.h"
#include "streams/adapters/sim/sim_log.h"
#include "streams/adapters/sim/sim_slots.h"
#include "streams/journal/frame.h"
#include "streams/observe/logging.h"
#include "streams/state/key.h"
#include "streams/task/decide.h"
#include "streams/task/host.h"

namespace maily::task {
namespace {

// An alarm clock of one number: Set{due} arms a timer, which rings.
struct Time {
  uint64_t us = 0;
  bool AppendToString(std::string* out) const {
    PutVarint(*out, us);
    return true;
  }
  bool ParseFromArray(const void* data, int size) {
    Cursor cursor(std::string_view(static_cast<const char*>(data), static_cast<size_t>(size)));
    us = cursor.Varint();
    return cursor.ok() && cursor.AtEnd();
  }
  size_t SpaceUsedLong() const { return sizeof(*this); }
};
struct Set : Time {};
struct WasSet : Time {};
struct Rang : Time {};
struct RangAt : Time {};

}  // namespace
}  // namespace maily::task

namespace maily {
template <>
TypeNumber TypeNumberOf<task::Set>() {
  return 900;
}
template <>
TypeNumber TypeNumberOf<task::WasSet>() {
  return 930;
}
template <>
TypeNumber TypeNumberOf<task::Rang>() {
  return 931;
}
template <>
TypeNumber TypeNumberOf<task::RangAt>() {
  return 970;
}
}  // namespace maily

namespace maily::task {
namespace {

constexpr TimerStep kRing = 7;
constexpr PartitionId kPartition(0);
constexpr TenantId kTenant(1);

Pipeline AlarmPipeline() {
  Noun noun("alarms", 1);
  noun.Owns<RangAt>();
  noun.Decides<Set>(+[](Context& context, const Set& set) {
    WasSet was;
    was.us = set.us;
    context.Emit(was);
  });
  noun.Evolves<WasSet>(+[](Fold& fold, const WasSet& was) { fold.ArmTimer(Instant{static_cast<int64_t>(was.us)}, kRing, "alarm"); });
  noun.Timers(
      kRing, "ring", +[](Context& context, std::string_view) {
        Rang rang;
        rang.us = static_cast<uint64_t>(context.now().us);
        context.Emit(rang);
      });
  noun.Evolves<Rang>(+[](Fold& fold, const Rang& rang) { fold.table<RangAt>().Edit(state::Key(fold.tenant())).us = rang.us; });
  std::vector<Noun> nouns;
  nouns.push_back(std::move(noun));
  return Pipeline(std::move(nouns), {}, [](TenantId, uint16_t) { return kPartition; });
}

class ClocksTest : public ::testing::Test {
 protected:
  ClocksTest() {
    observe::SetSinkForTesting([this](std::string_view line) {
      if (line.find("timers hold") != std::string_view::npos) ++alarms_;
    });
    log_.Append({Topic::kJournal, kPartition}, journal::BuildGenesis(log_.settings().log_id, kPartition, {1}), Sync::kNow,
                [](const Result<Appended>&) {});
    scheduler_.RunFor(Seconds(1));
    Host::Listener listener;
    listener.led = [this](PartitionId, Executor&, Epoch, const journal::Position&, state::Cache& cache, Credits&, journal::Tail&) {
      cache_ = &cache;
    };
    tails_ = std::make_unique<journal::Tails>(log_);
    host_ = std::make_unique<Host>(environment_, *tails_, std::vector<Executor*>{executor_.get()}, listener);
    host_->Start();
    EXPECT_TRUE(scheduler_.RunUntil([this] { return host_->AllLeading(); }, Seconds(10)));
  }
  ~ClocksTest() override { observe::SetSinkForTesting({}); }

  static sim::SimLog::Options OnePartition() {
    sim::SimLog::Options options;
    options.settings.partition_count = 1;
    options.settings.log_id.bytes[0] = 7;
    return options;
  }
  void Send(TypeNumber type, const std::string& payload) {
    command::Command command;
    command.id = scheduler_.entropy().NextId<CommandId>();
    command.type = type;
    command.tenant = kTenant;
    command.key = "alarm";
    command.occurred_at = scheduler_.clock().Now();
    command.payload = payload;
    sender_.Send(kPartition, command, Sync::kNow, [](const Result<CommandAt>&) {});
    scheduler_.RunFor(Milliseconds(100));
  }
  void Tick() { Send(kTickCommand, ""); }
  // An alarm in so much of the machine's time.
  Instant SetIn(Duration wait) {
    const Instant due = scheduler_.clock().Now() + wait;
    Set set;
    set.us = static_cast<uint64_t>(due.us);
    std::string payload;
    set.AppendToString(&payload);
    Send(TypeNumberOf<Set>(), payload);
    return due;
  }
  bool Rung() { return state::View<RangAt>(*cache_).Find(state::Key(kTenant)) != nullptr; }
  Task::Status Status() { return host_->status().front(); }

  sim::Scheduler scheduler_{1};
  sim::SimLog log_{scheduler_, OnePartition()};
  sim::SimKvStores stores_{scheduler_};
  sim::SimSlots slots_{scheduler_, 1};
  command::Sender sender_{log_, 1 << 20};
  command::Replies replies_{100};
  Pipeline pipeline_ = AlarmPipeline();
  TaskEnvironment environment_{
      log_, scheduler_.clock(), scheduler_.entropy(), stores_, slots_, sender_, replies_, pipeline_, nullptr, "test", "test"};
  std::unique_ptr<Executor> executor_ = scheduler_.MakeExecutor();
  state::Cache* cache_ = nullptr;
  int alarms_ = 0;
  std::unique_ptr<journal::Tails> tails_;
  std::unique_ptr<Host> host_;
};

TEST_F(ClocksTest, TimersFireWhileTheClocksAreLessThanAMinuteApart) {
  SetIn(Seconds(10));
  log_.SetStampSkew(Seconds(55));
  Tick();
  EXPECT_TRUE(Rung()) << "journal time has passed it";
  EXPECT_FALSE(Status().timers_held);
  EXPECT_GT(Status().clock_skew, Seconds(54));
  EXPECT_EQ(alarms_, 0);
}

TEST_F(ClocksTest, TimersHoldWhileTheLogsClockIsAheadAndFireByThemselvesAfterwards) {
  SetIn(Seconds(30));
  log_.SetStampSkew(Seconds(100));
  Tick();
  Tick();
  EXPECT_FALSE(Rung());
  EXPECT_TRUE(Status().timers_held);
  EXPECT_GT(Status().clock_skew, Seconds(90));
  EXPECT_EQ(alarms_, 1) << "said once";
  scheduler_.RunFor(Seconds(30));
  EXPECT_FALSE(Rung()) << "70 s ahead";
  // The machine's clock comes nearer to what the log has said; no command comes meanwhile.
  scheduler_.RunFor(Seconds(15));
  EXPECT_TRUE(Rung());
  EXPECT_FALSE(Status().timers_held);
}

TEST_F(ClocksTest, TimersHoldWhileTheLogsClockIsBehindAndFireByTheNextTickAfterwards) {
  const Instant due = SetIn(Seconds(10));
  log_.SetStampSkew(Seconds(-120));
  scheduler_.RunFor(Seconds(150));
  Tick();  // the log's clock has passed the timer, too
  EXPECT_FALSE(Rung());
  EXPECT_TRUE(Status().timers_held);
  EXPECT_LT(Status().clock_skew, Seconds(-110));
  scheduler_.RunFor(Seconds(300));
  EXPECT_FALSE(Rung());
  log_.SetStampSkew({});
  Tick();
  EXPECT_TRUE(Rung());
  EXPECT_FALSE(Status().timers_held);
  EXPECT_EQ(alarms_, 1);
  EXPECT_GE(state::View<RangAt>(*cache_).Find(state::Key(kTenant))->us, static_cast<uint64_t>(due.us));
}

TEST_F(ClocksTest, OldCommandsAreNoSkew) {
  SetIn(Seconds(10));
  scheduler_.RunFor(Hours(5));
  EXPECT_FALSE(Status().timers_held);
  EXPECT_FALSE(Rung()) << "nothing has told the time";
  Tick();
  EXPECT_TRUE(Rung());
  EXPECT_EQ(alarms_, 0);
}

TEST(ClockWatch, AnyCommandShowsThatTheLogIsNotBehind) {
  ClockWatch watch;
  const Instant start{1'000'000'000};
  EXPECT_EQ(watch.Look(start, start + Hours(1)), Duration{}) << "an old command says nothing";
  watch.Ticked(start + Seconds(90), start);
  EXPECT_EQ(watch.Look(start, start + Seconds(95)), Seconds(-90));
  EXPECT_EQ(watch.Look(start + Seconds(70), start + Seconds(96)), Seconds(-26)) << "the log has come to 70";
  EXPECT_EQ(watch.Look(start + Seconds(70), start + Seconds(300)), Seconds(-26)) << "nothing new is known";
  EXPECT_EQ(watch.Look(start + Seconds(400), start + Seconds(300)), Seconds(100));
  EXPECT_FALSE(ClockWatch::Apart(Seconds(59)) || ClockWatch::Apart(Seconds(-59)));
  EXPECT_TRUE(ClockWatch::Apart(Seconds(60)) && ClockWatch::Apart(Seconds(-60)));
}

}  // namespace
}  // namespace maily::task
