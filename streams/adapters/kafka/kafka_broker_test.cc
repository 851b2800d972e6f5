// What only a broker can do to the log: it goes away, forgets, refuses, holds strangers' records.
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <signal.h>

#include <fstream>
#include <future>

#include "streams/adapters/kafka/test_broker.h"

namespace maily::kafka {
namespace {

constexpr TopicPartition kAt{Topic::kJournal, PartitionId(1)};
TestBroker* broker = nullptr;

using Answer = std::future<Result<Appended>>;

Answer Append(Log& log, std::string record, TopicPartition at = kAt) {
  auto promise = std::make_shared<std::promise<Result<Appended>>>();
  Answer answer = promise->get_future();
  log.Append(at, std::move(record), Sync::kNow, [promise](Result<Appended> result) { promise->set_value(std::move(result)); });
  return answer;
}

Result<std::vector<std::string>> ReadOnce(Log& log) {
  Offset from(0);
  std::vector<std::string> all;
  for (;;) {
    MAILY_TRY(const std::vector<LogRecord> records, log.Read(kAt, from, 1 << 20, ReadTo::kDurable));
    if (records.empty()) return all;
    for (const LogRecord& record : records) all.push_back(record.bytes);
    from = records.back().offset.Next();
  }
}

Result<std::vector<std::string>> ReadAll(Log& log) {
  return Patiently([&] { return ReadOnce(log); });
}

// Waits for what comes by itself, as long as kPatience.
bool Within(const std::function<bool()>& reached) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(kPatience.us);
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  while (!reached()) {
    if (std::chrono::steady_clock::now() > end) return false;
    never.wait_for(lock, std::chrono::milliseconds(20));
  }
  return true;
}

// The code with which reading ends up, once it is no longer kRetry.
std::optional<Error> ReadsEndIn(Log& log, Code code) {
  std::optional<Error> error;
  Within([&] {
    const auto read = ReadOnce(log);
    error = read ? std::nullopt : std::optional(read.error());
    return error && error->code == code;
  });
  return error;
}

void Signal(int signal) {
  pid_t pid = 0;
  std::ifstream(broker->directory() + "/1/pid") >> pid;
  MAILY_CHECK(pid > 0 && ::kill(pid, signal) == 0, "no broker to signal");
}

void SetConfig(const std::string& topic, const std::string& name, const std::string& value, const Options& options) {
  auto admin = *Admin::Connect(options);
  rd_kafka_ConfigResource_t* resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str());
  for (const TopicPlan& plan : *PlanTopics(options, 3, 1)) {  // AlterConfigs replaces all of them
    if (plan.name != topic) continue;
    for (const auto& [each, kept] : plan.settings) {
      if (each != name) rd_kafka_ConfigResource_set_config(resource, each.c_str(), kept.c_str());
    }
  }
  rd_kafka_ConfigResource_set_config(resource, name.c_str(), value.c_str());
  const auto done = admin->Run(RD_KAFKA_ADMIN_OP_ALTERCONFIGS,
                               [&](auto* asked, auto* queue) { rd_kafka_AlterConfigs(admin->client(), &resource, 1, asked, queue); });
  rd_kafka_ConfigResource_destroy(resource);
  MAILY_CHECK(done, "{}", done.error().ToString());
}

TEST(KafkaBroker, AProducerThatEndedIsReplaced) {
  const Options options = broker->NewLog();
  MakeLog(options, 3);
  const auto log = OpenLog(options);
  ASSERT_TRUE(Append(*log, "before").get());
  dynamic_cast<KafkaLogImpl&>(*log).producer().FailForTesting();
  ASSERT_TRUE(Within([&] { return Append(*log, "after").get().has_value(); }));
  const auto all = ReadAll(*log);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->front(), "before");
  EXPECT_EQ(all->back(), "after");
}

TEST(KafkaBroker, ARecordThatTimedOutMayBeThereBeforeAYoungerOne) {
  Options options = broker->NewLog();
  options.append_timeout = Seconds(1);
  MakeLog(options, 3);
  const auto log = OpenLog(options);
  ASSERT_TRUE(Append(*log, "first").get());
  Signal(SIGSTOP);
  const auto late = Append(*log, "late").get();
  Signal(SIGCONT);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::kRetry);
  EXPECT_NE(late.error().message.find("journal partition 1"), std::string::npos) << late.error().message;
  int younger = 0;
  ASSERT_TRUE(Within([&] { return Append(*log, "younger " + std::to_string(younger++)).get().has_value(); }));
  const auto all = ReadAll(*log);
  ASSERT_TRUE(all) << all.error().ToString();
  EXPECT_EQ(all->front(), "first");
  EXPECT_EQ(all->back(), "younger " + std::to_string(younger - 1));
  EXPECT_LE(std::ranges::count(*all, "late"), 1);
}

TEST(KafkaBroker, WhatWaitsIsBounded) {
  Options options = broker->NewLog();
  options.append_queue_bytes_max = 2 << 20;
  MakeLog(options, 3);
  const auto log = OpenLog(options);
  ASSERT_TRUE(Append(*log, "first").get());
  Signal(SIGSTOP);
  std::vector<Answer> answers;
  for (int i = 0; i < 6; ++i) answers.push_back(Append(*log, std::string(900'000, 'x')));
  const auto refused = answers.back().get();
  Signal(SIGCONT);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kRetry);
  EXPECT_NE(refused.error().message.find("2 MiB wait"), std::string::npos) << refused.error().message;
  EXPECT_TRUE(answers.front().get()) << "what was taken is not forgotten";
}

TEST(KafkaBroker, AKilledBrokerComesBackWithEverythingAcknowledged) {
  Options options = broker->NewLog();
  options.append_timeout = Seconds(2);
  options.request_timeout = Seconds(2);
  MakeLog(options, 3);
  const auto log = OpenLog(options);
  std::vector<std::string> expected;
  for (int i = 0; i < 50; ++i) {
    expected.push_back("record " + std::to_string(i));
    ASSERT_TRUE(Append(*log, expected.back()).get());
  }
  std::atomic<int> signals = 0;
  const auto watch = log->WatchTail(kAt, ReadTo::kDurable, [&] { ++signals; });
  broker->Kill(1);
  const auto down = Append(*log, "while it is down").get();
  ASSERT_FALSE(down);
  EXPECT_EQ(down.error().code, Code::kRetry);
  EXPECT_EQ(*ReadAll(*log), expected) << "what is in memory can still be read";
  broker->Start(1);
  ASSERT_TRUE(Within([&] { return Append(*log, "again").get().has_value(); }));
  EXPECT_GE(signals, 2);
  const auto all = ReadAll(*log);
  ASSERT_TRUE(all) << all.error().ToString();
  ASSERT_GE(all->size(), expected.size());
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), all->begin()));
  EXPECT_EQ(*ReadAll(*OpenLog(options)), *all) << "from the broker, as from memory";
}

TEST(KafkaBroker, ATruncatedPartitionIsNoticed) {
  const Options options = broker->NewLog();
  MakeLog(options, 3);
  const auto log = OpenLog(options);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Append(*log, "record").get());
  broker->Kill(1);
  for (const auto& file : std::filesystem::directory_iterator(fmt::format("{}/1/data/{}-1", broker->directory(), JournalTopic(options)))) {
    if (file.path().filename().string().starts_with("0000")) std::filesystem::remove(file.path());
  }
  broker->Start(1);
  const auto error = ReadsEndIn(*log, Code::kDiverged);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Code::kDiverged) << error->message;
  EXPECT_EQ(Append(*log, "more").get().error().code, Code::kDiverged);
}

TEST(KafkaBroker, ATopicThatIsMadeAnewIsNoticed) {
  const Options options = broker->NewLog();
  MakeLog(options, 3);
  const auto log = OpenLog(options);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Append(*log, "record").get());
  {
    auto admin = *Admin::Connect(options);
    rd_kafka_DeleteTopic_t* topic = rd_kafka_DeleteTopic_new(JournalTopic(options).c_str());
    ASSERT_TRUE(admin->Run(RD_KAFKA_ADMIN_OP_DELETETOPICS,
                           [&](auto* asked, auto* queue) { rd_kafka_DeleteTopics(admin->client(), &topic, 1, asked, queue); }));
    rd_kafka_DeleteTopic_destroy(topic);
  }
  ASSERT_TRUE(Within([&] { return CreateTopics(options, *PlanTopics(options, 3, 1), {}).has_value(); }));
  const auto error = ReadsEndIn(*log, Code::kDiverged);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Code::kDiverged) << error->message;
  EXPECT_NE(error->message.find("made anew"), std::string::npos) << error->message;
}

TEST(KafkaBroker, StrangersRecordsAndMarkersHoldUpNobody) {
  const Options options = broker->NewLog();
  MakeLog(options, 3);
  auto log = OpenLog(options);
  ASSERT_TRUE(Append(*log, "ours").get());
  {
    const auto client = *MakeClient(RD_KAFKA_PRODUCER, options, {{"transactional.id", options.prefix}});
    for (auto* error : {rd_kafka_init_transactions(client.get(), 20'000), rd_kafka_begin_transaction(client.get())}) {
      ASSERT_EQ(error, nullptr) << rd_kafka_error_string(error);
    }
    const auto topic = *MakeTopic(client.get(), JournalTopic(options));
    std::string stray = "a stranger's";
    ASSERT_EQ(rd_kafka_produce(topic.get(), 1, RD_KAFKA_MSG_F_COPY, stray.data(), stray.size(), nullptr, 0, nullptr), 0);
    auto* error = rd_kafka_commit_transaction(client.get(), 20'000);
    ASSERT_EQ(error, nullptr) << rd_kafka_error_string(error);
  }
  const std::vector<std::string> both{"ours", "a stranger's"};
  ASSERT_TRUE(Within([&] { return *ReadAll(*log) == both; }));
  // The marker of the transaction took an offset: whoever opens the log now finds no record there, and no end to wait for.
  log = OpenLog(options);
  EXPECT_EQ(*ReadAll(*log), both);
  EXPECT_EQ(log->Ends(kAt).durable, Offset(2));
  const auto next = Append(*log, "next").get();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->offset, Offset(3));
  EXPECT_EQ(ReadAll(*log)->back(), "next");
}

TEST(KafkaBroker, ATopicThatTakesLessNamesTheSettingAndRecovers) {
  const Options options = broker->NewLog();
  MakeLog(options, 3);
  const auto log = OpenLog(options);
  SetConfig(JournalTopic(options), "max.message.bytes", "10000", options);
  std::optional<Error> error;
  ASSERT_TRUE(Within([&] {
    const auto answer = Append(*log, std::string(20'000, 'x')).get();
    if (!answer) error = answer.error();
    return error.has_value();
  }));
  EXPECT_EQ(error->code, Code::kRetry);
  EXPECT_NE(error->message.find("max.message.bytes"), std::string::npos) << error->message;
  SetConfig(JournalTopic(options), "max.message.bytes", "1100000", options);
  ASSERT_TRUE(Within([&] { return Append(*log, std::string(20'000, 'y')).get().has_value(); }));
}

TEST(KafkaBroker, SettingsThatBreakTheLogAreRefusedWithTheCommandThatMendsThem) {
  const Options options = broker->NewLog();
  EXPECT_EQ(Patiently([&] { return KafkaLog::Open(options, 0); }).error().code, Code::kNotFound);
  MakeLog(options, 3);
  EXPECT_EQ(Patiently([&] { return KafkaLog::Open(options, 4); }).error().code, Code::kConflict) << "another number of partitions";
  const std::pair<std::string, std::string> wrong[] = {{"retention.ms", "3600000"},
                                                       {"cleanup.policy", "compact"},
                                                       {"message.timestamp.type", "CreateTime"},
                                                       {"max.message.bytes", "100000"},
                                                       {"retention.bytes", "1000000"}};
  for (const auto& [name, value] : wrong) {
    SCOPED_TRACE(name);
    SetConfig(JournalTopic(options), name, value, options);
    const auto opened = Patiently([&] { return KafkaLog::Open(options, 3); });
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::kConflict);
    EXPECT_NE(opened.error().message.find("kafka-configs.sh"), std::string::npos) << opened.error().message;
    EXPECT_NE(opened.error().message.find(name), std::string::npos) << opened.error().message;
  }
  SetConfig(JournalTopic(options), "retention.bytes", "-1", options);
  EXPECT_TRUE(Patiently([&] { return KafkaLog::Open(options, 3); }));
  const auto examined = ExamineTopics(options);
  ASSERT_TRUE(examined);
  EXPECT_NE(examined->durability.find("replication factor 1"), std::string::npos) << examined->durability;
}

TEST(KafkaBroker, TlsAndSaslConnectAndRefuseByName) {
  Options options = broker->NewLog();
  MakeLog(options, 3);
  std::getline(std::ifstream(broker->directory() + "/secure/address"), options.servers);
  options.properties = *LoadProperties(broker->directory() + "/client.properties");
  options.request_timeout = Seconds(5);
  {
    const auto log = OpenLog(options);
    ASSERT_TRUE(Append(*log, "sealed on the way").get());
    EXPECT_EQ(*ReadAll(*log), std::vector<std::string>{"sealed on the way"});
  }
  const auto set = [](Options changed, const std::string& name, const std::string& value) {
    changed.properties.emplace_back(name, value);  // the last one counts
    return changed;
  };
  const auto password = KafkaLog::Open(set(options, "sasl.password", "wrong"), 0);
  ASSERT_FALSE(password);
  EXPECT_NE(password.error().message.find("sasl.*"), std::string::npos) << password.error().message;
  const auto plaintext = KafkaLog::Open(set(options, "security.protocol", "plaintext"), 0);
  ASSERT_FALSE(plaintext);
  const auto unknown_authority = KafkaLog::Open(set(options, "ssl.ca.location", "/etc/ssl/certs/ca-certificates.crt"), 0);
  ASSERT_FALSE(unknown_authority);
  EXPECT_NE(unknown_authority.error().message.find("ssl.*"), std::string::npos) << unknown_authority.error().message;
  const auto nobody = KafkaLog::Open(set(set(options, "sasl.username", "reader"), "sasl.password", "reader"), 0);
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, Code::kFatal);
  EXPECT_NE(nobody.error().message.find("kafka-acls"), std::string::npos) << nobody.error().message;
}

// The mock can say what a real broker says only after a connection broke at the right moment.
TEST(KafkaMock, ADuplicateIsAcknowledgedWithoutItsOffset) {
  char text[256];
  const ClientPtr owner(rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof(text)));
  ASSERT_TRUE(owner);
  rd_kafka_mock_cluster_t* mock = rd_kafka_mock_cluster_new(owner.get(), 1);
  Options options;
  options.servers = rd_kafka_mock_cluster_bootstraps(mock);
  rd_kafka_mock_topic_create(mock, JournalTopic(options).c_str(), 3, 1);
  rd_kafka_mock_topic_create(mock, CommandsTopic(options).c_str(), 3, 1);
  {
    Partition partition({kAt}, JournalTopic(options), {}, 1 << 20);
    Caller caller;
    std::vector<std::optional<Offset>> seen;
    const auto producer = *Producer::Start(options, caller, [&](Partition&, std::optional<Offset> offset, Instant, std::string) {
      seen.push_back(offset);
      return Ok();
    });
    const auto append = [&](const std::string& record) {
      auto promise = std::make_shared<std::promise<Result<Appended>>>();
      producer->Append(partition, record, [promise](Result<Appended> result) { promise->set_value(std::move(result)); });
      return promise->get_future().get();
    };
    ASSERT_TRUE(append("first")->offset);
    constexpr int16_t kProduce = 0;  // the number of the request in the protocol
    rd_kafka_mock_push_request_errors(mock, kProduce, 1, RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER);
    const auto again = append("second");
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_FALSE(again->offset);
    EXPECT_EQ(seen.size(), 2u);
  }
  rd_kafka_mock_cluster_destroy(mock);
}

}  // namespace
}  // namespace maily::kafka

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  maily::kafka::TestBroker one("start --secure");
  if (!one.started()) {
    std::printf("skipped, no Kafka here: %s\n[  PASSED  ] 0 tests.\n", one.why().c_str());
    return 0;
  }
  maily::kafka::broker = &one;
  return RUN_ALL_TESTS();
}
