// A plain topic as an inlet, on a real broker.
#include "streams/adapters/kafka/inlet.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <mutex>

#include "streams/adapters/kafka/test_broker.h"

namespace maily::kafka {
namespace {

// Counts signals, so that a test can wait for one.
class Signals {
 public:
  std::function<void()> Hook() {
    return [this] {
      const std::lock_guard lock(mutex_);
      ++count_;
      changed_.notify_all();
    };
  }
  // Until there was one since the last call.
  bool Await() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::microseconds(kPatience.us), [this] { return std::exchange(count_, 0) > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

class KafkaInletTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { broker_ = std::make_unique<TestBroker>("start"); }
  static void TearDownTestSuite() { broker_.reset(); }
  void SetUp() override {
    if (!broker_->started()) GTEST_SKIP() << "no broker: " << broker_->why();
    options_ = broker_->NewLog();
    MakeLog(options_, 2);
    log_ = OpenLog(options_);
  }
  // The commands topic of a log, as any topic with records in it.
  void Append(uint16_t partition, const std::string& value) {
    std::promise<Result<Appended>> done;
    log_->Append({Topic::kCommands, PartitionId(partition)}, value, Sync::kNow, [&](Result<Appended> result) { done.set_value(result); });
    const auto result = done.get_future().get();
    ASSERT_TRUE(result) << result.error().ToString();
  }
  std::unique_ptr<Inlet> OpenInlet() {
    auto inlet = Patiently([&] { return KafkaInlet::Open(options_, CommandsTopic(options_)); });
    MAILY_CHECK(inlet, "{}", inlet.error().ToString());
    return *std::move(inlet);
  }
  // The next `count` records, as "offset:value".
  std::vector<std::string> Take(InletReader& reader, size_t count) {
    std::vector<std::string> taken;
    while (taken.size() < count) {
      const auto records = reader.Next().value();
      for (const PlainRecord& record : records) taken.push_back(fmt::format("{}:{}", record.offset.value(), record.value));
      if (records.empty() && !signals_.Await()) break;
    }
    return taken;
  }

  static inline std::unique_ptr<TestBroker> broker_;
  Options options_;
  std::unique_ptr<Log> log_;
  Signals signals_;
};

TEST_F(KafkaInletTest, RecordsComeInOrderAndASignalTellsOfMore) {
  for (int i = 0; i < 5; ++i) Append(1, fmt::format("r{}", i));
  Append(0, "other");
  const auto inlet = OpenInlet();
  EXPECT_EQ(inlet->partition_count(), 2);
  const auto reader = inlet->Open(PartitionId(1), std::nullopt, signals_.Hook()).value();
  EXPECT_EQ(Take(*reader, 5), (std::vector<std::string>{"0:r0", "1:r1", "2:r2", "3:r3", "4:r4"}));
  EXPECT_TRUE(reader->Next().value().empty());
  Append(1, "late");
  EXPECT_EQ(Take(*reader, 1), (std::vector<std::string>{"5:late"}));
}

TEST_F(KafkaInletTest, AReaderGoesOnWhereItIsTold) {
  for (int i = 0; i < 5; ++i) Append(0, fmt::format("r{}", i));
  const auto inlet = OpenInlet();
  inlet->Open(PartitionId(0), std::nullopt, signals_.Hook()).value();  // the one before it is gone
  const auto reader = inlet->Open(PartitionId(0), Offset(3), signals_.Hook()).value();
  EXPECT_EQ(Take(*reader, 2), (std::vector<std::string>{"3:r3", "4:r4"}));
}

TEST_F(KafkaInletTest, MoreThanItFetchesAheadComesInOrder) {
  constexpr size_t kRecords = 300;
  const std::string value(kInletAheadBytes * 3 / kRecords, 'v');
  for (size_t i = 0; i < kRecords; ++i) Append(0, value);
  const auto inlet = OpenInlet();
  const auto reader = inlet->Open(PartitionId(0), std::nullopt, signals_.Hook()).value();
  std::vector<uint64_t> offsets;
  while (offsets.size() < kRecords) {
    const auto records = reader->Next().value();
    for (const PlainRecord& record : records) offsets.push_back(record.offset.value());
    ASSERT_TRUE(!records.empty() || signals_.Await()) << offsets.size() << " came";
  }
  for (size_t i = 0; i < kRecords; ++i) ASSERT_EQ(offsets[i], i);
}

TEST_F(KafkaInletTest, PlacesThatAreDeletedOrBeyondTheEndAreRefused) {
  for (int i = 0; i < 5; ++i) Append(0, "r");
  ASSERT_TRUE(log_->Trim({Topic::kCommands, PartitionId(0)}, Offset(3)));
  const auto inlet = OpenInlet();
  EXPECT_EQ(inlet->Open(PartitionId(0), Offset(2), signals_.Hook()).error().code, Code::kNotFound);
  EXPECT_EQ(inlet->Open(PartitionId(0), Offset(6), signals_.Hook()).error().code, Code::kDiverged);
  const auto reader = inlet->Open(PartitionId(0), std::nullopt, signals_.Hook()).value();
  EXPECT_EQ(Take(*reader, 2), (std::vector<std::string>{"3:r", "4:r"}));
  EXPECT_EQ(KafkaInlet::Open(options_, "nobody.made.this").error().code, Code::kNotFound);
}

}  // namespace
}  // namespace maily::kafka
