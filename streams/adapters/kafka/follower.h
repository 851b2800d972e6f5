// Follows the ends of all partitions: one consumer, whose records go into Partition::recent. Internal to the adapter.
//
// It also looks at a partition's watermarks in turn, so that a trim by another process, or records that are gone, are noticed.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#include "streams/adapters/kafka/cursors.h"

namespace maily::kafka {

class Follower {
 public:
  // Everything given outlives it. `cursors` are told to end what is idle.
  static Result<std::unique_ptr<Follower>> Start(const Options& options, Admin& admin, Cursors& cursors,
                                                 std::vector<Partition*> partitions);
  ~Follower();

 private:
  using Time = std::chrono::steady_clock::time_point;
  Follower(Admin& admin, Cursors& cursors, std::vector<Partition*> partitions)
      : admin_(admin), cursors_(cursors), partitions_(std::move(partitions)) {}
  Result<void> Open(const Options& options);
  Partition* Of(const rd_kafka_message_t& message) const;
  void Run();
  void Arrived(const rd_kafka_message_t& message, std::vector<Partition*>& moved);
  void AtEnd(Partition& partition, int64_t offset);
  void Failed(Partition& partition, const rd_kafka_message_t& message);
  // Looks at the ends, and goes on from where this partition was read to.
  void Again(size_t index);
  void Look(Partition& partition);

  Admin& admin_;
  Cursors& cursors_;
  const std::vector<Partition*> partitions_;  // topic * partition count + partition
  ClientPtr client_;
  TopicPtr topics_[2];
  QueuePtr queue_;
  std::vector<std::optional<Time>> again_;  // follower thread: when a partition that failed is tried again
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace maily::kafka
