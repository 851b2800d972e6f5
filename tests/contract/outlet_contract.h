// What every adapter of the outlet port keeps, as one suite that each adapter's own test instantiates with a harness:
//
//   INSTANTIATE_TYPED_TEST_SUITE_P(Kafka, OutletContract, KafkaOutletHarness);
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <optional>

#include "streams/port/outlet.h"

namespace maily::contract {

inline constexpr uint16_t kOutletPartitions = 3;

// An adapter under test, with two topics of kOutletPartitions. Default-constructible, and then empty.
class OutletHarness {
 public:
  virtual ~OutletHarness() = default;
  virtual Outlet& outlet() = 0;
  // Lets time pass until `reached` says so; false: it does not.
  virtual bool Until(const std::function<bool()>& reached) = 0;
};

template <class Harness>
class OutletContract : public testing::Test {
 public:
  // What an Append came to; shared with its callback.
  struct Answer {
    std::atomic<bool> came = false;
    std::optional<Result<void>> result;
    OutletBatch batch;
  };
  std::shared_ptr<Answer> Append(size_t topic, uint16_t partition, OutletBatch batch) {
    auto answer = std::make_shared<Answer>();
    harness_.outlet().Append(topic, PartitionId(partition), std::move(batch), [answer](Result<void> result, OutletBatch back) {
      answer->result.emplace(std::move(result));
      answer->batch = std::move(back);
      answer->came = true;
    });
    return answer;
  }
  Result<void> Put(size_t topic, uint16_t partition, OutletBatch batch) {
    const auto answer = Append(topic, partition, std::move(batch));
    EXPECT_TRUE(harness_.Until([&] { return answer->came.load(); }));
    return answer->came ? *answer->result : Fail(Code::kFatal, "no answer");
  }
  std::vector<OutletRecord> Newest(size_t topic, uint16_t partition, size_t count) {
    auto records = harness_.outlet().Newest(topic, PartitionId(partition), count);
    EXPECT_TRUE(records) << records.error().ToString();
    return records ? *std::move(records) : std::vector<OutletRecord>();
  }
  static OutletBatch Numbers(int from, int to) {
    OutletBatch batch;
    for (int i = from; i < to; ++i) batch.Add("key", std::to_string(i), {}, Instant{1'700'000'000'000'000});
    return batch;
  }

  Harness harness_;
};

TYPED_TEST_SUITE_P(OutletContract);

TYPED_TEST_P(OutletContract, ARecordComesBackAsItWasGiven) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  const OutletHeader headers[] = {{"ce_id", "3-17.0"}, {"empty", ""}, {"bytes", bytes}};
  OutletBatch batch;
  batch.Add(bytes, bytes, headers, Instant{1'700'000'000'000'000});
  batch.Add("tombstone", std::nullopt, {}, Instant{1'700'000'000'000'000});
  batch.Add("", "", std::span(headers).first(1), Instant{1'700'000'000'000'000});
  ASSERT_TRUE(this->Put(1, 2, std::move(batch)));
  const auto records = this->Newest(1, 2, 10);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].key, bytes);
  EXPECT_EQ(records[0].value, bytes);
  ASSERT_EQ(records[0].headers.size(), 3u);
  EXPECT_EQ(*records[0].Header("ce_id"), "3-17.0");
  EXPECT_EQ(*records[0].Header("empty"), "");
  EXPECT_EQ(*records[0].Header("bytes"), bytes);
  EXPECT_EQ(records[0].Header("other"), nullptr);
  EXPECT_EQ(records[1].key, "tombstone");
  EXPECT_FALSE(records[1].value);
  EXPECT_TRUE(records[1].headers.empty());
  EXPECT_EQ(records[2].key, "");
  EXPECT_EQ(records[2].value, "");
  EXPECT_EQ(records[2].headers.size(), 1u);
  EXPECT_TRUE(this->Newest(0, 2, 10).empty()) << "another topic";
  EXPECT_TRUE(this->Newest(1, 1, 10).empty()) << "another partition";
}

TYPED_TEST_P(OutletContract, BatchesOfAllPartitionsKeepTheirOrder) {
  constexpr int kBatches = 20;
  constexpr int kRecords = 300;
  struct Row {
    size_t topic;
    uint16_t partition;
    int sent = 0;
    std::shared_ptr<typename OutletContract<TypeParam>::Answer> answer;
  };
  std::vector<Row> rows;
  for (size_t topic = 0; topic < 2; ++topic) {
    for (uint16_t p = 0; p < kOutletPartitions; ++p) rows.push_back({topic, p, 0, nullptr});
  }
  const auto advance = [&] {
    bool done = true;
    for (Row& row : rows) {
      if (row.answer && !row.answer->came) {
        done = false;
        continue;
      }
      EXPECT_TRUE(!row.answer || *row.answer->result);
      if (row.sent == kBatches) continue;
      done = false;
      OutletBatch batch = row.answer ? std::move(row.answer->batch) : OutletBatch();
      batch.Clear();
      for (int i = 0; i < kRecords; ++i) batch.Add("k", std::to_string(row.sent * kRecords + i), {}, Instant{1'700'000'000'000'000});
      ++row.sent;
      row.answer = this->Append(row.topic, row.partition, std::move(batch));
    }
    return done;
  };
  ASSERT_TRUE(this->harness_.Until(advance));
  for (const Row& row : rows) {
    const auto records = this->Newest(row.topic, row.partition, kBatches * kRecords + 1);
    ASSERT_EQ(records.size(), static_cast<size_t>(kBatches * kRecords));
    for (size_t i = 0; i < records.size(); ++i) ASSERT_EQ(records[i].value, std::to_string(i));
  }
}

TYPED_TEST_P(OutletContract, NewestAreTheLastOnes) {
  EXPECT_TRUE(this->Newest(0, 0, 5).empty());
  ASSERT_TRUE(this->Put(0, 0, this->Numbers(0, 100)));
  const auto records = this->Newest(0, 0, 5);
  ASSERT_EQ(records.size(), 5u);
  EXPECT_EQ(records.front().value, "95");
  EXPECT_EQ(records.back().value, "99");
  EXPECT_EQ(this->Newest(0, 0, 1000).size(), 100u);
}

TYPED_TEST_P(OutletContract, OfABatchThatIsRefusedTheFirstRecordsAreStoredAtMost) {
  ASSERT_TRUE(this->Put(0, 1, this->Numbers(0, 3)));
  OutletBatch batch = this->Numbers(3, 6);
  batch.Add("key", std::string(2'000'000, 'x'), {}, Instant{1'700'000'000'000'000});
  batch.Add("key", "after", {}, Instant{1'700'000'000'000'000});
  const auto refused = this->Put(0, 1, std::move(batch));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalid) << refused.error().ToString();
  const auto records = this->Newest(0, 1, 10);
  ASSERT_GE(records.size(), 3u);
  ASSERT_LE(records.size(), 6u);
  for (size_t i = 0; i < records.size(); ++i) EXPECT_EQ(records[i].value, std::to_string(i));
  ASSERT_TRUE(this->Put(0, 1, this->Numbers(static_cast<int>(records.size()), 10))) << "and the next one is taken";
}

REGISTER_TYPED_TEST_SUITE_P(OutletContract, ARecordComesBackAsItWasGiven, BatchesOfAllPartitionsKeepTheirOrder, NewestAreTheLastOnes,
                            OfABatchThatIsRefusedTheFirstRecordsAreStoredAtMost);

}  // namespace maily::contract
