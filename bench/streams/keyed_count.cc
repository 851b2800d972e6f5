// Workload W1, keyed count, on the production runtime over Kafka: one noun through the public processor interface, its journal, state and
// positions as `maily serve` has them. Input: a plain topic (one record an event), or the log's own command records. Output: a plain topic,
// one record an update (key, count as 8 bytes big-endian, ce_id), by the publisher of the public topics.
//
// Prints "state SECONDS leading", "state SECONDS deciding" with the first decision, and "progress SECONDS RECORDS" five times a second,
// where RECORDS are decided and, with an output topic, published; ends when standard input does.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <future>
#include <iostream>
#include <thread>

#include "bench/spine/meter.h"
#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/disk/mmap_slots.h"
#include "streams/adapters/kafka/inlet.h"
#include "streams/adapters/kafka/kafka_log.h"
#include "streams/adapters/kafka/outlet.h"
#include "streams/adapters/kafka/topics.h"
#include "streams/adapters/rocks/options.h"
#include "streams/adapters/rocks/rocks_kv.h"
#include "streams/link/publisher.h"
#include "streams/state/key.h"
#include "streams/task/host.h"

namespace maily::bench {

// The command: a record of the workload. Its key is the command's, its value is not looked into.
struct Hit {
  bool ParseFromArray(const void* /*data*/, int /*size*/) { return true; }
};

// The event, and the public record: so often was the key counted.
struct Counted {
  std::string_view key;
  uint64_t count = 0;

  bool AppendToString(std::string* out) const {
    PutBytes(*out, key);
    PutVarint(*out, count);
    return true;
  }
  bool ParseFromArray(const void* data, int size) {
    Cursor cursor(std::string_view(static_cast<const char*>(data), static_cast<size_t>(size)));
    key = cursor.Bytes();
    count = cursor.Varint();
    return cursor.ok() && cursor.AtEnd();
  }
};

// The state of a key.
struct Count {
  uint64_t count = 0;

  bool AppendToString(std::string* out) const {
    PutVarint(*out, count);
    return true;
  }
  bool ParseFromArray(const void* data, int size) {
    Cursor cursor(std::string_view(static_cast<const char*>(data), static_cast<size_t>(size)));
    count = cursor.Varint();
    return cursor.ok() && cursor.AtEnd();
  }
  size_t SpaceUsedLong() const { return sizeof(*this); }
};

}  // namespace maily::bench

namespace maily {
template <>
inline TypeNumber TypeNumberOf<bench::Hit>() {
  return 900;
}
template <>
inline TypeNumber TypeNumberOf<bench::Counted>() {
  return 930;
}
template <>
inline TypeNumber TypeNumberOf<bench::Count>() {
  return 970;
}
}  // namespace maily

namespace maily::bench {
namespace {

constexpr TenantId kTenant(1);
constexpr size_t kValueBytes = 100;
constexpr size_t kCommandsPerRecord = 1'000;
constexpr Duration kPatience = Seconds(60);

struct Arguments {
  std::string servers;
  std::string prefix = "maily";
  std::string topic;  // empty: the input is the log's own commands
  std::string out;    // plain topic for the output; empty: none
  std::string directory;
  uint16_t partitions = 4;
  size_t cache_mb = 256;
  size_t flush_mb = 64;
  size_t block_cache_mb = 32;
  uint64_t load = 0;
  uint64_t keys = 1'000;
};

template <class T>
T Must(Result<T> result, const char* what) {
  MAILY_CHECK(result.has_value(), "{}: {}", what, result.error().ToString());
  return std::move(*result);
}
void Must(const Result<void>& result, const char* what) { MAILY_CHECK(result.has_value(), "{}: {}", what, result.error().ToString()); }

task::Pipeline CountPipeline() {
  task::Noun noun("counts", 1);
  noun.Owns<Count>();
  noun.Decides<Hit>(+[](task::Context& context, const Hit&) {
    const std::string_view key = context.command()->key;
    const Count* const before = context.view<Count>().Find(state::Key(context.tenant(), key));
    Counted counted;
    counted.key = key;
    counted.count = (before == nullptr ? 0 : before->count) + 1;
    context.Emit(counted);
  });
  noun.LooksUp<Hit, Count>();
  noun.Evolves<Counted>(+[](task::Fold& fold, const Counted& counted) {
    fold.table<Count>().Replace(state::Key(fold.tenant(), counted.key)).count = counted.count;
  });
  std::vector<task::Noun> nouns;
  nouns.push_back(std::move(noun));
  return task::Pipeline(std::move(nouns), {}, [](TenantId, uint16_t) { return PartitionId(0); });
}

// Updates as records for anybody.
class Updates : public link::Mapping {
 public:
  std::optional<size_t> TopicOf(const journal::Event& event) override {
    return event.type == TypeNumberOf<Counted>() ? std::optional<size_t>(0) : std::nullopt;
  }
  Result<void> Map(const Source& source, OutletBatch& out) override {
    Counted counted;
    if (!counted.ParseFromArray(source.event.payload.data(), static_cast<int>(source.event.payload.size()))) {
      return Fail(Code::kCorrupt, "an event of {} bytes does not parse", source.event.payload.size());
    }
    std::array<char, 8> value;
    StoreOrdered<uint64_t>(value.data(), counted.count);
    const OutletHeader id{link::kEventIdHeader, source.id};
    out.Add(counted.key, std::string_view(value.data(), value.size()), std::span(&id, 1), source.frame.time);
    return Ok();
  }
};

kafka::Options LogOptions(const Arguments& arguments) {
  kafka::Options options;
  options.servers = arguments.servers;
  options.prefix = arguments.prefix;
  return options;
}

std::unique_ptr<Log> OpenLog(const Arguments& arguments, Entropy& entropy) {
  const kafka::Options options = LogOptions(arguments);
  auto there = kafka::KafkaLog::Open(options, arguments.partitions);
  if (there) return std::move(*there);
  LogSettings wanted;
  wanted.log_id = entropy.NextId<LogId>();
  wanted.partition_count = arguments.partitions;
  const auto plans = Must(kafka::PlanTopics(options, arguments.partitions, 1), "planning topics");
  Must(kafka::CreateTopics(options, plans, wanted), "making topics");
  auto log = Must(kafka::KafkaLog::Open(options, arguments.partitions), "the log");
  for (uint16_t p = 0; p < arguments.partitions; ++p) Must(journal::WriteGenesis(*log, PartitionId(p)), "genesis");
  return log;
}

void Say(const char* what, const std::string& figure) {
  fmt::print("{} {:.3f} {}\n", what, WallSeconds(), figure);
  std::fflush(stdout);
}

// The workload's key number `i`: 16 hex digits.
std::string KeyOf(uint64_t i) { return fmt::format("{:016x}", Uniform(i).Next()); }

// Appends `load` commands to the log, 1,000 a record.
void Load(const Arguments& arguments, Log& log) {
  Uniform chance(17);
  std::vector<command::RecordBuilder> builders(arguments.partitions);
  std::atomic<int64_t> under_way = 0;
  const auto flush = [&](uint16_t p) {
    ++under_way;
    log.Append({Topic::kCommands, PartitionId(p)}, builders[p].Finish(log.settings().log_id, log.settings().generation, PartitionId(p)),
               Sync::kSoon, [&under_way](const Result<Appended>& done) {
                 MAILY_CHECK(done.has_value(), "append: {}", done.error().ToString());
                 --under_way;
               });
    while (under_way > 64) std::this_thread::sleep_for(std::chrono::microseconds(100));
  };
  std::string value(kValueBytes, 'v');
  for (uint64_t i = 0; i < arguments.load; ++i) {
    const std::string key = KeyOf(chance.Below(arguments.keys));
    for (size_t at = 0; at + 8 <= value.size(); at += 8) {
      const uint64_t random = chance.Next();
      std::memcpy(value.data() + at, &random, 8);
    }
    command::Command command;
    const uint64_t low = chance.Next();
    std::memcpy(command.id.bytes.data(), &i, 8);
    std::memcpy(command.id.bytes.data() + 8, &low, 8);
    command.type = TypeNumberOf<Hit>();
    command.tenant = kTenant;
    command.key = key;
    command.payload = value;
    const uint16_t p = PartitionOf(key, arguments.partitions).value();
    MAILY_CHECK(builders[p].Add(command), "a record is full");
    if (builders[p].count() == kCommandsPerRecord) flush(p);
  }
  for (uint16_t p = 0; p < arguments.partitions; ++p) flush(p);
  while (under_way > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

// Until standard input ends.
void Run(const Arguments& arguments, Log& log, Clock& clock, Entropy& entropy) {
  const rocks::Resources resources{rocks::Limits{.block_cache_bytes = arguments.block_cache_mb << 20}};
  rocks::RocksKvStores stores(arguments.directory + "/state", resources);
  const auto slots = Must(disk::MmapSlots::Open(arguments.directory + "/careful", size_t{2} * arguments.partitions), "slots");
  const task::Pipeline pipeline = CountPipeline();
  std::unique_ptr<Inlet> inlet;
  if (!arguments.topic.empty()) inlet = Must(kafka::KafkaInlet::Open(LogOptions(arguments), arguments.topic), "the inlet");
  asio_net::Workers workers("task", 2);
  command::Sender sender(log, size_t{64} << 20);
  command::Replies replies(200'000);
  task::TaskEnvironment environment{log, clock, entropy, stores, *slots, sender, replies, pipeline, nullptr, "bench", "bench"};
  environment.plain = {.inlet = inlet.get(), .type = TypeNumberOf<Hit>(), .tenant = kTenant};
  environment.cache_bytes_max = (arguments.cache_mb << 20) / arguments.partitions;
  environment.flush_journal_bytes = (arguments.flush_mb << 20) / arguments.partitions;
  asio_net::Worker publishing("publish");
  std::unique_ptr<Outlet> outlet;
  Updates updates;
  std::vector<std::unique_ptr<link::Publisher>> publishers;
  if (!arguments.out.empty()) {
    kafka::OutletOptions options{.topics = {arguments.out}, .partitions = arguments.partitions};
    options.compression = "none";
    outlet = Must(kafka::OpenOutlet(LogOptions(arguments), options), "the outlet");
    for (uint16_t p = 0; p < arguments.partitions; ++p) {
      publishers.push_back(std::make_unique<link::Publisher>(log, *outlet, updates, publishing, clock, PartitionId(p)));
    }
  }
  task::Host::Listener listener;
  listener.led = [&](PartitionId partition, Executor&, Epoch, const journal::Position& known, state::Cache&, task::Credits&,
                     journal::Tail& tail) {
    if (outlet) publishers[partition.value()]->Lead(tail, known);
  };
  listener.stopped = [&](PartitionId partition) {
    if (outlet) publishers[partition.value()]->Stop();
  };
  listener.failed = [](PartitionId partition, const Error& error) {
    Say("failed", fmt::format("{}: {}", partition.value(), error.ToString()));
  };
  journal::Tails tails(log);
  task::Host host(environment, tails, {&workers.at(0), &workers.at(1)}, listener);
  host.Start();
  std::atomic<bool> stopping = false;
  std::thread reporter([&] {
    bool leading = false;
    bool deciding = false;  // until then it is looked often: how long a restart takes is measured by this line
    for (uint64_t turn = 0; !stopping; ++turn, std::this_thread::sleep_for(std::chrono::milliseconds(deciding ? 20 : 2))) {
      if (!leading && host.AllLeading()) {
        leading = true;
        Say("state", "leading");
      }
      if (!deciding && std::ranges::any_of(host.status(), [](const task::Task::Status& status) { return status.decided > 0; })) {
        deciding = true;
        Say("state", "deciding");
      }
      if (turn % 10 != 0) continue;
      uint64_t done = 0;
      if (outlet) {
        for (const auto& publisher : publishers) done += publisher->published().value();
      } else {
        for (const task::Task::Status& status : host.status()) done += status.lsn;
      }
      Say("progress", std::to_string(done));
    }
  });
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) continue;
  stopping = true;
  reporter.join();
  std::promise<void> stopped;
  host.Stop([&stopped] { stopped.set_value(); });
  stopped.get_future().wait();
  workers.Stop();
  publishing.Stop();
  publishers.clear();
}

}  // namespace
}  // namespace maily::bench

int main(int argc, char** argv) {
  maily::bench::Arguments arguments;
  CLI::App app("Keyed count on the production runtime, over Kafka.");
  app.add_option("--servers", arguments.servers, "bootstrap servers")->required();
  app.add_option("--prefix", arguments.prefix, "of the log's topics");
  app.add_option("--topic", arguments.topic, "plain topic with the input; none: the log's own commands");
  app.add_option("--out", arguments.out, "plain topic for the output, which is there; none: no output");
  app.add_option("--dir", arguments.directory, "where the state is kept")->required();
  app.add_option("--partitions", arguments.partitions, "of the log and of the topic");
  app.add_option("--cache-mb", arguments.cache_mb, "state kept in memory, over all partitions");
  app.add_option("--flush-mb", arguments.flush_mb, "journal between two flushes, over all partitions");
  app.add_option("--block-cache-mb", arguments.block_cache_mb, "of RocksDB, over all partitions");
  app.add_option("--load", arguments.load, "only append so many commands to the log");
  app.add_option("--keys", arguments.keys, "of the commands that are appended");
  CLI11_PARSE(app, argc, argv);
  std::filesystem::create_directories(arguments.directory);
  maily::asio_net::SystemClock clock;
  maily::asio_net::SystemEntropy entropy;
  const auto log = maily::bench::OpenLog(arguments, entropy);
  if (arguments.load > 0) {
    maily::bench::Load(arguments, *log);
  } else {
    maily::bench::Run(arguments, *log, clock, entropy);
  }
  return 0;
}
