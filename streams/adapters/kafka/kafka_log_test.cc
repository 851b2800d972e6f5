// The contract of the log port on a real broker.
#include "streams/adapters/kafka/kafka_log.h"

#include "streams/adapters/kafka/test_broker.h"
#include "tests/contract/log_contract.h"

namespace maily::kafka {
namespace {

TestBroker* broker = nullptr;

class KafkaHarness : public contract::LogHarness {
 public:
  KafkaHarness() {
    MakeLog(options_, kPartitions);
    Open();
  }
  Log& log() override { return *log_; }
  bool Until(const std::function<bool()>& reached) override {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 2 * std::chrono::microseconds(kPatience.us), reached);
  }
  void Reopen() override {
    log_.reset();
    Open();
  }
  // What the broker was not sent is gone; NewLog() waits for nothing when it closes.
  void Crash() override { Reopen(); }

 private:
  void Open() { log_ = OpenLog(options_); }
  const Options options_ = broker->NewLog();
  std::unique_ptr<Log> log_;
};

}  // namespace
}  // namespace maily::kafka

namespace maily::contract {
INSTANTIATE_TYPED_TEST_SUITE_P(Kafka, LogContract, maily::kafka::KafkaHarness);
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
