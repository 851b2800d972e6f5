// The contract of the log over the memory log, in both kinds of order, and each of its faults.
#include "streams/adapters/sim/sim_log.h"

#include "tests/contract/log_contract.h"

namespace maily::sim {
namespace {

template <bool kOrdered>
class SimHarness : public contract::LogHarness {
 public:
  explicit SimHarness(uint64_t seed = 1) : scheduler(seed), sim(scheduler, Options()) {}
  Log& log() override { return sim; }
  bool Until(const std::function<bool()>& reached) override {
    return scheduler.RunUntil(
        [&] {
          const std::lock_guard lock(mutex_);
          return reached();
        },
        Seconds(30));
  }
  void Reopen() override { scheduler.RunFor(Seconds(1)); }
  void Crash() override { sim.Crash(); }

  static SimLog::Options Options() {
    SimLog::Options options;
    options.settings.log_id.bytes.fill(1);
    options.settings.partition_count = kPartitions;
    options.ordered = kOrdered;
    return options;
  }
  Scheduler scheduler;
  SimLog sim;
};

}  // namespace
}  // namespace maily::sim

namespace maily::contract {
INSTANTIATE_TYPED_TEST_SUITE_P(SimOneOrder, LogContract, maily::sim::SimHarness<true>);
INSTANTIATE_TYPED_TEST_SUITE_P(SimOrderAPartition, LogContract, maily::sim::SimHarness<false>);
}  // namespace maily::contract

namespace maily::sim {
namespace {

constexpr TopicPartition kAt{Topic::kJournal, PartitionId(1)};

class SimLogFaults : public testing::Test {
 protected:
  // Appends "a", "b", "c"; the second meets `fate`.
  void AppendThree(Fate fate) {
    harness.sim.options().fate = [fate](TopicPartition, std::string_view record) { return record == "b" ? fate : Fate::kStore; };
    for (const char* record : {"a", "b", "c"}) {
      harness.log().Append(kAt, record, Sync::kNow,
                           [this, record](Result<Appended> result) { answers.emplace(record, std::move(result)); });
      harness.scheduler.RunFor(Milliseconds(20));
    }
  }
  std::string Content() {
    std::string content;
    const auto records = harness.log().Read(kAt, Offset(0), 1 << 20, ReadTo::kDurable);
    for (const LogRecord& record : *records) content += record.bytes;
    return content;
  }
  SimHarness<true> harness;
  std::map<std::string, Result<Appended>> answers;
};

TEST_F(SimLogFaults, Duplicate) {
  AppendThree(Fate::kDuplicate);
  EXPECT_EQ(Content(), "abbc");
  EXPECT_EQ(answers.at("b")->offset, Offset(2));
}
TEST_F(SimLogFaults, Drop) {
  AppendThree(Fate::kDrop);
  EXPECT_EQ(Content(), "ac");
  EXPECT_EQ(answers.at("b").error().code, Code::kRetry);
}
TEST_F(SimLogFaults, StoreAndFail) {
  AppendThree(Fate::kStoreAndFail);
  EXPECT_EQ(Content(), "abc");
  EXPECT_EQ(answers.at("b").error().code, Code::kRetry);
}
TEST_F(SimLogFaults, DelayPastYoungerAppends) {
  harness.sim.options().delay_max = Seconds(1000);
  AppendThree(Fate::kDelay);
  EXPECT_EQ(Content(), "ac");
  EXPECT_FALSE(answers.contains("b"));
  harness.scheduler.RunFor(Seconds(1001));
  EXPECT_EQ(Content(), "acb");
  EXPECT_EQ(answers.at("b")->offset, Offset(2));
}
TEST_F(SimLogFaults, DelayAndFail) {
  harness.sim.options().delay_max = Seconds(1000);
  AppendThree(Fate::kDelayAndFail);
  EXPECT_EQ(answers.at("b").error().code, Code::kRetry);
  harness.scheduler.RunFor(Seconds(1001));
  EXPECT_EQ(Content(), "acb");
}
TEST_F(SimLogFaults, NoOffset) {
  AppendThree(Fate::kNoOffset);
  EXPECT_EQ(Content(), "abc");
  EXPECT_EQ(answers.at("b")->offset, std::nullopt);
}
TEST_F(SimLogFaults, AcknowledgeThenTruncate) {
  AppendThree(Fate::kTruncate);
  EXPECT_TRUE(answers.at("b"));
  harness.scheduler.RunFor(Seconds(10));
  EXPECT_EQ(Content(), "a");
  EXPECT_EQ(harness.log().Ends(kAt).written, Offset(1));
}
TEST_F(SimLogFaults, HoldUntilReleased) {
  AppendThree(Fate::kHold);
  EXPECT_EQ(Content(), "ac");
  ASSERT_EQ(harness.sim.held(), 1u);
  harness.sim.Release(0, SimLog::Answer::kNever);
  harness.scheduler.RunFor(Seconds(1));
  EXPECT_EQ(Content(), "acb");
  EXPECT_FALSE(answers.contains("b"));
}
TEST_F(SimLogFaults, FailFatallyUntilTheCrash) {
  harness.log().Append(kAt, "a", Sync::kNow, [this](Result<Appended> result) { answers.emplace("a", std::move(result)); });
  harness.sim.FailFatally();
  AppendThree(Fate::kStore);
  EXPECT_EQ(answers.at("a").error().code, Code::kFatal);
  EXPECT_EQ(answers.at("b").error().code, Code::kFatal);
  EXPECT_EQ(Content(), "");
  harness.sim.Crash();
  answers.clear();
  AppendThree(Fate::kStore);
  EXPECT_TRUE(answers.at("c"));
}
TEST_F(SimLogFaults, FullDiskStampsRecreationAndFlippedBits) {
  harness.sim.SetFull(true);
  AppendThree(Fate::kStore);
  EXPECT_EQ(answers.at("a").error().code, Code::kRetry);
  harness.sim.SetFull(false);
  answers.clear();
  harness.sim.SetStampSkew(Hours(1));
  AppendThree(Fate::kStore);
  harness.sim.SetStampSkew({});
  AppendThree(Fate::kStore);
  const auto records = harness.log().Read(kAt, Offset(0), 1 << 20, ReadTo::kDurable).value();
  ASSERT_EQ(records.size(), 6u);
  EXPECT_GT(records[0].time, harness.scheduler.clock().Now());
  EXPECT_EQ(records[5].time, records[2].time);
  harness.sim.StoredBytes(kAt, Offset(0))[0] ^= 1;
  EXPECT_EQ(Content(), "`bcabc");
  const uint32_t generation = harness.log().settings().generation;
  harness.sim.Recreate();
  EXPECT_EQ(harness.log().settings().generation, generation + 1);
  EXPECT_EQ(Content(), "");
}

// By chance: whatever happens, an append is answered once, and what was acknowledged is there.
TEST(SimLog, UnderChanceEveryAppendIsAnsweredAndAcknowledgedOnesAreThere) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    SimHarness<false> harness(seed);
    auto& options = harness.sim.options();
    options.duplicate = options.drop = options.store_and_fail = options.delay = options.delay_and_fail = options.no_offset = 0.1;
    std::map<int, int> answers;
    std::map<int, int> acknowledged;
    for (int i = 0; i < 200; ++i) {
      harness.log().Append(kAt, std::to_string(i), Sync::kSoon, [&, i](const Result<Appended>& result) {
        ++answers[i];
        if (result) ++acknowledged[i];
      });
    }
    harness.scheduler.RunFor(Seconds(10));
    EXPECT_EQ(answers.size(), 200u);
    for (const auto& [i, times] : answers) EXPECT_EQ(times, 1) << i;
    std::map<int, int> found;
    const auto records = harness.log().Read(kAt, Offset(0), 1 << 20, ReadTo::kDurable);
    for (const LogRecord& record : *records) ++found[std::stoi(record.bytes)];
    for (const auto& [i, times] : acknowledged) EXPECT_GE(found[i], 1) << i;
    EXPECT_GT(acknowledged.size(), 100u);
    EXPECT_LT(acknowledged.size(), 200u);
  }
}

}  // namespace
}  // namespace maily::sim
