// The contract of the blobs port over the ones in memory, and their faults.
#include "streams/adapters/sim/sim_blobs.h"

#include "tests/contract/blobs_contract.h"

namespace maily::sim {
namespace {

class SimBlobsHarness : public contract::BlobsHarness {
 public:
  Blobs& blobs() override { return blobs_; }
  void DieWhilePutting(const std::string& name) override {
    blobs_.faults().put_fails = 1;
    EXPECT_EQ(blobs_.Put(name, "half").error().code, Code::kRetry);
    blobs_.faults().put_fails = 0;
  }

 private:
  Scheduler scheduler_{1};
  SimBlobs blobs_{scheduler_};
};

}  // namespace
}  // namespace maily::sim

namespace maily::contract {
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, BlobsContract, maily::sim::SimBlobsHarness);
}  // namespace maily::contract

namespace maily::sim {
namespace {

TEST(SimBlobs, FailsAsItIsTold) {
  Scheduler scheduler(1);
  SimBlobs blobs(scheduler);
  blobs.faults().put_fails_and_lands = 1;
  EXPECT_EQ(blobs.Put("blob", "bytes").error().code, Code::kRetry);
  EXPECT_EQ(blobs.Get("blob", 0, 10).value(), "bytes");
  blobs.faults().get_fails = blobs.faults().list_fails = blobs.faults().delete_fails = 1;
  EXPECT_EQ(blobs.Get("blob", 0, 10).error().code, Code::kRetry);
  EXPECT_EQ(blobs.List("", "", 10).error().code, Code::kRetry);
  EXPECT_EQ(blobs.Delete("blob").error().code, Code::kRetry);
}

}  // namespace
}  // namespace maily::sim
