// A publishing process over a real broker, killed by kill -9 again and again: what stands in the topics then is each event once, in order.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>

#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/kafka/outlet.h"
#include "streams/adapters/kafka/test_broker.h"
#include "streams/adapters/rocks/options.h"
#include "streams/adapters/rocks/rocks_log.h"
#include "streams/link/test_journal.h"

namespace maily::link {
namespace {

constexpr PartitionId kPartition{0};
constexpr size_t kTopics = 2;

const char* program = nullptr;
kafka::TestBroker* broker = nullptr;

std::unique_ptr<Log> OpenJournal(const std::string& directory, const rocks::Resources& resources, Clock& clock) {
  LogSettings settings;
  settings.log_id.bytes.fill(7);
  settings.partition_count = 1;
  auto log = rocks::RocksLog::Open(directory, settings, resources, clock);
  MAILY_CHECK(log, "{}", log.error().ToString());
  return *std::move(log);
}

std::unique_ptr<Outlet> OpenTopics(const kafka::Options& options) {
  kafka::OutletOptions wanted;
  for (size_t i = 0; i < kTopics; ++i) wanted.topics.push_back(fmt::format("{}.t{}", options.prefix, i));
  auto outlet = kafka::OpenOutlet(options, wanted);
  MAILY_CHECK(outlet, "{}", outlet.error().ToString());
  return *std::move(outlet);
}

// What the process does that is killed: publishes the journal in `directory`, and ends once all of it is acknowledged.
int Publish(const std::string& directory, const std::string& servers, const std::string& prefix) {
  asio_net::SystemClock clock;
  const rocks::Resources resources{rocks::Limits{}};
  const auto log = OpenJournal(directory, resources, clock);
  journal::Tail tail(*log, kPartition, 1 << 20);
  auto reader = tail.Open({});
  MAILY_CHECK(reader, "{}", reader.error().ToString());
  for (auto frame = (*reader)->Next();; frame = (*reader)->Next()) {
    MAILY_CHECK(frame, "{}", frame.error().ToString());
    if (*frame == nullptr) break;
  }
  const journal::Position end = (*reader)->position();
  kafka::Options options;
  options.servers = servers;
  options.prefix = prefix;
  asio_net::Worker worker("public");
  ByType mapping(kTopics);
  const auto outlet = OpenTopics(options);
  Publisher publisher(*log, *outlet, mapping, worker, clock, kPartition, {.round_records = 50});
  publisher.Lead(tail, end);
  while (publisher.published() != end.lsn) {
    MAILY_CHECK(publisher.stopped_why().empty(), "{}", publisher.stopped_why());
    ::usleep(1000);
  }
  worker.Stop();
  return 0;
}

pid_t Start(const std::string& directory, const kafka::Options& options) {
  std::string words[] = {program, "--publish", directory, options.servers, options.prefix};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), words[4].data(), nullptr};
  pid_t child = 0;
  MAILY_CHECK(posix_spawn(&child, program, nullptr, nullptr, arguments, environ) == 0, "{} does not start", program);
  return child;
}

TEST(KafkaPublisher, KilledAgainAndAgainItPublishesEachEventOnceInOrder) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::string directory = broker->directory() + "-journal";
  std::map<size_t, std::vector<std::string>> expected;
  {
    asio_net::SystemClock clock;
    const rocks::Resources resources{rocks::Limits{}};
    const auto log = OpenJournal(directory, resources, clock);
    TestJournal journal(*log, kPartition);
    for (int i = 0; i < 500; ++i) {
      journal.Decide(1 + random() % 40, random() % 4,
                     [&] { return static_cast<TypeNumber>(random() % 5 == 0 ? 7 : kFirstTopic + random() % kTopics); });
    }
    expected = journal.expected;
  }
  const kafka::Options options = broker->NewLog();
  std::vector<kafka::PublicTopic> topics;
  for (size_t i = 0; i < kTopics; ++i) topics.push_back({fmt::format("{}.t{}", options.prefix, i)});
  const auto plans = kafka::Patiently([&] { return kafka::PlanPublicTopics(options, topics, 1, 0); });
  ASSERT_TRUE(plans) << plans.error().ToString();
  ASSERT_TRUE(kafka::Patiently([&] { return kafka::MakeMissing(options, *plans); }));
  const auto outlet = OpenTopics(options);
  const auto stored = [&](size_t topic, size_t count) {
    const auto records = kafka::Patiently([&] { return outlet->Newest(topic, kPartition, count); });
    MAILY_CHECK(records, "{}", records.error().ToString());
    return *records;
  };
  // Killed when the first topic holds so many records.
  constexpr size_t kKills = 6;
  for (size_t kill = 1; kill <= kKills; ++kill) {
    const size_t target = expected[0].size() * kill / (kKills + 2) + random() % 100;
    const pid_t child = Start(directory, options);
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::microseconds(kafka::kPatience.us);
    for (auto last = stored(0, 1); last.empty() || last[0].offset < target; last = stored(0, 1)) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up) << "the process publishes nothing";
    }
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it was through before it was killed";
  }
  const pid_t last = Start(directory, options);
  int status = 0;
  ASSERT_EQ(waitpid(last, &status, 0), last);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  for (size_t topic = 0; topic < kTopics; ++topic) {
    std::vector<std::string> ids;
    for (const OutletRecord& record : stored(topic, 1'000'000)) {
      ids.push_back(*record.Header(kEventIdHeader));
      ASSERT_EQ(record.value, ids.back() + " happened");
    }
    ASSERT_EQ(ids, expected[topic]);
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace maily::link

int main(int argc, char** argv) {
  if (argc == 5 && std::string_view(argv[1]) == "--publish") return maily::link::Publish(argv[2], argv[3], argv[4]);
  testing::InitGoogleTest(&argc, argv);
  maily::link::program = "/proc/self/exe";
  maily::kafka::TestBroker one("start");
  if (!one.started()) {
    std::printf("skipped, no Kafka here: %s\n[  PASSED  ] 0 tests.\n", one.why().c_str());
    return 0;
  }
  maily::link::broker = &one;
  return RUN_ALL_TESTS();
}
