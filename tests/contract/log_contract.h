// What every adapter of the log port keeps, as one suite that each adapter's own test instantiates with a harness:
//
//   INSTANTIATE_TYPED_TEST_SUITE_P(Rocks, LogContract, RocksHarness);
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <random>

#include "streams/port/log.h"

namespace maily::contract {

// An adapter under test. Default-constructible, and then holds a fresh log of kPartitions partitions.
class LogHarness {
 public:
  static constexpr uint16_t kPartitions = 3;
  virtual ~LogHarness() = default;
  virtual Log& log() = 0;
  // Lets the adapter work until `reached` (called under mutex()) says true. False: it did not within 30 s of the adapter's time.
  virtual bool Until(const std::function<bool()>& reached) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), reached);
  }
  // Closes the log as an orderly process does, and opens it again.
  virtual void Reopen() = 0;
  // The machine loses power and comes back: whatever was not synced may be gone, callbacks in flight are never called.
  virtual void Crash() = 0;

  std::mutex& mutex() { return mutex_; }
  // For callbacks of the adapter: changes what `reached` looks at.
  template <class Change>
  void Tell(Change change) {
    {
      const std::lock_guard lock(mutex_);
      change();
    }
    changed_.notify_all();
  }

 protected:
  std::mutex mutex_;
  std::condition_variable changed_;
};

template <class Harness>
class LogContract : public testing::Test {
 public:
  static constexpr TopicPartition kAt{Topic::kJournal, PartitionId(1)};

  Log& log() { return harness_.log(); }

  // Collects outcomes of appends in the order of acknowledgement; lives as long as callbacks may come.
  struct Outcomes {
    std::vector<Result<Appended>> all;
    std::map<std::string, int> times;  // by record
  };
  void Append(TopicPartition at, const std::string& record, Sync sync) {
    log().Append(at, record, sync, [this, outcomes = outcomes_, record](Result<Appended> result) {
      harness_.Tell([&] {
        outcomes->all.push_back(std::move(result));
        ++outcomes->times[record];
      });
    });
    ++sent_;
  }
  [[nodiscard]] bool AllAnswered() {
    return harness_.Until([&] { return outcomes_->all.size() == sent_; });
  }
  void AppendAll(TopicPartition at, size_t count, const std::string& prefix = "record-") {
    for (size_t i = 0; i < count; ++i) Append(at, prefix + std::to_string(i), Sync::kNow);
    ASSERT_TRUE(AllAnswered());
    for (const auto& each : outcomes_->all) ASSERT_TRUE(each) << each.error().ToString();
  }
  // Everything that can be read, in small portions.
  std::vector<LogRecord> ReadAll(TopicPartition at, ReadTo to = ReadTo::kDurable, size_t bytes_max = 64) {
    std::vector<LogRecord> all;
    Offset from = log().Ends(at).begin;
    for (;;) {
      auto records = log().Read(at, from, bytes_max, to);
      EXPECT_TRUE(records) << records.error().ToString();
      if (!records || records->empty()) return all;
      for (LogRecord& record : *records) all.push_back(std::move(record));
      from = all.back().offset.Next();
    }
  }
  static std::vector<std::string> Bytes(const std::vector<LogRecord>& records) {
    std::vector<std::string> bytes;
    for (const LogRecord& record : records) bytes.push_back(record.bytes);
    return bytes;
  }
  void ForgetOutcomes() {
    outcomes_ = std::make_shared<Outcomes>();
    sent_ = 0;
  }

  Harness harness_;
  std::shared_ptr<Outcomes> outcomes_ = std::make_shared<Outcomes>();
  size_t sent_ = 0;
};

TYPED_TEST_SUITE_P(LogContract);

TYPED_TEST_P(LogContract, RecordsAreReadInTheOrderOfAppending) {
  this->AppendAll(this->kAt, 100);
  const auto records = this->ReadAll(this->kAt);
  ASSERT_EQ(records.size(), 100u);
  for (size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(records[i].bytes, "record-" + std::to_string(i));
    if (i > 0) {
      EXPECT_GT(records[i].offset, records[i - 1].offset);
      EXPECT_GE(records[i].time, records[i - 1].time);
    }
    ASSERT_TRUE(this->outcomes_->all[i]->offset);
    EXPECT_EQ(*this->outcomes_->all[i]->offset, records[i].offset);
  }
}

TYPED_TEST_P(LogContract, RecordsAreBytesOfAnyKindAndSize) {
  std::string all_bytes;
  for (int i = 0; i < 256; ++i) all_bytes.push_back(static_cast<char>(i));
  const std::vector<std::string> expected{"", all_bytes, std::string(1'000'000, 'x'), std::string(10, '\0')};
  for (const std::string& record : expected) this->Append(this->kAt, record, Sync::kNow);
  ASSERT_TRUE(this->AllAnswered());
  EXPECT_EQ(this->Bytes(this->ReadAll(this->kAt)), expected);
}

TYPED_TEST_P(LogContract, ATooLargeRecordIsRefusedOnce) {
  const std::string large(1'000'001, 'x');
  this->Append(this->kAt, large, Sync::kNow);
  this->Append(this->kAt, "next", Sync::kNow);
  ASSERT_TRUE(this->AllAnswered());
  int refused = 0;
  for (const auto& each : this->outcomes_->all) {
    if (each) continue;
    ++refused;
    EXPECT_EQ(each.error().code, Code::kInvalid);
  }
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(this->Bytes(this->ReadAll(this->kAt)), std::vector<std::string>{"next"});
}

TYPED_TEST_P(LogContract, PartitionsAndTopicsAreApart) {
  this->AppendAll({Topic::kJournal, PartitionId(0)}, 3, "j0-");
  this->AppendAll({Topic::kCommands, PartitionId(0)}, 2, "c0-");
  this->AppendAll({Topic::kJournal, PartitionId(2)}, 1, "j2-");
  EXPECT_EQ(this->Bytes(this->ReadAll({Topic::kJournal, PartitionId(0)})), (std::vector<std::string>{"j0-0", "j0-1", "j0-2"}));
  EXPECT_EQ(this->Bytes(this->ReadAll({Topic::kCommands, PartitionId(0)})), (std::vector<std::string>{"c0-0", "c0-1"}));
  EXPECT_EQ(this->Bytes(this->ReadAll({Topic::kJournal, PartitionId(2)})), (std::vector<std::string>{"j2-0"}));
  EXPECT_TRUE(this->ReadAll({Topic::kCommands, PartitionId(1)}).empty());
}

TYPED_TEST_P(LogContract, ASoonAppendIsAcknowledgedWithoutAnother) {
  this->Append(this->kAt, "alone", Sync::kSoon);
  ASSERT_TRUE(this->AllAnswered());
  EXPECT_TRUE(this->outcomes_->all[0]);
  EXPECT_EQ(this->log().Ends(this->kAt).durable, this->log().Ends(this->kAt).written);
}

TYPED_TEST_P(LogContract, EveryAppendIsAnsweredExactlyOnce) {
  for (int i = 0; i < 200; ++i) {
    this->Append({Topic::kCommands, PartitionId(static_cast<uint16_t>(i % 3))}, std::to_string(i), i % 3 == 0 ? Sync::kNow : Sync::kSoon);
  }
  ASSERT_TRUE(this->AllAnswered());
  EXPECT_EQ(this->outcomes_->times.size(), 200u);
  for (const auto& [record, times] : this->outcomes_->times) EXPECT_EQ(times, 1) << record;
}

TYPED_TEST_P(LogContract, AReadGivesAtLeastOneRecordAndThenWhatFits) {
  for (int i = 0; i < 20; ++i) this->Append(this->kAt, std::string(100, static_cast<char>('a' + i)), Sync::kNow);
  ASSERT_TRUE(this->AllAnswered());
  const Offset begin = this->log().Ends(this->kAt).begin;
  EXPECT_EQ(this->log().Read(this->kAt, begin, 1, ReadTo::kDurable)->size(), 1u);
  EXPECT_EQ(this->log().Read(this->kAt, begin, 350, ReadTo::kDurable)->size(), 3u);
  EXPECT_EQ(this->log().Read(this->kAt, begin, 1 << 20, ReadTo::kDurable)->size(), 20u);
  const auto rest = this->log().Read(this->kAt, Offset(begin.value() + 18), 1 << 20, ReadTo::kDurable);
  ASSERT_EQ(rest->size(), 2u);
  EXPECT_EQ(rest->front().bytes, std::string(100, 's'));
}

TYPED_TEST_P(LogContract, AReadAtTheEndIsEmptyAndBeyondItIsInvalid) {
  EXPECT_TRUE(this->log().Read(this->kAt, this->log().Ends(this->kAt).begin, 100, ReadTo::kDurable)->empty());
  this->AppendAll(this->kAt, 5);
  const Offset end = this->log().Ends(this->kAt).written;
  for (const ReadTo to : {ReadTo::kDurable, ReadTo::kWritten}) {
    EXPECT_TRUE(this->log().Read(this->kAt, end, 100, to)->empty());
    const auto beyond = this->log().Read(this->kAt, end.Next(), 100, to);
    ASSERT_FALSE(beyond);
    EXPECT_EQ(beyond.error().code, Code::kInvalid);
  }
}

TYPED_TEST_P(LogContract, TrimmedRecordsAreNotFoundAndTheRestStays) {
  this->AppendAll(this->kAt, 20);
  const LogEnds before = this->log().Ends(this->kAt);
  const Offset cut(before.begin.value() + 12);
  ASSERT_TRUE(this->log().Trim(this->kAt, cut));
  ASSERT_TRUE(this->log().Trim(this->kAt, before.begin)) << "trimming what is trimmed is no error";
  for (const bool reopened : {false, true}) {
    SCOPED_TRACE(reopened);
    EXPECT_EQ(this->log().Ends(this->kAt).begin, cut);
    const auto gone = this->log().Read(this->kAt, Offset(cut.value() - 1), 100, ReadTo::kDurable);
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, Code::kNotFound);
    const auto records = this->ReadAll(this->kAt);
    ASSERT_EQ(records.size(), 8u);
    EXPECT_EQ(records[0].bytes, "record-12");
    if (!reopened) this->harness_.Reopen();
  }
}

TYPED_TEST_P(LogContract, APartitionThatIsTrimmedEmptyGoesOnWhereItWas) {
  this->AppendAll(this->kAt, 7);
  const Offset end = this->log().Ends(this->kAt).durable;
  ASSERT_TRUE(this->log().Trim(this->kAt, end));
  this->harness_.Crash();
  EXPECT_EQ(this->log().Ends(this->kAt).begin, end);
  EXPECT_EQ(this->log().Ends(this->kAt).durable, end);
  this->ForgetOutcomes();
  this->AppendAll(this->kAt, 1, "again-");
  EXPECT_EQ(*this->outcomes_->all[0]->offset, end);
  EXPECT_FALSE(this->log().Trim(this->kAt, Offset(end.value() + 2))) << "beyond the durable end";
}

TYPED_TEST_P(LogContract, WhatWasAppendedIsThereAfterReopening) {
  this->AppendAll(this->kAt, 50);
  const auto before = this->ReadAll(this->kAt);
  const LogSettings settings = this->log().settings();
  this->harness_.Reopen();
  EXPECT_EQ(this->log().settings().log_id, settings.log_id);
  EXPECT_EQ(this->log().settings().partition_count, settings.partition_count);
  EXPECT_EQ(this->log().settings().generation, settings.generation);
  const auto after = this->ReadAll(this->kAt);
  ASSERT_EQ(this->Bytes(after), this->Bytes(before));
  for (size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i].offset, before[i].offset);
    EXPECT_EQ(after[i].time, before[i].time);
  }
  this->ForgetOutcomes();
  this->AppendAll(this->kAt, 1, "again-");
  EXPECT_EQ(*this->outcomes_->all[0]->offset, after.back().offset.Next());
  EXPECT_GE(this->ReadAll(this->kAt).back().time, after.back().time);
}

TYPED_TEST_P(LogContract, ATailSignalComesAtOnceAndWhenAnEndMoves) {
  for (const ReadTo to : {ReadTo::kDurable, ReadTo::kWritten}) {
    int signals = 0;
    this->ForgetOutcomes();
    const auto at = TopicPartition{Topic::kCommands, PartitionId(to == ReadTo::kDurable ? uint16_t{0} : uint16_t{1})};
    auto watch = this->log().WatchTail(at, to, [&] { this->harness_.Tell([&] { ++signals; }); });
    this->AppendAll(at, 1);
    ASSERT_TRUE(this->harness_.Until([&] { return signals >= 1; }));
    EXPECT_EQ(this->ReadAll(at, to).size(), 1u);

    int at_once = 0;
    auto second = this->log().WatchTail(at, to, [&] { this->harness_.Tell([&] { ++at_once; }); });
    ASSERT_TRUE(this->harness_.Until([&] { return at_once >= 1; })) << "there is something to read";

    watch.reset();
    const int heard = signals;
    this->AppendAll(at, 3);
    ASSERT_TRUE(this->harness_.Until([&] { return at_once >= 2; }));
    EXPECT_EQ(signals, heard) << "a destroyed watch is silent";
  }
}

TYPED_TEST_P(LogContract, AnAcknowledgedRecordSurvivesACrash) {
  std::minstd_rand random(7);
  for (int round = 0; round < 5; ++round) {
    this->ForgetOutcomes();
    this->AppendAll(this->kAt, 10 + random() % 20, std::to_string(round) + "-");
    const auto before = this->Bytes(this->ReadAll(this->kAt));
    this->harness_.Crash();
    ASSERT_EQ(this->Bytes(this->ReadAll(this->kAt)), before) << "round " << round;
  }
}

TYPED_TEST_P(LogContract, WhatADurableReadShowedSurvivesACrash) {
  std::minstd_rand random(11);
  std::vector<std::string> shown;
  for (int round = 0; round < 8; ++round) {
    this->ForgetOutcomes();
    const size_t count = 20 + random() % 30;
    for (size_t i = 0; i < count; ++i) this->Append(this->kAt, fmt::format("{}-{}", round, i), i % 7 == 0 ? Sync::kNow : Sync::kSoon);
    const size_t wanted = random() % count;
    ASSERT_TRUE(this->harness_.Until([&] { return this->outcomes_->all.size() >= wanted; }));
    shown = this->Bytes(this->ReadAll(this->kAt));
    EXPECT_GE(shown.size(), wanted);
    this->harness_.Crash();
    const auto after = this->Bytes(this->ReadAll(this->kAt));
    ASSERT_GE(after.size(), shown.size()) << "round " << round;
    ASSERT_TRUE(std::equal(shown.begin(), shown.end(), after.begin())) << "round " << round;
    EXPECT_EQ(this->log().Ends(this->kAt).durable, this->log().Ends(this->kAt).written);
  }
}

// Records carry their number in the order of writing; what is left after a crash is a prefix of that order (of each partition alone,
// if the adapter keeps no order over partitions).
TYPED_TEST_P(LogContract, ACrashTakesBackASuffix) {
  std::minstd_rand random(13);
  for (int round = 0; round < 8; ++round) {
    SCOPED_TRACE(round);
    this->ForgetOutcomes();
    std::map<TopicPartition, Offset> starts;
    for (const Topic topic : kTopics) {
      for (uint16_t p = 0; p < LogHarness::kPartitions; ++p) {
        starts[{topic, PartitionId(p)}] = this->log().Ends({topic, PartitionId(p)}).written;
      }
    }
    const int count = 60;
    std::map<TopicPartition, std::vector<int>> sent;
    for (int i = 0; i < count; ++i) {
      const TopicPartition at{kTopics[random() % 2], PartitionId(static_cast<uint16_t>(random() % LogHarness::kPartitions))};
      sent[at].push_back(i);
      this->Append(at, fmt::format("{} {}", i, std::string(random() % 3000, 'x')), i == count / 3 ? Sync::kNow : Sync::kSoon);
    }
    this->harness_.Crash();
    std::vector<int> left;
    for (const auto& [at, start] : starts) {
      const auto records = this->log().Read(at, start, 10 << 20, ReadTo::kDurable);
      ASSERT_TRUE(records) << records.error().ToString();
      for (size_t i = 0; i < records->size(); ++i) {
        const int number = std::stoi((*records)[i].bytes);
        ASSERT_LT(i, sent[at].size());
        EXPECT_EQ(number, sent[at][i]) << "a prefix of its partition";
        left.push_back(number);
      }
    }
    if (!this->log().ordered_across_partitions()) continue;
    std::ranges::sort(left);
    for (size_t i = 0; i < left.size(); ++i) ASSERT_EQ(left[i], static_cast<int>(i)) << "of " << left.size() << " that are left";
  }
}

REGISTER_TYPED_TEST_SUITE_P(LogContract, RecordsAreReadInTheOrderOfAppending, RecordsAreBytesOfAnyKindAndSize, ATooLargeRecordIsRefusedOnce,
                            PartitionsAndTopicsAreApart, ASoonAppendIsAcknowledgedWithoutAnother, EveryAppendIsAnsweredExactlyOnce,
                            AReadGivesAtLeastOneRecordAndThenWhatFits, AReadAtTheEndIsEmptyAndBeyondItIsInvalid,
                            TrimmedRecordsAreNotFoundAndTheRestStays, APartitionThatIsTrimmedEmptyGoesOnWhereItWas,
                            WhatWasAppendedIsThereAfterReopening, ATailSignalComesAtOnceAndWhenAnEndMoves,
                            AnAcknowledgedRecordSurvivesACrash, WhatADurableReadShowedSurvivesACrash, ACrashTakesBackASuffix);

}  // namespace maily::contract
