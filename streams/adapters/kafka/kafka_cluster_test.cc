// Three brokers, of which one dies: nothing acknowledged is lost, and the order stays.
#include <gtest/gtest.h>

#include <future>

#include "streams/adapters/kafka/test_broker.h"

namespace maily::kafka {
namespace {

constexpr TopicPartition kAt{Topic::kJournal, PartitionId(1)};
TestBroker* brokers = nullptr;

int LeaderOf(const Options& options) {
  const auto admin = *Admin::Connect(options);
  const auto metadata = Patiently([&] { return admin->Metadata(JournalTopic(options)); });
  return metadata && (*metadata)->topic_cnt == 1 ? (*metadata)->topics[0].partitions[kAt.partition.value()].leader : 0;
}

TEST(KafkaCluster, AChangeOfLeaderLosesNothingAcknowledged) {
  const Options options = brokers->NewLog();
  MakeLog(options, 3);
  const auto log = OpenLog(options);
  EXPECT_NE(log->durability_class().find("loss of 1 disk or machine"), std::string::npos) << log->durability_class();
  const int leader = LeaderOf(options);
  ASSERT_GT(leader, 0);

  // One record in flight, as a journal has: an append that fails is sent again, so a record may be there twice.
  std::vector<std::string> acknowledged;
  for (int i = 0; i < 400; ++i) {
    if (i == 100) brokers->Kill(leader);
    for (bool done = false; !done;) {
      std::promise<Result<Appended>> promise;
      log->Append(kAt, std::to_string(i), Sync::kNow, [&](Result<Appended> result) { promise.set_value(std::move(result)); });
      const auto result = promise.get_future().get();
      done = result.has_value();
      if (!done) {
        EXPECT_EQ(result.error().code, Code::kRetry) << result.error().message;
      }
    }
    acknowledged.push_back(std::to_string(i));
  }
  EXPECT_NE(LeaderOf(options), leader);

  const auto read = [&](Log& from) {
    std::vector<std::string> all;
    for (Offset next(0);;) {
      const auto records = Patiently([&] { return from.Read(kAt, next, 1 << 20, ReadTo::kDurable); });
      EXPECT_TRUE(records) << records.error().ToString();
      if (!records || records->empty()) return all;
      for (const LogRecord& record : *records) all.push_back(record.bytes);
      next = records->back().offset.Next();
    }
  };
  const auto in_memory = read(*log);
  auto once = in_memory;
  once.erase(std::unique(once.begin(), once.end()), once.end());
  EXPECT_EQ(once, acknowledged);
  EXPECT_EQ(read(*OpenLog(options)), in_memory) << "what the new leader has is what was seen";
  brokers->Start(leader);
}

}  // namespace
}  // namespace maily::kafka

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  maily::kafka::TestBroker three("cluster 3");
  if (!three.started()) {
    std::printf("skipped, no Kafka here: %s\n[  PASSED  ] 0 tests.\n", three.why().c_str());
    return 0;
  }
  maily::kafka::brokers = &three;
  return RUN_ALL_TESTS();
}
