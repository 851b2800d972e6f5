// Which commands are forgotten: old ones, before the limit, whatever the times are.
#include "streams/task/retention.h"

#include <gtest/gtest.h>

#include "streams/adapters/sim/sim_log.h"

namespace maily::task {
namespace {

const TopicPartition kAt{Topic::kCommands, PartitionId(0)};

// Counts what is read.
class CountedLog : public sim::SimLog {
 public:
  using SimLog::SimLog;
  Result<std::vector<LogRecord>> Read(TopicPartition at, Offset from, size_t bytes_max, ReadTo to) override {
    ++reads;
    auto records = SimLog::Read(at, from, bytes_max, to);
    if (records) records_read += records->size();
    return records;
  }
  size_t reads = 0;
  size_t records_read = 0;
};

struct Filled {
  // `count` records, at random distances of up to 10 s, many at one time.
  Filled(uint64_t seed, size_t count) : scheduler(seed), log(scheduler, {}) {
    for (size_t i = 0; i < count; ++i) {
      if (scheduler.Chance(0.5)) scheduler.RunFor(scheduler.RandomDuration(Seconds(1), Seconds(10)));
      times.push_back(scheduler.clock().Now());
      log.Append(kAt, "command", Sync::kNow, [](const Result<Appended>&) {});
    }
    scheduler.RunFor(Seconds(1));
  }
  sim::Scheduler scheduler;
  CountedLog log;
  std::vector<Instant> times;
};

TEST(Retention, KeepsWhatIsYoungAndWhatIsNotDecided) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    const size_t count = seed % 40;
    Filled filled(seed, count);
    size_t begin = 0;
    for (int call = 0; call < 4; ++call) {
      const uint64_t limit = filled.scheduler.Random(count + 1);
      const Instant before = count == 0 ? Instant{} : filled.times[filled.scheduler.Random(count)];
      while (begin < limit && filled.times[begin] < before) ++begin;
      const auto kept = TrimCommands(filled.log, kAt.partition, Offset(limit), before);
      ASSERT_TRUE(kept) << kept.error().ToString();
      EXPECT_EQ(*kept, Offset(begin));
      EXPECT_EQ(filled.log.Ends(kAt).begin, Offset(begin));
    }
  }
}

TEST(Retention, ReadsFewRecordsHoweverManyThereAre) {
  Filled filled(1, 5'000);
  ASSERT_TRUE(TrimCommands(filled.log, kAt.partition, Offset(5'000), filled.times.front()));
  EXPECT_EQ(filled.log.reads, 1U) << "nothing is old: one look";
  ASSERT_TRUE(TrimCommands(filled.log, kAt.partition, Offset(5'000), filled.times[3'000]));
  EXPECT_LE(filled.log.reads, 20U);
  EXPECT_LE(filled.log.records_read, 20U);
  EXPECT_GT(filled.log.Ends(kAt).begin, Offset(2'900));
}

TEST(Retention, WhatIsNotDurableIsKept) {
  Filled filled(1, 10);
  filled.log.Append(kAt, "command", Sync::kNow, [](const Result<Appended>&) {});
  const auto kept = TrimCommands(filled.log, kAt.partition, Offset(11), Instant{filled.times.back().us + 1'000'000'000});
  ASSERT_TRUE(kept);
  EXPECT_EQ(*kept, Offset(10));
}

}  // namespace
}  // namespace maily::task
