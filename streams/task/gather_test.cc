// How long commands that nobody waits for are gathered before a task takes them.
#include <gtest/gtest.h>

#include "streams/adapters/sim/sim_env.h"
#include "streams/adapters/sim/sim_kv.h"
#include "streams/adapters/sim/sim_log.h"
#include "streams/adapters/sim/sim_slots.h"
#include "streams/journal/frame.h"
#include "streams/task/host.h"

namespace maily::task {
namespace {

struct Empty {
  bool AppendToString(std::string* /*out*/) const { return true; }
  bool ParseFromArray(const void* /*data*/, int /*size*/) { return true; }
  size_t SpaceUsedLong() const { return sizeof(*this); }
};
struct Click : Empty {};    // nobody is in a hurry
struct Outcome : Empty {};  // somebody is, and does not wait
struct Happened : Empty {};

}  // namespace
}  // namespace maily::task

namespace maily {
template <>
TypeNumber TypeNumberOf<task::Click>() {
  return 900;
}
template <>
TypeNumber TypeNumberOf<task::Outcome>() {
  return 901;
}
template <>
TypeNumber TypeNumberOf<task::Happened>() {
  return 930;
}
}  // namespace maily

namespace maily::task {
namespace {

constexpr PartitionId kPartition(0);

Pipeline OneNoun() {
  Noun noun("things", 1);
  noun.Decides<Click>(+[](Context& context, const Click&) { context.Emit(Happened()); });
  noun.Decides<Outcome>(+[](Context& context, const Outcome&) { context.Emit(Happened()); });
  noun.Unhurried<Click>();
  noun.Evolves<Happened>(+[](Fold&, const Happened&) {});
  std::vector<Noun> nouns;
  nouns.push_back(std::move(noun));
  return Pipeline(std::move(nouns), {}, [](TenantId, uint16_t) { return kPartition; });
}

class GatherTest : public ::testing::Test {
 protected:
  GatherTest() {
    log_.Append({Topic::kJournal, kPartition}, journal::BuildGenesis(log_.settings().log_id, kPartition, {1}), Sync::kNow,
                [](const Result<Appended>&) {});
    scheduler_.RunFor(Seconds(1));
    tails_ = std::make_unique<journal::Tails>(log_);
    host_ = std::make_unique<Host>(environment_, *tails_, std::vector<Executor*>{executor_.get()}, Host::Listener());
    host_->Start();
    EXPECT_TRUE(scheduler_.RunUntil([this] { return host_->AllLeading(); }, Seconds(10)));
  }

  static sim::SimLog::Options OnePartition() {
    sim::SimLog::Options options;
    options.settings.partition_count = 1;
    options.settings.log_id.bytes[0] = 7;
    return options;
  }
  template <class C>
  void Send() {
    command::Command command;
    command.id = scheduler_.entropy().NextId<CommandId>();
    command.type = TypeNumberOf<C>();
    command.tenant = TenantId(1);
    command.key = "thing";
    command.occurred_at = scheduler_.clock().Now();
    sender_.Send(kPartition, command, Sync::kNow, [](const Result<CommandAt>&) {});
  }
  uint64_t Frames() { return log_.Ends({Topic::kJournal, kPartition}).written.value(); }
  uint64_t Decided() { return host_->status().front().decided; }
  // Frames that `step`, called once in `pause`, makes in a second.
  template <class Step>
  uint64_t FramesASecond(Duration pause, Step step) {
    for (int i = 0; i < 100; ++i) {  // until it is settled
      step(i);
      scheduler_.RunFor(pause);
    }
    const uint64_t before = Frames();
    for (int i = 0; i < 1'000'000 / pause.us; ++i) {
      step(i);
      scheduler_.RunFor(pause);
    }
    return Frames() - before;
  }

  sim::Scheduler scheduler_{1};
  sim::SimLog log_{scheduler_, OnePartition()};
  sim::SimKvStores stores_{scheduler_};
  sim::SimSlots slots_{scheduler_, 1};
  command::Sender sender_{log_, 1 << 20};
  command::Replies replies_{100};
  Pipeline pipeline_ = OneNoun();
  TaskEnvironment environment_{
      log_, scheduler_.clock(), scheduler_.entropy(), stores_, slots_, sender_, replies_, pipeline_, nullptr, "test", "test"};
  std::unique_ptr<Executor> executor_ = scheduler_.MakeExecutor();
  std::unique_ptr<journal::Tails> tails_;
  std::unique_ptr<Host> host_;
};

TEST_F(GatherTest, CommandsThatNobodyWaitsForShareAFrameOf4Milliseconds) {
  const uint64_t frames = FramesASecond(Microseconds(500), [this](int) { Send<Outcome>(); });
  EXPECT_GE(frames, 200);
  EXPECT_LE(frames, 250);
}

TEST_F(GatherTest, ManyThatNobodyIsInAHurryForShareOneOf16) {
  const uint64_t frames = FramesASecond(Microseconds(500), [this](int) { Send<Click>(); });
  EXPECT_GE(frames, 50);
  EXPECT_LE(frames, 63);
}

TEST_F(GatherTest, FewOfThemWaitForNoMore) {
  const uint64_t frames = FramesASecond(Milliseconds(10), [this](int) { Send<Click>(); });
  EXPECT_GE(frames, 95);
}

TEST_F(GatherTest, OneAmongThemThatIsInAHurryMakesAllOfThemHurry) {
  const uint64_t frames = FramesASecond(Microseconds(500), [this](int i) { i % 8 == 0 ? Send<Outcome>() : Send<Click>(); });
  EXPECT_GE(frames, 200);
}

TEST_F(GatherTest, WhatIsWaitedForIsTakenAtOnce) {
  for (int i = 0; i < 200; ++i) {
    Send<Click>();
    scheduler_.RunFor(Microseconds(500));
  }
  const uint64_t before = Decided();
  const auto somebody = scheduler_.entropy().NextId<CommandId>();
  replies_.Await(somebody, *executor_, Seconds(20), [](const Result<command::Reply>&) {});
  Send<Click>();
  EXPECT_TRUE(scheduler_.RunUntil([&] { return Decided() > before; }, Milliseconds(3)));
  replies_.Abandon(somebody);
  scheduler_.RunFor(Milliseconds(1));
}

}  // namespace
}  // namespace maily::task
