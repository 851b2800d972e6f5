// The scheduler: same seed, same run; each executor in its order; virtual time.
#include "streams/adapters/sim/sim_env.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace maily::sim {
namespace {

// Three executors that post on: the order of all their jobs.
std::string TraceOf(uint64_t seed) {
  Scheduler scheduler(seed);
  std::string trace;
  std::vector<std::unique_ptr<Executor>> executors;
  for (int i = 0; i < 3; ++i) executors.push_back(scheduler.MakeExecutor());
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 5; ++j) {
      executors[i]->Post([&, i, j] {
        trace += static_cast<char>('a' + 5 * i + j);
        if (j == 4)
          executors[(i + 1) % 3]->After(scheduler.RandomDuration({}, Seconds(1)), [&, i] { trace += static_cast<char>('A' + i); });
      });
    }
  }
  scheduler.RunFor(Seconds(2));
  trace += std::to_string(scheduler.entropy().Next() % 1000);
  return trace;
}

TEST(SimEnv, TheSameSeedGivesTheSameRunAndAnotherAnother) {
  EXPECT_EQ(TraceOf(1), TraceOf(1));
  EXPECT_NE(TraceOf(1), TraceOf(2));
  const std::string trace = TraceOf(3);
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 4; ++j) {
      EXPECT_LT(trace.find(static_cast<char>('a' + 5 * i + j)), trace.find(static_cast<char>('a' + 5 * i + j + 1))) << trace;
    }
  }
}

TEST(SimEnv, TimeMovesOnlyToTimers) {
  Scheduler scheduler(1);
  const auto executor = scheduler.MakeExecutor();
  const Instant start = scheduler.clock().Now();
  std::vector<int64_t> fired;
  executor->After(Seconds(3600), [&] { fired.push_back(scheduler.clock().Steady().us); });
  executor->After(Seconds(60), [&] { fired.push_back(scheduler.clock().Steady().us); });
  scheduler.RunUntilIdle();
  EXPECT_TRUE(fired.empty());
  EXPECT_EQ(scheduler.clock().Now(), start);
  scheduler.RunFor(Seconds(60));
  EXPECT_EQ(fired, (std::vector<int64_t>{Seconds(60).us}));
  scheduler.JumpWallClock(Seconds(-1000));
  EXPECT_TRUE(scheduler.RunUntil([&] { return fired.size() == 2; }, Hours(2)));
  EXPECT_EQ(scheduler.clock().Steady(), Hours(1));
  EXPECT_EQ(scheduler.clock().Now(), start + Hours(1) - Seconds(1000));
  EXPECT_FALSE(scheduler.RunUntil([] { return false; }, Seconds(5)));
}

TEST(SimEnv, ACancelledTimerDoesNotFireEvenIfItIsDue) {
  Scheduler scheduler(1);
  const auto executor = scheduler.MakeExecutor();
  int fired = 0;
  TimerId second = 0;
  executor->After(Seconds(1), [&] { executor->Cancel(second); });
  second = executor->After(Seconds(1), [&] { ++fired; });
  const TimerId ran = executor->After(Seconds(2), [&] { ++fired; });
  executor->Cancel(0);
  scheduler.RunFor(Seconds(3));
  EXPECT_EQ(fired, 1);
  executor->Cancel(ran);
}

// What a job owns is destroyed with it, and may post and destroy executors meanwhile.
TEST(SimEnv, ADestroyedExecutorDropsItsJobs) {
  Scheduler scheduler(1);
  auto executor = scheduler.MakeExecutor();
  auto other = scheduler.MakeExecutor();
  int ran = 0;
  struct PostsWhenItDies {
    Executor* executor;
    ~PostsWhenItDies() {
      executor->Post([] {});
    }
  };
  executor->Post([&ran, owned = std::make_unique<PostsWhenItDies>(other.get())] { ++ran; });
  executor->After(Seconds(1), [&ran, owned = std::make_unique<PostsWhenItDies>(other.get())] { ++ran; });
  other->Post([&] { executor.reset(); });
  executor->Post([&] { ++ran; });
  executor.reset();
  scheduler.RunFor(Seconds(2));
  EXPECT_EQ(ran, 0);
}

}  // namespace
}  // namespace maily::sim
