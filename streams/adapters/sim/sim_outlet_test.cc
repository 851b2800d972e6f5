// The contract of the outlet port in memory, and what becomes of batches that fail.
#include "streams/adapters/sim/sim_outlet.h"

#include "tests/contract/outlet_contract.h"

namespace maily::sim {
namespace {

class SimOutletHarness : public contract::OutletHarness {
 public:
  Outlet& outlet() override { return outlet_; }
  bool Until(const std::function<bool()>& reached) override { return scheduler_.RunUntil(reached, Seconds(600)); }

 private:
  Scheduler scheduler_{1};
  SimOutlet outlet_{scheduler_, {.topics = {"a", "b"}, .partitions = contract::kOutletPartitions, .fate = {}}};
};

OutletBatch Ten() {
  OutletBatch batch;
  for (int i = 0; i < 10; ++i) batch.Add("k", std::to_string(i), {}, Instant{1});
  return batch;
}

TEST(SimOutlet, EachFateStoresAndAnswersAsItSays) {
  for (const OutletFate fate :
       {OutletFate::kStore, OutletFate::kDrop, OutletFate::kStoreAndFail, OutletFate::kPartAndFail, OutletFate::kFailThenStore}) {
    SCOPED_TRACE(static_cast<int>(fate));
    bool some_later = false;
    bool part = false;
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      Scheduler scheduler(seed);
      SimOutlet outlet(scheduler, {.fate = [fate](size_t, const OutletBatch&) { return fate; }});
      std::optional<bool> answer;
      size_t at_answer = 0;
      outlet.Append(0, PartitionId(1), Ten(), [&](const Result<void>& result, const OutletBatch& back) {
        EXPECT_EQ(back.size(), 10u);
        answer = result.has_value();
        at_answer = outlet.records(0, PartitionId(1)).size();
      });
      scheduler.RunFor(Seconds(10));
      ASSERT_TRUE(answer) << "seed " << seed;
      EXPECT_EQ(*answer, fate == OutletFate::kStore) << "seed " << seed;
      const auto& records = outlet.records(0, PartitionId(1));
      for (size_t i = 0; i < records.size(); ++i) EXPECT_EQ(records[i].value, std::to_string(i)) << "seed " << seed;
      const bool all = fate == OutletFate::kStore || fate == OutletFate::kStoreAndFail;
      EXPECT_TRUE(!all || records.size() == 10);
      EXPECT_TRUE(fate != OutletFate::kDrop || records.empty());
      some_later = some_later || records.size() > at_answer;
      part = part || (records.size() > 0 && records.size() < 10);
    }
    EXPECT_EQ(some_later, fate == OutletFate::kFailThenStore);
    EXPECT_EQ(part, fate == OutletFate::kPartAndFail || fate == OutletFate::kFailThenStore);
  }
}

TEST(SimOutlet, ACrashAnswersNothingAndStoresAFirstPart) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Scheduler scheduler(seed);
    SimOutlet outlet(scheduler, {});
    outlet.Append(0, PartitionId(0), Ten(), [&](const Result<void>&, const OutletBatch&) { ADD_FAILURE() << "seed " << seed; });
    outlet.Crash();
    scheduler.RunFor(Seconds(10));
    const auto& records = outlet.records(0, PartitionId(0));
    for (size_t i = 0; i < records.size(); ++i) EXPECT_EQ(records[i].value, std::to_string(i)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace maily::sim

namespace maily::contract {
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, OutletContract, maily::sim::SimOutletHarness);
}  // namespace maily::contract
