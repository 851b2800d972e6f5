// What needs no broker: addresses, properties, the settings record, the newest records, and when a loss is believed.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "streams/adapters/kafka/options.h"
#include "streams/adapters/kafka/partition.h"
#include "streams/adapters/kafka/topics.h"

namespace maily::kafka {
namespace {

TEST(KafkaOptions, AnAddressNamesBrokersAndPrefix) {
  const auto options = ParseAddress("kafka://k1:9092,[::1]:9093/shop.eu");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->servers, "k1:9092,[::1]:9093");
  EXPECT_EQ(JournalTopic(*options), "shop.eu.journal");
  EXPECT_EQ(CommandsTopic(*ParseAddress("kafka://k1:9092")), "maily.commands");
  for (const char* wrong : {"", "rock", "kafka://", "kafka://host", "kafka://host:", "kafka://:9092", "kafka://a:1,,b:2", "kafka://a:1/",
                            "kafka://a:1/b c", "kafka://a:port", "http://a:1"}) {
    EXPECT_EQ(ParseAddress(wrong).error().code, Code::kInvalid) << wrong;
  }
}

TEST(KafkaOptions, PropertiesAreOfTheConnectionOnly) {
  const auto path = std::filesystem::temp_directory_path() / fmt::format("maily-properties-{}", ::getpid());
  const auto load = [&](const std::string& text) {
    std::ofstream(path) << text;
    auto loaded = LoadProperties(path.string());
    std::filesystem::remove(path);
    return loaded;
  };
  const auto good = load("# a comment\n\nsecurity.protocol = sasl_ssl\r\nsasl.password=a=b\n");
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(*good, (std::vector<std::pair<std::string, std::string>>{{"security.protocol", "sasl_ssl"}, {"sasl.password", "a=b"}}));
  const auto acks = load("client.id=x\nacks=1\n");
  ASSERT_FALSE(acks);
  EXPECT_NE(acks.error().message.find(":2: acks"), std::string::npos) << acks.error().message;
  EXPECT_FALSE(load("no equals sign"));
  EXPECT_FALSE(LoadProperties("/nowhere/at/all"));
}

TEST(KafkaTopics, GoldenSettings) {
  LogSettings settings;
  settings.log_id.bytes.fill(0xab);
  settings.partition_count = 16;
  settings.generation = 2;
  const std::string golden = "maily-log 1\nlog_id=abababababababababababababababab\npartitions=16\ngeneration=2\n";
  EXPECT_EQ(FormatSettings(settings), golden);
  const auto parsed = ParseSettings(golden, {});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->log_id, settings.log_id);
  EXPECT_EQ(parsed->partition_count, 16);
  EXPECT_EQ(parsed->generation, 2u);
  for (const char* wrong : {"", "maily-log 2\nlog_id=abababababababababababababababab\npartitions=16\ngeneration=2\n", "maily-log 1\n",
                            "maily-log 1\nlog_id=abababababababababababababababab\npartitions=0\ngeneration=2\n"}) {
    EXPECT_EQ(ParseSettings(wrong, {}).error().code, Code::kCorrupt) << wrong;
  }
}

LogRecord Record(uint64_t offset, size_t bytes = 10) { return {Offset(offset), Instant{0}, std::string(bytes, 'r')}; }

TEST(KafkaRecent, KeepsTheNewestWithinItsLimit) {
  Recent recent(Offset(5), 10'000);
  EXPECT_FALSE(recent.Push(Record(4))) << "known";
  for (uint64_t i = 5; i < 500; ++i) EXPECT_TRUE(recent.Push(Record(i, 100)));
  EXPECT_EQ(recent.end(), Offset(500));
  EXPECT_GT(recent.first(), Offset(400));
  EXPECT_LT(recent.first(), Offset(450));
  EXPECT_FALSE(recent.Covers(Offset(5)));
  EXPECT_EQ(recent.Read(Offset(490), 1).size(), 1u);
  EXPECT_EQ(recent.Read(Offset(490), 350).size(), 3u);
  EXPECT_EQ(recent.Read(Offset(490), 1 << 20).size(), 10u);
  recent.Push(Record(600, 50'000));
  EXPECT_EQ(recent.newest()->offset, Offset(600)) << "the newest stays, however large";
  EXPECT_EQ(recent.first(), Offset(500));
  EXPECT_EQ(recent.Read(Offset(500), 1).front().offset, Offset(600)) << "over a gap";
  recent.ForgetBefore(Offset(700));
  EXPECT_EQ(recent.first(), Offset(700));
  EXPECT_EQ(recent.end(), Offset(700));
}

TEST(KafkaPartition, OneShortAnswerIsADoubtAndAnotherRecordALoss) {
  Partition partition({Topic::kJournal, PartitionId(0)}, "t", {0, 10}, 1 << 20);
  EXPECT_EQ(Learn(partition, {0, 5}).error().code, Code::kRetry);
  EXPECT_FALSE(partition.lost);
  EXPECT_TRUE(Learn(partition, {0, 10})) << "the leader has caught up";
  EXPECT_EQ(partition.doubts, 0);
  EXPECT_TRUE(*TakeRead(partition, Record(10)));
  EXPECT_FALSE(*TakeAppended(partition, Record(10))) << "the acknowledgement comes after the record";
  EXPECT_TRUE(*TakeAppended(partition, Record(12))) << "another process wrote 11";
  EXPECT_EQ(partition.end, Offset(13));
  EXPECT_EQ(partition.recent.end(), Offset(11)) << "11 is still to be read";
  EXPECT_EQ(TakeAppended(partition, Record(10, 3)).error().code, Code::kDiverged);
  ASSERT_TRUE(partition.lost);
  EXPECT_EQ(TakeRead(partition, Record(11)).error().code, Code::kDiverged);
}

TEST(KafkaPartition, AnAppendThatStandsWhereRecordsWereBeforeIsInAnotherTopic) {
  Partition partition({Topic::kCommands, PartitionId(0)}, "t", {0, 10}, 1 << 20);
  EXPECT_TRUE(*TakeAppended(partition, Record(10)));
  EXPECT_EQ(TakeAppended(partition, Record(0)).error().code, Code::kDiverged);
  EXPECT_TRUE(partition.lost);
}

}  // namespace
}  // namespace maily::kafka
