// Uses a log as its clients do, from many threads, and records what each was told: one life of the recording process, which the driver
// (histories.py) kills and starts again on the same log. With --final it appends one record to each partition and reads everything up to
// it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <thread>

#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/kafka/kafka_log.h"
#include "streams/adapters/kafka/topics.h"
#include "streams/adapters/rocks/options.h"
#include "streams/adapters/rocks/rocks_log.h"
#include "streams/observe/logging.h"
#include "tests/histories/producer.h"
#include "tests/histories/reader.h"

namespace maily::histories {
namespace {

constexpr std::chrono::seconds kOpenPatience{120};
constexpr std::chrono::milliseconds kAgain{200};
constexpr std::chrono::seconds kMarkPatience{120};

struct Arguments {
  std::string log;      // a directory, or kafka://…
  std::string history;  // directory
  uint64_t session = 0;
  uint64_t seed = 1;
  bool make = false;
  bool final_read = false;
  uint64_t appends = 100'000;
  uint64_t rate = 0;
  uint64_t memtable_kib = 20 << 10;
  int64_t append_timeout_ms = 30'000;
  bool IsKafka() const { return log.starts_with("kafka://"); }
};

LogSettings Wanted() {
  LogSettings wanted;
  wanted.log_id.bytes.fill(7);
  wanted.partition_count = kPartitionsEach;
  return wanted;
}

// Asks until the answer is another one than kRetry.
template <class Ask>
auto Patiently(Ask ask) {
  const auto end = std::chrono::steady_clock::now() + kOpenPatience;
  for (;;) {
    auto answer = ask();
    if (answer || answer.error().code != Code::kRetry || std::chrono::steady_clock::now() > end) return answer;
    std::this_thread::sleep_for(kAgain);
  }
}

Result<kafka::Options> OptionsOf(const Arguments& arguments) {
  MAILY_TRY(kafka::Options options, kafka::ParseAddress(arguments.log));
  options.append_timeout = Milliseconds(arguments.append_timeout_ms);
  return options;
}

Result<void> MakeTopics(const Arguments& arguments) {
  MAILY_TRY(const kafka::Options options, OptionsOf(arguments));
  MAILY_TRY(const auto plans, Patiently([&] { return kafka::PlanTopics(options, kPartitionsEach, 0); }));
  const auto made = Patiently([&] { return kafka::CreateTopics(options, plans, Wanted()); });
  return made ? Ok() : Result<void>(made.error());
}

Result<std::unique_ptr<Log>> OpenKafka(const Arguments& arguments) {
  MAILY_TRY(const kafka::Options options, OptionsOf(arguments));
  return Patiently([&] { return kafka::KafkaLog::Open(options, kPartitionsEach); });
}

// A record in each partition, behind all that was acknowledged; then everything up to there.
bool ReadTheEnd(Session& session, Outcomes& outcomes) {
  Producer producer(session, outcomes, 0);
  std::array<uint64_t, kPartitions> last{};
  const auto end = std::chrono::steady_clock::now() + kMarkPatience;
  for (uint8_t p = 0; p < kPartitions; ++p) {
    while (session.acknowledged[p] == 0) {
      if (std::chrono::steady_clock::now() > end) {
        fmt::print(stderr, "partition {} takes no append any more\n", p);
        return false;
      }
      producer.Append(p, 100, Sync::kNow, 0);
      producer.AwaitAll();
    }
    last[p] = session.acknowledged[p] - 1;
  }
  return ReadAll(session, last);
}

void RunClients(Session& session, Outcomes& outcomes, const Load& load) {
  std::vector<std::unique_ptr<Producer>> producers;
  std::vector<std::unique_ptr<Reader>> readers;
  std::vector<std::thread> producing;
  std::vector<std::thread> reading;
  for (uint16_t i = 0; i < kProducers; ++i) producers.push_back(std::make_unique<Producer>(session, outcomes, i));
  for (uint16_t i = 0; i < kReaders; ++i) readers.push_back(std::make_unique<Reader>(session, i));
  for (const auto& reader : readers) reading.emplace_back([&reader] { reader->Run(); });
  for (const auto& producer : producers) producing.emplace_back([&producer, &load] { producer->Run(load); });
  for (std::thread& thread : producing) thread.join();
  for (const auto& reader : readers) reader->Finish();
  for (std::thread& thread : reading) thread.join();
}

int Record(const Arguments& arguments) {
  rocks::Limits limits;
  limits.log_memtable_bytes = arguments.memtable_kib << 10;
  const rocks::Resources resources(limits);
  asio_net::SystemClock clock;
  auto opened = arguments.IsKafka() ? OpenKafka(arguments) : rocks::RocksLog::Open(arguments.log, Wanted(), resources, clock);
  if (!opened) {
    fmt::print(stderr, "{}\n", opened.error().ToString());
    return 1;
  }
  std::unique_ptr<Log> log = *std::move(opened);
  Session session(arguments.history, arguments.session, arguments.seed, *log);
  const uint64_t promises = (log->ordered_across_partitions() ? kOrdered : 0) | (arguments.IsKafka() ? 0 : kOnce);
  const auto track = session.Track("session", Role::kSession, promises);
  Outcomes outcomes(session);
  if (arguments.final_read) {
    if (!ReadTheEnd(session, outcomes)) return 1;
  } else {
    RunClients(session, outcomes, {.appends_max = arguments.appends, .rate_max = arguments.rate / kProducers});
  }
  log.reset();
  track->Add(Event::Of(Kind::kEnded, 0, 0, 0));
  return 0;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("One life of a process that uses a log and records what it was told.");
  app.add_option("--log", arguments.log, "a directory, or kafka://host:port[,…]/prefix")->required();
  app.add_option("--history", arguments.history, "directory of the history")->required();
  app.add_option("--session", arguments.session, "number of this life, from 0");
  app.add_option("--seed", arguments.seed);
  app.add_flag("--make", arguments.make, "only make the topics of a log on Kafka");
  app.add_flag("--final", arguments.final_read, "append nothing but a mark, read everything");
  app.add_option("--appends", arguments.appends, "of all lives");
  app.add_option("--rate", arguments.rate, "appends a second, at most; 0 = as fast as it goes");
  app.add_option("--memtable-kib", arguments.memtable_kib, "of the embedded log");
  app.add_option("--append-timeout-ms", arguments.append_timeout_ms, "of the log on Kafka");
  CLI11_PARSE(app, argc, argv);
  observe::SetLevel(std::getenv("MAILY_SIM_LOG") == nullptr ? observe::Level::kError : observe::Level::kDebug);
  if (!arguments.make) return Record(arguments);
  const auto made = MakeTopics(arguments);
  if (!made) fmt::print(stderr, "{}\n", made.error().ToString());
  return made ? 0 : 1;
}

}  // namespace
}  // namespace maily::histories

int main(int argc, char** argv) { return maily::histories::Main(argc, argv); }
