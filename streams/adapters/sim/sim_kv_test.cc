// The contract of the key-value port over the stores in memory.
#include "streams/adapters/sim/sim_kv.h"

#include "tests/contract/kv_contract.h"

namespace maily::sim {
namespace {

class SimKvHarness : public contract::KvHarness {
 public:
  KvStores& stores() override { return stores_; }
  void Crash() override { stores_.Crash(); }

 private:
  Scheduler scheduler_{1};
  SimKvStores stores_{scheduler_};
};

}  // namespace
}  // namespace maily::sim

namespace maily::contract {
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, KvContract, maily::sim::SimKvHarness);
}  // namespace maily::contract

namespace maily::sim {
namespace {

TEST(SimKv, AHandleOfBeforeACrashIsDead) {
  Scheduler scheduler(1);
  SimKvStores stores(scheduler);
  auto before = stores.Open("store", KvDurability::kOnFlush).value();
  stores.Crash();
  auto after = stores.Open("store", KvDurability::kOnFlush).value();
  EXPECT_EQ(before->Flush().error().code, Code::kFatal);
  before.reset();
  EXPECT_EQ(stores.Open("store", KvDurability::kOnFlush).error().code, Code::kConflict) << "the new handle is still open";
}

TEST(SimKv, AFullDiskRefusesFlushes) {
  Scheduler scheduler(1);
  SimKvStores stores(scheduler);
  auto store = stores.Open("store", KvDurability::kOnFlush).value();
  stores.SetFull(true);
  EXPECT_TRUE(store->Write(KvBatch()));
  EXPECT_EQ(store->Flush().error().code, Code::kRetry);
  stores.SetFull(false);
  EXPECT_TRUE(store->Flush());
}

}  // namespace
}  // namespace maily::sim
