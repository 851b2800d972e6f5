// The contract of the outlet port on a real broker, and what becomes of batches while there is none.
#include "streams/adapters/kafka/outlet.h"

#include "streams/adapters/kafka/test_broker.h"
#include "tests/contract/outlet_contract.h"

namespace maily::kafka {
namespace {

TestBroker* broker = nullptr;

// Two topics of their own, as PlanPublicTopics makes them.
class KafkaOutletHarness : public contract::OutletHarness {
 public:
  KafkaOutletHarness() : KafkaOutletHarness(kPatience) {}
  explicit KafkaOutletHarness(Duration append_timeout) : options_(broker->NewLog()) {
    const OutletOptions wanted{.topics = {options_.prefix + ".a", options_.prefix + ".b"},
                               .partitions = contract::kOutletPartitions,
                               .append_timeout = append_timeout};
    MakeLog(options_, contract::kOutletPartitions);
    const auto plans =
        Patiently([&] { return PlanPublicTopics(options_, {{wanted.topics[0]}, {wanted.topics[1]}}, contract::kOutletPartitions, 0); });
    MAILY_CHECK(plans, "{}", plans.error().ToString());
    const auto made = Patiently([&] { return MakeMissing(options_, *plans); });
    MAILY_CHECK(made, "{}", made.error().ToString());
    auto opened = OpenOutlet(options_, wanted);
    MAILY_CHECK(opened, "{}", opened.error().ToString());
    outlet_ = *std::move(opened);
  }
  Outlet& outlet() override { return *outlet_; }
  bool Until(const std::function<bool()>& reached) override {
    const auto give_up = std::chrono::steady_clock::now() + 2 * std::chrono::microseconds(kPatience.us);
    while (!reached()) {
      if (std::chrono::steady_clock::now() >= give_up) return false;
      std::this_thread::yield();
    }
    return true;
  }

 private:
  const Options options_;
  std::unique_ptr<Outlet> outlet_;
};

using KafkaOutletFaults = contract::OutletContract<KafkaOutletHarness>;

TEST(KafkaOutlet, WhileTheBrokerIsAwayABatchEndsInATimeOutAndTheNextOnesGoOn) {
  KafkaOutletHarness harness(Seconds(2));
  const auto append = [&](int from, int to) {
    auto result = std::make_shared<std::optional<Result<void>>>();
    auto came = std::make_shared<std::atomic<bool>>(false);
    harness.outlet().Append(0, PartitionId(0), KafkaOutletFaults::Numbers(from, to), [result, came](Result<void> answer, OutletBatch) {
      result->emplace(std::move(answer));
      *came = true;
    });
    EXPECT_TRUE(harness.Until([&] { return came->load(); }));
    return **result;
  };
  ASSERT_TRUE(append(0, 100));
  broker->Kill(1);
  const auto away = append(100, 200);
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().code, Code::kRetry) << away.error().ToString();
  broker->Start(1);
  const auto found = Patiently([&] { return harness.outlet().Newest(0, PartitionId(0), 1000); });
  ASSERT_TRUE(found) << found.error().ToString();
  ASSERT_GE(found->size(), 100u);
  ASSERT_LE(found->size(), 200u);
  const int next = static_cast<int>(found->size());
  Result<void> again = Fail(Code::kRetry, "not tried");
  ASSERT_TRUE(harness.Until([&] { return (again = append(next, 300)).has_value(); })) << again.error().ToString();
}

}  // namespace
}  // namespace maily::kafka

namespace maily::contract {
INSTANTIATE_TYPED_TEST_SUITE_P(Kafka, OutletContract, maily::kafka::KafkaOutletHarness);
}  // namespace maily::contract

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  maily::kafka::TestBroker one("start");
  if (!one.started()) {
    std::printf("skipped, no Kafka here: %s\n[  PASSED  ] 0 tests.\n", one.why().c_str());
    return 0;
  }
  maily::kafka::broker = &one;
  return RUN_ALL_TESTS();
}
