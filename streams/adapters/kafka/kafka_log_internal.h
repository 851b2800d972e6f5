// The log on Kafka in one class, for its tests too.
#pragma once

#include <condition_variable>
#include <thread>

#include "streams/adapters/kafka/cursors.h"
#include "streams/adapters/kafka/follower.h"
#include "streams/adapters/kafka/kafka_log.h"
#include "streams/adapters/kafka/producer.h"

namespace maily::kafka {

class KafkaLogImpl : public Log {
 public:
  explicit KafkaLogImpl(const Options& options) : options_(options) {}
  ~KafkaLogImpl() override;
  Result<void> Start(uint16_t partition_count);

  const LogSettings& settings() const override { return settings_; }
  void Append(TopicPartition at, std::string record, Sync sync, AppendDone done) override;
  Result<std::vector<LogRecord>> Read(TopicPartition at, Offset from, size_t bytes_max, ReadTo to) override;
  LogEnds Ends(TopicPartition at) override;
  std::unique_ptr<TailWatch> WatchTail(TopicPartition at, ReadTo to, std::function<void()> signal) override;
  Result<void> Trim(TopicPartition at, Offset before) override;
  bool ordered_across_partitions() const override { return false; }
  std::string durability_class() const override { return durability_; }

  Producer& producer() { return *producer_; }

 private:
  Partition* Find(TopicPartition at) const;
  Result<void> CheckTopics(uint16_t partition_count);
  Result<void> FindEnds();
  Result<void> Refresh(Partition& partition);
  Result<void> Acknowledged(Partition& partition, std::optional<Offset> offset, Instant time, std::string bytes);
  Result<std::vector<LogRecord>> ReadOld(Partition& partition, Offset from, Offset until, size_t bytes_max);
  Result<std::vector<LogRecord>> ReadNew(Partition& partition, std::unique_lock<std::mutex> lock, Offset from, size_t bytes_max);

  const Options options_;
  LogSettings settings_;
  std::string durability_;
  std::unique_ptr<Admin> admin_;
  std::vector<std::unique_ptr<Partition>> partitions_;  // topic * partition_count + partition
  std::unique_ptr<Caller> caller_;
  std::unique_ptr<Cursors> cursors_;
  std::unique_ptr<Follower> follower_;
  std::unique_ptr<Producer> producer_;
};

}  // namespace maily::kafka
