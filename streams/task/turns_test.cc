#include "streams/task/turns.h"

#include <gtest/gtest.h>

#include "streams/adapters/sim/sim_env.h"

namespace maily::task {
namespace {

class TurnsTest : public testing::Test {
 protected:
  Turns::Ticket Ask(uint64_t work) {
    return turns_->Ask(work, [this, work] { began_.push_back(work); });
  }
  void Run(Duration time = Milliseconds(1)) { scheduler_.RunFor(time); }

  sim::Scheduler scheduler_{1};
  std::unique_ptr<Executor> executor_ = scheduler_.MakeExecutor();
  std::shared_ptr<Turns> turns_ = std::make_shared<Turns>(*executor_);
  std::vector<uint64_t> began_;  // who, by its work
};

TEST_F(TurnsTest, TheLeastWorkIsFirstAndTheOthersWait) {
  Ask(30);
  const Turns::Ticket least = Ask(10);
  Ask(20);
  Run();
  EXPECT_EQ(began_, (std::vector<uint64_t>{10}));
  turns_->Leave(least);
  Run();
  EXPECT_EQ(began_, (std::vector<uint64_t>{10, 20}));
}

TEST_F(TurnsTest, WhoTakesLongHoldsUpTheOthersForASecondOnly) {
  Ask(1);
  Ask(2);
  Run(Milliseconds(900));
  EXPECT_EQ(began_.size(), 1U);
  Run(Milliseconds(200));
  EXPECT_EQ(began_, (std::vector<uint64_t>{1, 2}));
}

TEST_F(TurnsTest, WhoLeavesBeforeItsTurnGetsNone) {
  const Turns::Ticket first = Ask(1);
  const Turns::Ticket second = Ask(2);
  Ask(3);
  Run();
  turns_->Leave(second);
  turns_->Leave(first);
  turns_->Leave(first);
  turns_->Leave(0);
  Run();
  EXPECT_EQ(began_, (std::vector<uint64_t>{1, 3}));
}

}  // namespace
}  // namespace maily::task
