// The partition task on the embedded log: decides, answers, links, restores, rejects poison.
#include "streams/task/task.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <thread>

#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/disk/mmap_slots.h"
#include "streams/adapters/rocks/options.h"
#include "streams/adapters/rocks/rocks_kv.h"
#include "streams/adapters/rocks/rocks_log.h"
#include "streams/journal/rejected.h"
#include "streams/task/careful.h"
#include "streams/task/counters.h"
#include "streams/task/host.h"
#include "streams/task/verify.h"

namespace maily::task {
namespace {

// Stores on a disk that is full while `full` is set.
struct FullableStores : KvStores {
  class Store : public Kv {
   public:
    Store(std::unique_ptr<Kv> kv, const std::atomic<bool>& full) : kv_(std::move(kv)), full_(full) {}
    Result<std::optional<std::string>> Get(std::string_view key) override { return kv_->Get(key); }
    Result<void> Scan(std::string_view from, std::string_view to,
                      const std::function<bool(std::string_view, std::string_view)>& visit) override {
      return kv_->Scan(from, to, visit);
    }
    Result<std::unique_ptr<KvView>> View() override { return kv_->View(); }
    Result<void> Write(const KvBatch& batch) override { return full_ ? Fail(Code::kRetry, "no space left") : kv_->Write(batch); }
    Result<void> Flush() override { return kv_->Flush(); }
    uint64_t SizeOnDisk() override { return kv_->SizeOnDisk(); }

   private:
    std::unique_ptr<Kv> kv_;
    const std::atomic<bool>& full_;
  };
  explicit FullableStores(KvStores& stores_in) : stores(stores_in) {}
  Result<std::unique_ptr<Kv>> Open(const std::string& name, KvDurability durability) override {
    if (refusals > 0 && refusals-- > 0) return Fail(Code::kRetry, "no space left to open {}", name);
    MAILY_TRY(auto kv, stores.Open(name, durability));
    return std::unique_ptr<Kv>(std::make_unique<Store>(std::move(kv), full));
  }
  Result<void> Destroy(const std::string& name) override { return stores.Destroy(name); }

  KvStores& stores;
  std::atomic<bool> full = false;
  std::atomic<int> refusals = 0;  // of Open
};

// A log on a disk that stalls: each partition of it gets one record of its journal in, the claim, and hears no more of others.
class StallingLog : public Log {
 public:
  StallingLog(std::unique_ptr<Log> log, bool stalls_in) : stalls(stalls_in), log_(std::move(log)) {}
  void Append(TopicPartition at, std::string record, Sync sync, AppendDone done) override {
    if (at.topic == Topic::kJournal && claims_[at.partition.value()]++ > 0 && stalls) {
      ++stalled;
    } else {
      log_->Append(at, std::move(record), sync, std::move(done));
    }
  }
  const LogSettings& settings() const override { return log_->settings(); }
  Result<std::vector<LogRecord>> Read(TopicPartition at, Offset from, size_t bytes_max, ReadTo to) override {
    return log_->Read(at, from, bytes_max, to);
  }
  LogEnds Ends(TopicPartition at) override { return log_->Ends(at); }
  std::unique_ptr<TailWatch> WatchTail(TopicPartition at, ReadTo to, std::function<void()> signal) override {
    return log_->WatchTail(at, to, std::move(signal));
  }
  Result<void> Trim(TopicPartition at, Offset before) override { return log_->Trim(at, before); }
  bool ordered_across_partitions() const override { return log_->ordered_across_partitions(); }
  std::string durability_class() const override { return log_->durability_class(); }

  std::atomic<bool> stalls;
  std::atomic<int> stalled = 0;  // frames that nobody hears of

 private:
  const std::unique_ptr<Log> log_;
  std::array<std::atomic<int>, 4> claims_{};
};

class TaskTest : public ::testing::Test {
 protected:
  TaskTest() : directory_(std::filesystem::temp_directory_path() / fmt::format("maily-task-{}", ::getpid())) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  ~TaskTest() override { std::filesystem::remove_all(directory_); }

  // A process: everything that dies with it.
  struct Running {
    explicit Running(const std::filesystem::path& directory, Duration commands_retention = {}, int refusals = 0, bool stalls = false)
        : resources(rocks::Limits{}),
          workers("task", 2),
          pipeline(CounterPipeline()),
          log(std::make_unique<StallingLog>(OpenLog(directory, resources, clock), stalls)),
          disk_stores((directory / "state").string(), resources),
          stores(disk_stores),
          slots(std::move(disk::MmapSlots::Open((directory / "careful").string(), 4)).value()),
          sender(*log, 16 << 20),
          replies(10'000),
          environment{*log, clock, entropy, stores, *slots, sender, replies, pipeline, nullptr, "test", "test"} {
      environment.commands_retention = commands_retention;
      environment.flush_interval = Milliseconds(20);
      stores.refusals = refusals;
      for (uint16_t p = 0; p < log->settings().partition_count; ++p) journal::WriteGenesis(*log, PartitionId(p)).value();
      Host::Listener listener;
      listener.led = [this](PartitionId partition, Executor&, Epoch, const journal::Position&, state::Cache& cache, Credits&,
                            journal::Tail&) {
        const std::lock_guard lock(mutex);
        caches[partition.value()] = &cache;
        if (++led == log->settings().partition_count) all_led.set_value();
      };
      tails = std::make_unique<journal::Tails>(*log);
      host = std::make_unique<Host>(environment, *tails, std::vector<Executor*>{&workers.at(0), &workers.at(1)}, listener);
      host->Start();
      all_led.get_future().wait();
    }
    static std::unique_ptr<Log> OpenLog(const std::filesystem::path& directory, const rocks::Resources& resources, Clock& clock) {
      LogSettings wanted;
      wanted.partition_count = 4;
      wanted.log_id.bytes[0] = 7;
      return std::move(rocks::RocksLog::Open((directory / "log").string(), wanted, resources, clock)).value();
    }
    void Stop() {
      std::promise<void> stopped;
      host->Stop([&] { stopped.set_value(); });
      stopped.get_future().wait();
      workers.Stop();
    }
    uint64_t Read(uint16_t partition, TypeNumber type, const std::string& key) {
      std::promise<uint64_t> value;
      workers.at(partition % 2).Post([&] {
        if (type == TypeNumberOf<Total>()) {
          const Total* total = state::View<Total>(*caches[partition]).Find(key);
          value.set_value(total == nullptr ? 0 : total->n);
        } else {
          const HomeTotal* total = state::View<HomeTotal>(*caches[partition]).Find(key);
          value.set_value(total == nullptr ? 0 : total->n);
        }
      });
      return value.get_future().get();
    }
    static std::string Payload(const std::string& name, uint64_t n) {
      Add add;
      add.name = name;
      add.n = n;
      return add.SerializeAsString();
    }
    // Views what it is given.
    command::Command MakeCommand(const std::string& name, const std::string& payload, const std::string& natural_key, TypeNumber type) {
      command::Command command;
      command.id = entropy.NextId<CommandId>();
      command.type = type;
      command.tenant = TenantId(1);
      command.key = name;
      command.actor = "test";
      command.natural_key = natural_key;
      command.payload = payload;
      return command;
    }
    // Waits for no answer.
    void Post(const std::string& name, uint64_t n) {
      const std::string payload = Payload(name, n);
      sender.Send(PartitionOf(name, log->settings().partition_count), MakeCommand(name, payload, "", TypeNumberOf<Add>()), Sync::kSoon,
                  [](const Result<CommandAt>&) {});
    }
    command::Reply Send(const std::string& name, uint64_t n, const std::string& natural_key = "", TypeNumber type = TypeNumberOf<Add>()) {
      const std::string payload = type == TypeNumberOf<Add>() ? Payload(name, n) : "";
      const command::Command command = MakeCommand(name, payload, natural_key, type);
      std::promise<command::Reply> reply;
      replies.Await(command.id, workers.at(0), Seconds(20), [&](Result<command::Reply> answer) { reply.set_value(answer.value()); });
      sender.Send(PartitionOf(name, log->settings().partition_count), command, Sync::kSoon, [](const Result<CommandAt>&) {});
      return reply.get_future().get();
    }

    rocks::Resources resources;
    asio_net::Workers workers;  // outlive the log, which tells them of appends until it is closed
    asio_net::SystemClock clock;
    asio_net::SystemEntropy entropy;
    Pipeline pipeline;
    std::unique_ptr<StallingLog> log;
    rocks::RocksKvStores disk_stores;
    FullableStores stores;
    std::unique_ptr<disk::MmapSlots> slots;
    command::Sender sender;
    command::Replies replies;
    TaskEnvironment environment;
    std::mutex mutex;
    std::array<state::Cache*, 4> caches{};
    size_t led = 0;
    std::promise<void> all_led;
    std::unique_ptr<journal::Tails> tails;
    std::unique_ptr<Host> host;
  };

  const std::filesystem::path directory_;
};

TEST_F(TaskTest, AStoreIsComparedWithItsJournal) {
  uint16_t partition = 0;
  {
    Running running(directory_);
    partition = PartitionOf("a", 4).value();
    for (uint64_t n = 1; n <= 40; ++n) running.Send(fmt::format("a{}", n % 7), n);
    running.Send("a", 5);
    running.Stop();
  }
  const rocks::Resources resources{rocks::Limits{}};
  asio_net::SystemClock clock;
  const auto log = Running::OpenLog(directory_, resources, clock);
  const Pipeline pipeline = CounterPipeline();
  rocks::RocksKvStores stores((directory_ / "state").string(), resources);
  rocks::RocksKvStores scratch((directory_ / "verify").string(), resources);
  const auto verify = [&](uint16_t p) { return VerifyStore(*log, pipeline, PartitionId(p), stores, scratch, [](uint64_t, uint64_t) {}); };
  for (uint16_t p = 0; p < 4; ++p) {
    const auto verified = verify(p);
    ASSERT_TRUE(verified) << verified.error().ToString();
    EXPECT_TRUE(verified->equal()) << p;
  }
  // A value that was changed, an entry that is missing, one too many: the first is named.
  const std::string key = std::string("\0\0", 2).replace(
                              0, 2, {static_cast<char>(TypeNumberOf<Total>() >> 8), static_cast<char>(TypeNumberOf<Total>() & 0xFF)}) +
                          state::Key(TenantId(1), std::string_view("a"));
  for (const std::string what : {"another value", "missing", "not in the journal"}) {
    {
      const auto kv = stores.Open(fmt::format("state-{}", partition), KvDurability::kOnFlush).value();
      ASSERT_TRUE(kv->Get(key).value().has_value() || what == "not in the journal");
      KvBatch batch;
      if (what == "another value") batch.Put(key, "x");
      if (what == "missing") batch.Delete(key);
      if (what == "not in the journal") batch.Put(key.substr(0, key.size() - 1), "x");
      ASSERT_TRUE(kv->Write(batch) && kv->Flush());
    }
    const auto verified = verify(partition);
    ASSERT_TRUE(verified) << verified.error().ToString();
    EXPECT_FALSE(verified->equal());
    ASSERT_TRUE(verified->difference) << what;
    EXPECT_EQ(verified->difference->what, what);
    EXPECT_EQ(verified->difference->type, TypeNumberOf<Total>());
    EXPECT_EQ(verified->difference->tenant, TenantId(1));
  }
}

uint16_t Outcome(journal::Outcome outcome) { return static_cast<uint16_t>(outcome); }

TEST_F(TaskTest, DecidesAnswersRestoresAndCarriesHome) {
  const auto total_key = [](std::string_view name) { return state::Key(TenantId(1), name); };
  uint64_t home = 0;
  {
    Running running(directory_);
    EXPECT_EQ(running.Send("a", 2).answer, "{\"total\":2}");
    EXPECT_EQ(running.Send("a", 3).answer, "{\"total\":5}");
    EXPECT_EQ(running.Send("b", 4).answer, "{\"total\":4}");
    const command::Reply refused = running.Send("a", 13);
    EXPECT_EQ(refused.outcome, Outcome(journal::Outcome::kConflict));
    EXPECT_EQ(refused.answer, R"({"code":"unlucky","message":"13 is not added"})");
    // A decider that fails, an unknown type: rejected, and the partition goes on.
    EXPECT_EQ(running.Send("a", 66).outcome, Outcome(journal::Outcome::kRejected));
    EXPECT_EQ(running.Send("a", 1, "", 555).outcome, Outcome(journal::Outcome::kRejected));
    EXPECT_EQ(running.Send("a", 1).answer, "{\"total\":6}");
    // A request that comes again meets its first copy.
    EXPECT_EQ(running.Send("a", 10, "once").answer, "{\"total\":16}");
    const command::Reply again = running.Send("a", 10, "once");
    EXPECT_EQ(again.outcome, Outcome(journal::Outcome::kDuplicate));
    EXPECT_EQ(again.answer, "{\"total\":16}");
    EXPECT_EQ(again.first, Outcome(journal::Outcome::kDone));
    EXPECT_EQ(running.Send("a", 13, "unlucky once").first, 0);
    const command::Reply refused_again = running.Send("a", 13, "unlucky once");
    EXPECT_EQ(refused_again.outcome, Outcome(journal::Outcome::kDuplicate));
    EXPECT_EQ(refused_again.first, Outcome(journal::Outcome::kConflict));
    // A key alone is taken once, by one request.
    EXPECT_EQ(running.Send("a", 1, "key", command::kTakeKeyCommand).outcome, Outcome(journal::Outcome::kDone));
    EXPECT_EQ(running.Send("a", 1, "key", command::kTakeKeyCommand).outcome, Outcome(journal::Outcome::kDuplicate));
    while (home < 20) home = running.Read(0, TypeNumberOf<HomeTotal>(), state::Key(TenantId(1)));
    EXPECT_EQ(home, 20U);
    running.Stop();
  }
  {
    // A clean stop, then one without: the destructor of Running does not hand over.
    Running running(directory_);
    const uint16_t of_a = PartitionOf("a", 4).value();
    EXPECT_EQ(running.Read(of_a, TypeNumberOf<Total>(), total_key("a")), 16U);
    EXPECT_EQ(running.Send("a", 10, "once").outcome, Outcome(journal::Outcome::kDuplicate));
    EXPECT_EQ(running.Send("a", 4).answer, "{\"total\":20}");
    while (home < 24) home = running.Read(0, TypeNumberOf<HomeTotal>(), state::Key(TenantId(1)));
    running.workers.Stop();
  }
  Running running(directory_);
  EXPECT_EQ(running.Send("a", 1).answer, "{\"total\":21}");
  EXPECT_EQ(running.Read(0, TypeNumberOf<HomeTotal>(), state::Key(TenantId(1))) / 24, 1U);
  // What was not found is not remembered: the same request is decided afresh once it is there.
  EXPECT_EQ(running.Send("late", 404, "early").outcome, Outcome(journal::Outcome::kNotFound));
  EXPECT_EQ(running.Send("late", 1).answer, "{\"total\":1}");
  EXPECT_EQ(running.Send("late", 404, "early").answer, "{\"total\":405}");
  EXPECT_EQ(running.Send("late", 404, "early").outcome, Outcome(journal::Outcome::kDuplicate));
  running.Stop();
}

TEST_F(TaskTest, AHeadOfCommandsThatIsTrimmedIsNotMissed) {
  const PartitionId of_a = PartitionOf("a", 4);
  const TopicPartition commands{Topic::kCommands, of_a};
  for (int round = 1; round <= 3; ++round) {
    SCOPED_TRACE(round);
    Running running(directory_, Microseconds(1));
    for (int i = 0; i < 10; ++i) running.Send("a", 1);
    EXPECT_EQ(running.Send("a", 1).answer, fmt::format("{{\"total\":{}}}", 11 * round));
    EXPECT_EQ(running.Send("a", 0, "once").outcome, Outcome(round == 1 ? journal::Outcome::kDone : journal::Outcome::kDuplicate));
    running.Stop();  // flushes, and so trims
    const LogEnds ends = running.log->Ends(commands);
    // Each request had a record of its own; the last one decided stays, and links may have brought more meanwhile.
    EXPECT_GE(ends.begin, Offset(static_cast<uint64_t>(12 * round - 1)));
    EXPECT_LT(ends.begin, ends.written);
    EXPECT_EQ(running.host->status()[of_a.value()].commands_begin, ends.begin.value());
  }
  {
    // Without the state on disk, the journal alone tells what was decided.
    std::filesystem::remove_all(directory_ / "state");
    Running running(directory_, Microseconds(1));
    EXPECT_EQ(running.Send("a", 1).answer, "{\"total\":34}");
    running.Stop();
  }
  // Zero keeps everything.
  Running running(directory_);
  const Offset begin = running.log->Ends(commands).begin;
  for (int i = 0; i < 10; ++i) running.Send("a", 1);
  running.Stop();
  EXPECT_EQ(running.log->Ends(commands).begin, begin);
}

TEST_F(TaskTest, AFullDiskIsWaitedOut) {
  const PartitionId of_a = PartitionOf("a", 4);
  uint64_t total = 0;
  const auto answer = [&total] { return fmt::format("{{\"total\":{}}}", total); };
  {
    Running running(directory_, {}, /*refusals=*/2);  // two partitions lead at their second try
    running.stores.full = true;
    // Many flushes are due in this time: each fails, and what is asked is decided all the same.
    for (const Duration end = running.clock.Steady() + Milliseconds(300); running.clock.Steady() < end;) {
      const command::Reply reply = running.Send("a", 1);
      ++total;
      EXPECT_EQ(reply.answer, answer());
    }
    EXPECT_EQ(running.host->status()[of_a.value()].state, TaskState::kLeading);
    running.stores.full = false;
    EXPECT_EQ(running.Send("a", 0).answer, answer());
    running.Stop();
  }
  {
    Running running(directory_);
    EXPECT_EQ(running.Send("a", 0).answer, answer());
    running.stores.full = true;
    running.Send("a", 1);
    ++total;
    running.Stop();  // hands over what it could not flush
  }
  Running running(directory_);
  EXPECT_EQ(running.Send("a", 0).answer, answer());
  running.Stop();
}

TEST_F(TaskTest, ACommandThatWaitedForTheLogAtThreeKillsIsDecidedAllTheSame) {
  {
    Running running(directory_);
    EXPECT_EQ(running.Send("a", 2).answer, "{\"total\":2}");
    running.log->stalls = true;
    running.Post("a", 3);
    while (running.log->stalled == 0) std::this_thread::yield();
    running.workers.Stop();
  }
  for (int kill = 0; kill < 3; ++kill) {
    Running running(directory_, {}, 0, true);
    while (running.log->stalled == 0) std::this_thread::yield();
    running.workers.Stop();
  }
  Running running(directory_);
  EXPECT_EQ(running.Send("a", 4).answer, "{\"total\":9}");
  running.Stop();
}

TEST_F(TaskTest, TheFirstCommandAfterACleanStopIsDecidedCarefullyAfterACrash) {
  const PartitionId of_a = PartitionOf("a", 4);
  CommandAt next;
  next.partition = of_a;
  for (const bool first : {true, false}) {
    {
      Running running(directory_);
      if (!first) {
        for (int i = 0; i < 200; ++i) running.Send("a", 1);  // far beyond what is not noted
      }
      running.Stop();
    }
    {
      Running running(directory_);
      next.generation = running.log->settings().generation;
      next.offset = running.log->Ends({Topic::kCommands, of_a}).written;
      running.workers.Stop();  // as a process that dies of the first command it gets
    }
    const auto slots = disk::MmapSlots::Open((directory_ / "careful").string(), 4).value();
    Careful careful(*slots, of_a.value());
    EXPECT_TRUE(careful.active(next)) << next.offset.value();
    careful.Clean();
  }
}

TEST_F(TaskTest, OnlyDecidingACommandCountsAgainstItAtTheThirdCrash) {
  const auto slots = std::move(disk::MmapSlots::Open((directory_ / "slots").string(), 2)).value();
  for (size_t slot = 0; slot < 2; ++slot) {
    const bool waits = slot == 1;
    Careful(*slots, slot).Passed({.partition = PartitionId(0), .generation = 1, .offset = Offset(5)});
    for (int crash = 1; crash <= 4; ++crash) {
      Careful careful(*slots, slot);
      const CommandAt next{.partition = PartitionId(0), .generation = 1, .offset = Offset(6)};
      ASSERT_TRUE(careful.active(next));
      EXPECT_EQ(careful.Enter(next), !waits && crash > 2);
      if (waits) careful.Waits();
    }
  }
}

TEST(Pipeline, PrintsWhoDecidesWhat) {
  const std::string text = CounterPipeline().ToText([](TypeNumber type) { return fmt::format("type-{}", type); });
  EXPECT_NE(text.find("decides   type-900, type-930"), std::string::npos) << text;
  EXPECT_NE(text.find("to home  type-930"), std::string::npos) << text;
}

}  // namespace
}  // namespace maily::task
