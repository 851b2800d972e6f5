// Reading old records from a broker that is slow, or no longer has them; the mock broker of librdkafka is told when to be so.
#include "streams/adapters/kafka/cursors.h"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka_mock.h>

#include "streams/adapters/kafka/producer.h"

namespace maily::kafka {
namespace {

constexpr int kRecords = 5;

class CursorsOnAMock : public testing::Test {
 protected:
  CursorsOnAMock() {
    char text[256];
    owner_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof(text)));
    mock_ = rd_kafka_mock_cluster_new(owner_.get(), 1);
    options_.servers = rd_kafka_mock_cluster_bootstraps(mock_);
    rd_kafka_mock_topic_create(mock_, CommandsTopic(options_).c_str(), 1, 1);
    rd_kafka_mock_topic_create(mock_, JournalTopic(options_).c_str(), 1, 1);
    partition_ = std::make_unique<Partition>(TopicPartition{Topic::kJournal, PartitionId(0)}, JournalTopic(options_), Watermarks{}, 1);
  }
  ~CursorsOnAMock() override {
    cursors_.reset();
    rd_kafka_mock_cluster_destroy(mock_);
  }
  void SetUp() override {
    const ClientPtr client = *MakeClient(RD_KAFKA_PRODUCER, options_, {});
    const TopicPtr topic = *MakeTopic(client.get(), JournalTopic(options_));
    for (int i = 0; i < kRecords; ++i) {
      std::string record = std::to_string(i);
      ASSERT_EQ(rd_kafka_produce(topic.get(), 0, RD_KAFKA_MSG_F_COPY, record.data(), record.size(), nullptr, 0, nullptr), 0);
    }
    ASSERT_EQ(rd_kafka_flush(client.get(), 60'000), RD_KAFKA_RESP_ERR_NO_ERROR);
    cursors_ = std::make_unique<Cursors>(options_, 1);
  }
  Result<Cursors::Portion> Read(uint64_t from) { return cursors_->Read(*partition_, Offset(from), Offset(kRecords + 1), 1 << 20); }

  Options options_;
  ClientPtr owner_;
  rd_kafka_mock_cluster_t* mock_ = nullptr;
  std::unique_ptr<Partition> partition_;
  std::unique_ptr<Cursors> cursors_;
};

TEST_F(CursorsOnAMock, ABrokerThatIsSlowIsHeardOut) {
  ASSERT_TRUE(Read(0));
  rd_kafka_mock_broker_set_rtt(mock_, -1, 1'500);
  for (int i = 0; i < 2; ++i) {
    const auto end = Read(kRecords);
    ASSERT_TRUE(end) << end.error().ToString();
    EXPECT_TRUE(end->at_end);
  }
}

TEST_F(CursorsOnAMock, TheEndIsToldToEveryoneWhoAsks) {
  for (int i = 0; i < 5; ++i) {
    const auto end = Read(kRecords);
    ASSERT_TRUE(end) << end.error().ToString();
    EXPECT_TRUE(end->records.empty());
    EXPECT_TRUE(end->at_end);
  }
}

TEST_F(CursorsOnAMock, AfterAnOffsetThatIsGoneOthersAreRead) {
  for (int i = 0; i < 3; ++i) {
    const auto gone = Read(1'000);
    ASSERT_TRUE(gone) << gone.error().ToString();
    EXPECT_TRUE(gone->out_of_range);
    const auto there = Read(0);
    ASSERT_TRUE(there) << there.error().ToString();
    EXPECT_EQ(there->records.size(), size_t{kRecords});
  }
}

}  // namespace
}  // namespace maily::kafka
