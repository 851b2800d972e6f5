// The contract of the log over RocksDB, and what is its own: group commit, full disks, failed syncs, one order over WAL files, kill -9.
#include "streams/adapters/rocks/rocks_log.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <future>
#include <thread>

#include "streams/adapters/rocks/fault_file_system.h"
#include "streams/adapters/rocks/options_internal.h"
#include "tests/contract/log_contract.h"

namespace maily::rocks {
namespace {

class TestClock : public Clock {
 public:
  Instant Now() override { return {now_us.load()}; }
  Duration Steady() override { return {now_us.load()}; }
  std::atomic<int64_t> now_us = 1'700'000'000'000'000;
};

class TestDirectory {
 public:
  TestDirectory() {
    std::string path = (std::filesystem::temp_directory_path() / "maily_rocks_XXXXXX").string();
    MAILY_CHECK(mkdtemp(path.data()) != nullptr, "mkdtemp {}", path);
    path_ = path;
  }
  ~TestDirectory() { std::filesystem::remove_all(path_); }
  std::string path() const { return path_ + "/log"; }

 private:
  std::string path_;
};

LogSettings Settings(uint16_t partitions) {
  LogSettings settings;
  settings.log_id.bytes.fill(7);
  settings.partition_count = partitions;
  return settings;
}

class RocksHarness : public contract::LogHarness {
 public:
  explicit RocksHarness(Limits limits = {}) : limits_(limits) {
    env_ = rocksdb::NewCompositeEnv(disk);
    Open();
  }
  ~RocksHarness() override { log_.reset(); }

  Log& log() override { return *log_; }
  void Reopen() override {
    log_.reset();
    Open();
  }
  void Crash() override {
    disk->LosePower();
    log_.reset();
    disk->Restart(random_);
    Open();
  }
  Result<Appended> AppendAndWait(TopicPartition at, const std::string& record) {
    std::promise<Result<Appended>> answer;
    log().Append(at, record, Sync::kNow, [&](Result<Appended> result) { answer.set_value(std::move(result)); });
    return answer.get_future().get();
  }
  void Open() {
    resources_ = std::make_unique<Resources>(std::make_unique<Resources::Impl>(limits_, env_.get()));
    auto log = RocksLog::Open(directory_.path(), Settings(kPartitions), *resources_, clock);
    MAILY_CHECK(log, "{}", log.error().ToString());
    log_ = *std::move(log);
  }

  const std::shared_ptr<FaultFileSystem> disk = std::make_shared<FaultFileSystem>();
  TestClock clock;

 private:
  const Limits limits_;
  TestDirectory directory_;
  std::unique_ptr<rocksdb::Env> env_;
  std::minstd_rand random_{5};
  std::unique_ptr<Resources> resources_;
  std::unique_ptr<Log> log_;
};

constexpr TopicPartition kAt{Topic::kJournal, PartitionId(1)};

}  // namespace
}  // namespace maily::rocks

namespace maily::contract {
INSTANTIATE_TYPED_TEST_SUITE_P(Rocks, LogContract, maily::rocks::RocksHarness);
}  // namespace maily::contract

namespace maily::rocks {
namespace {

// Memtables of 256 KiB, so that WAL files change often.
class SmallMemtables : public RocksHarness {
 public:
  SmallMemtables() : RocksHarness({.log_memtable_bytes = 256 << 10}) {}
};

TEST(RocksLog, OneSyncAcknowledgesEverythingWrittenBeforeIt) {
  RocksHarness harness;
  const int before = harness.disk->wal_syncs;
  int answered = 0;
  for (int i = 0; i < 500; ++i) {
    harness.log().Append(kAt, "record", i == 499 ? Sync::kNow : Sync::kSoon, [&](const Result<Appended>& result) {
      EXPECT_TRUE(result);
      harness.Tell([&] { ++answered; });
    });
  }
  ASSERT_TRUE(harness.Until([&] { return answered == 500; }));
  EXPECT_LT(harness.disk->wal_syncs - before, 100);
  EXPECT_GE(harness.disk->wal_syncs - before, 1);
}

TEST(RocksLog, SoonAppendsAreCoveredByTheSyncOfANowAppend) {
  RocksHarness harness;
  for (int round = 0; round < 20; ++round) {
    const int before = harness.disk->wal_syncs;
    int answered = 0;
    const auto done = [&](const Result<Appended>&) { harness.Tell([&] { ++answered; }); };
    harness.log().Append({Topic::kCommands, PartitionId(0)}, "command", Sync::kSoon, done);
    harness.log().Append({Topic::kJournal, PartitionId(0)}, "frame", Sync::kNow, done);
    ASSERT_TRUE(harness.Until([&] { return answered == 2; }));
    // Two only if the machine stood still for 5 ms between the appends.
    EXPECT_LE(harness.disk->wal_syncs - before, 2);
  }
}

TEST(RocksLog, WrittenRecordsAreReadableBeforeTheyAreDurable) {
  RocksHarness harness;
  std::atomic<bool> held = true;
  harness.disk->before_wal_sync = [&] { held.wait(true); };
  bool answered = false;
  harness.log().Append(kAt, "record", Sync::kNow, [&](const Result<Appended>&) { harness.Tell([&] { answered = true; }); });
  EXPECT_EQ(harness.log().Ends(kAt).written, Offset(1));
  EXPECT_EQ(harness.log().Ends(kAt).durable, Offset(0));
  EXPECT_EQ(harness.log().Read(kAt, Offset(0), 100, ReadTo::kWritten)->size(), 1u);
  EXPECT_TRUE(harness.log().Read(kAt, Offset(0), 100, ReadTo::kDurable)->empty());
  EXPECT_FALSE(answered);
  held = false;
  held.notify_all();
  ASSERT_TRUE(harness.Until([&] { return answered; }));
  EXPECT_EQ(harness.log().Ends(kAt).durable, Offset(1));
  harness.disk->before_wal_sync = nullptr;
}

TEST(RocksLog, TimeOfAPartitionNeverDecreases) {
  RocksHarness harness;
  ASSERT_TRUE(harness.AppendAndWait(kAt, "a"));
  harness.clock.now_us -= 5'000'000;
  ASSERT_TRUE(harness.AppendAndWait(kAt, "b"));
  harness.Reopen();
  ASSERT_TRUE(harness.AppendAndWait(kAt, "c"));
  harness.clock.now_us += 9'000'000;
  ASSERT_TRUE(harness.AppendAndWait(kAt, "d"));
  const auto records = harness.log().Read(kAt, Offset(0), 1000, ReadTo::kDurable);
  ASSERT_EQ(records->size(), 4u);
  EXPECT_EQ((*records)[1].time, (*records)[0].time);
  EXPECT_EQ((*records)[2].time, (*records)[0].time);
  EXPECT_EQ((*records)[3].time, (*records)[0].time + Seconds(4));
}

TEST(RocksLog, AnotherNumberOfPartitionsIsAConflict) {
  const TestDirectory directory;
  const Resources resources{Limits{}};
  TestClock clock;
  const auto nothing = RocksLog::Open(directory.path(), Settings(0), resources, clock);
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, Code::kNotFound);
  ASSERT_TRUE(RocksLog::Open(directory.path(), Settings(4), resources, clock));
  const auto other = RocksLog::Open(directory.path(), Settings(8), resources, clock);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::kConflict);
  EXPECT_NE(other.error().message.find("has 4 partitions and 8 were asked for"), std::string::npos) << other.error().message;

  LogSettings renamed = Settings(4);
  renamed.log_id.bytes.fill(9);
  const auto again = RocksLog::Open(directory.path(), renamed, resources, clock);
  ASSERT_TRUE(again) << again.error().ToString();
  EXPECT_EQ((*again)->settings().log_id, Settings(4).log_id) << "a log keeps its id";
  const auto second = RocksLog::Open(directory.path(), Settings(4), resources, clock);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
}

TEST(RocksLog, BelowTheReserveAppendsAreRefusedAndReadsGoOn) {
  RocksHarness harness;
  ASSERT_TRUE(harness.AppendAndWait(kAt, "before"));
  harness.disk->free_bytes_told = 1000;
  // The free space is looked at every 4 MiB at the latest.
  Result<Appended> refused = Appended{};
  int accepted = 0;
  while (refused && accepted < 20) {
    refused = harness.AppendAndWait(kAt, std::string(1'000'000, 'x'));
    if (refused) ++accepted;
  }
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kRetry);
  EXPECT_NE(refused.error().message.find("no space"), std::string::npos) << refused.error().message;
  EXPECT_LE(accepted, 5);
  EXPECT_EQ(harness.log().Read(kAt, Offset(0), 100, ReadTo::kDurable)->front().bytes, "before");
  ASSERT_TRUE(harness.log().Trim(kAt, Offset(1))) << "trimming is what helps";
  harness.disk->free_bytes_told = INT64_MAX;
  while (!refused) refused = harness.AppendAndWait(kAt, "after");
  EXPECT_EQ(refused->offset, Offset(static_cast<uint64_t>(accepted) + 1));
}

TEST(RocksLog, AWriteThatFindsNoSpaceIsRefusedAndTheLogRecoversByItself) {
  for (const int64_t left : {0, 10, 300, 5'000}) {
    SCOPED_TRACE(left);
    RocksHarness harness({.disk_reserve_bytes = 0});
    std::vector<std::string> expected;
    const auto append = [&](const std::string& record) {
      auto result = harness.AppendAndWait(kAt, record);
      if (result) expected.push_back(record);
      return result;
    };
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(append("before"));
    harness.disk->space_bytes = left;
    harness.disk->free_bytes_told = -1;
    Result<Appended> refused = Appended{};
    std::string tried;
    for (int i = 0; i < 100 && refused; ++i) refused = append(tried = fmt::format("{} {}", i, std::string(200, 'y')));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kRetry);
    EXPECT_NE(refused.error().message.find("no space"), std::string::npos) << refused.error().message;
    EXPECT_EQ(harness.log().Read(kAt, Offset(0), 10'000, ReadTo::kDurable)->size(), expected.size()) << "reads go on";

    harness.disk->space_bytes = INT64_MAX;
    harness.disk->free_bytes_told = INT64_MAX;
    while (!refused) refused = append("again");
    harness.Crash();
    ASSERT_TRUE(append("after the crash"));
    const auto records = harness.log().Read(kAt, Offset(0), 1 << 20, ReadTo::kDurable);
    std::vector<std::string> found;
    for (const LogRecord& record : *records) found.push_back(record.bytes);
    // What failed may be there all the same, once.
    EXPECT_LE(std::erase_if(found, [&](const std::string& record) { return record == tried && !std::ranges::count(expected, record); }),
              1u);
    EXPECT_EQ(found, expected);
  }
}

TEST(RocksLog, WrittenRecordsOutliveAFullDisk) {
  RocksHarness harness({.disk_reserve_bytes = 0});
  ASSERT_TRUE(harness.AppendAndWait(kAt, "before"));
  std::atomic<bool> held = true;
  harness.disk->before_wal_sync = [&] { held.wait(true); };
  std::vector<Result<Appended>> answers;
  const auto done = [&](Result<Appended> result) { harness.Tell([&] { answers.push_back(std::move(result)); }); };
  for (int i = 0; i < 5; ++i) harness.log().Append(kAt, "waiting", Sync::kNow, done);
  harness.disk->space_bytes = 50;
  harness.disk->free_bytes_told = -1;
  harness.log().Append(kAt, std::string(500, 'z'), Sync::kNow, done);  // fails, while the others wait for their sync
  held = false;
  held.notify_all();
  ASSERT_TRUE(harness.Until([&] { return !answers.empty(); }));
  harness.disk->space_bytes = INT64_MAX;
  harness.disk->free_bytes_told = INT64_MAX;
  ASSERT_TRUE(harness.Until([&] { return answers.size() == 6; }));
  EXPECT_EQ(std::ranges::count_if(answers, [](const auto& each) { return each.has_value(); }), 5);
  harness.Crash();
  EXPECT_EQ(harness.log().Ends(kAt).durable, Offset(6));
  harness.disk->before_wal_sync = nullptr;
}

TEST(RocksLog, AfterAFailedSyncNothingIsAcknowledgedAnyMore) {
  RocksHarness harness;
  ASSERT_TRUE(harness.AppendAndWait(kAt, "before"));
  harness.disk->syncs_fail = true;
  const auto failed = harness.AppendAndWait(kAt, "lost");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kFatal);
  harness.disk->syncs_fail = false;
  const auto later = harness.AppendAndWait(kAt, "later");
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().code, Code::kFatal);
  EXPECT_EQ(harness.log().Ends(kAt).durable, Offset(1));
  EXPECT_EQ(harness.log().Read(kAt, Offset(0), 100, ReadTo::kDurable)->size(), 1u) << "reads go on";
}

TEST(RocksLog, OneOrderOutlivesChangesOfTheWalFile) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::minstd_rand random(seed);
  SmallMemtables harness;
  std::map<TopicPartition, Offset> starts;
  int number = 0;
  for (int round = 0; round < 4; ++round) {
    std::map<TopicPartition, std::vector<int>> sent;
    std::atomic<int> acknowledged_max = -1;
    const int first = number;
    const size_t count = 100 + random() % 200;
    for (size_t i = 0; i < count; ++i) {
      const TopicPartition at{kTopics[random() % 2], PartitionId(static_cast<uint16_t>(random() % 3))};
      starts.try_emplace(at, Offset(0));
      const int mine = number++;
      sent[at].push_back(mine);
      harness.log().Append(at, fmt::format("{} {}", mine, std::string(random() % 16'000, 'x')),
                           random() % 50 == 0 ? Sync::kNow : Sync::kSoon, [&acknowledged_max, mine](const Result<Appended>& result) {
                             if (result) acknowledged_max = std::max(acknowledged_max.load(), mine);
                           });
    }
    harness.Crash();
    std::vector<int> left;
    for (auto& [at, start] : starts) {
      Offset from = start;
      for (;;) {
        const auto records = harness.log().Read(at, from, 1 << 20, ReadTo::kDurable);
        ASSERT_TRUE(records) << records.error().ToString();
        if (records->empty()) break;
        for (const LogRecord& record : *records) left.push_back(std::stoi(record.bytes));
        from = records->back().offset.Next();
      }
      start = from;
    }
    std::ranges::sort(left);
    for (size_t i = 0; i < left.size(); ++i) ASSERT_EQ(left[i], first + static_cast<int>(i)) << "round " << round;
    EXPECT_GT(first + static_cast<int>(left.size()), acknowledged_max) << "round " << round;
  }
}

TEST(RocksLog, LargeLogsAreReadBackFromTableFilesAndTrimmed) {
  SmallMemtables harness;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 2000; ++i) {
    harness.log().Append(kAt, fmt::format("{} {}", i, std::string(2000, 'x')), Sync::kSoon, [&](const Result<Appended>& result) {
      EXPECT_TRUE(result);
      harness.Tell([&] { ++answered; });
    });
  }
  ASSERT_TRUE(harness.Until([&] { return answered == 2000; }));
  for (const uint64_t begin : {0, 1500, 2000}) {
    ASSERT_TRUE(harness.log().Trim(kAt, Offset(begin)));
    Offset from(begin);
    for (;;) {
      const auto records = harness.log().Read(kAt, from, 100'000, ReadTo::kDurable);
      ASSERT_TRUE(records) << records.error().ToString();
      if (records->empty()) break;
      for (const LogRecord& record : *records) {
        ASSERT_EQ(record.offset, from);
        ASSERT_EQ(std::stoi(record.bytes), static_cast<int>(from.value()));
        from = from.Next();
      }
    }
    EXPECT_EQ(from, Offset(2000));
  }
}

TEST(RocksLog, ManyThreadsAppendAndReadAtOnce) {
  SmallMemtables harness;
  constexpr int kThreads = 4;
  constexpr int kEach = 500;
  std::atomic<int> answered = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const TopicPartition at{Topic::kCommands, PartitionId(static_cast<uint16_t>(t % 2))};
      for (int i = 0; i < kEach; ++i) {
        harness.log().Append(at, fmt::format("{} {} {}", t, i, std::string(500, 'x')), i % 20 == 0 ? Sync::kNow : Sync::kSoon,
                             [&](const Result<Appended>& result) {
                               EXPECT_TRUE(result);
                               harness.Tell([&] { ++answered; });
                             });
        const auto read = harness.log().Read(at, Offset(0), 2000, ReadTo::kWritten);
        EXPECT_TRUE(read);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(harness.Until([&] { return answered == kThreads * kEach; }));
  std::map<int, int> next;
  for (uint16_t p = 0; p < 2; ++p) {
    const auto records = harness.log().Read({Topic::kCommands, PartitionId(p)}, Offset(0), 10 << 20, ReadTo::kDurable);
    ASSERT_EQ(records->size(), static_cast<size_t>(kThreads / 2 * kEach));
    for (const LogRecord& record : *records) {
      int thread = 0;
      int i = 0;
      ASSERT_EQ(std::sscanf(record.bytes.c_str(), "%d %d", &thread, &i), 2);
      EXPECT_EQ(i, next[thread]++) << "appends of one thread keep their order";
    }
  }
}

// A child appends and tells, through a pipe, what was acknowledged; then it is killed.
TEST(RocksLog, AcknowledgedRecordsSurviveKillMinusNine) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer cannot follow a fork of a program with threads";
#endif
  const TestDirectory directory;
  TestClock clock;
  uint64_t acknowledged = 0;
  for (int round = 0; round < 3; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(pipe_ends[0]);
      const Resources resources{Limits{}};
      auto log = RocksLog::Open(directory.path(), Settings(3), resources, clock);
      if (!log) _exit(1);
      for (;;) {
        std::promise<uint64_t> answer;
        (*log)->Append(kAt, std::string(300, 'k'), Sync::kNow,
                       [&](const Result<Appended>& result) { answer.set_value(result->offset->value()); });
        const uint64_t offset = answer.get_future().get();
        if (write(pipe_ends[1], &offset, sizeof(offset)) != sizeof(offset)) _exit(1);
      }
    }
    close(pipe_ends[1]);
    for (int i = 0; i < 50 * (round + 1); ++i)
      ASSERT_EQ(read(pipe_ends[0], &acknowledged, sizeof(acknowledged)), static_cast<ssize_t>(sizeof(acknowledged)));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    while (read(pipe_ends[0], &acknowledged, sizeof(acknowledged)) == sizeof(acknowledged)) continue;
    close(pipe_ends[0]);
    const Resources resources{Limits{}};
    const auto log = RocksLog::Open(directory.path(), Settings(3), resources, clock);
    ASSERT_TRUE(log) << log.error().ToString();
    EXPECT_GT((*log)->Ends(kAt).durable.value(), acknowledged);
    EXPECT_LE((*log)->Ends(kAt).durable.value(), acknowledged + 2);
  }
}

}  // namespace
}  // namespace maily::rocks
