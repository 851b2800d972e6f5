// The road from an inbox to commands: takes records, has each decided, keeps those that are refused as dead letters, and only then
// settles them.
//
// Records with the same key are decided one after another, in their order; others at once. A record that cannot be decided now is tried
// again until it can; one that fails here time and again becomes a dead letter like one that is wrong: no record stops the rest.
//
// Each at most once as a dead letter: after a start, a change of partitions or an append that failed, the newest dead letters are read
// before others are written. A record whose dead letter is there is not written again. What can still come twice (an append that was given
// up and arrives later) has the same maily-id.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "api/inbox.h"
#include "streams/observe/metrics.h"
#include "streams/port/env.h"
#include "streams/port/feed.h"
#include "streams/port/outlet.h"

namespace maily::app {

struct InboxRoadParts {
  Feed& feed;
  Outlet& dead;  // its topic 0; a record goes to the partition of its own number, modulo
  // The verdict on a record, once, on any thread, perhaps before it returns.
  std::function<void(const FeedRecord& record, std::move_only_function<void(api::InboxVerdict)> done)> decide;
  Clock& clock;
  std::string build;
};

// A thread of its own from Start to Stop.
class InboxRoad {
 public:
  static constexpr size_t kBatchRecords = 500;
  static constexpr size_t kBatchBytes = 8 << 20;
  static constexpr size_t kBrokenMax = 5;  // tries of a record that fails here

  explicit InboxRoad(InboxRoadParts parts);
  ~InboxRoad();

  void Start();
  // What is under way is decided and settled within `patience`, or is left for the next one to take. What decides must still be there.
  void Stop(Duration patience);

  // One batch, if there is one within `wait`: how many records were settled. For tests, instead of Start.
  size_t Once(Duration wait);

 private:
  struct Batch;
  struct Answers;

  void Run();
  bool Decide(Batch& batch);
  bool Bury(Batch& batch);
  Result<void> BuryOne(Batch& batch, uint16_t partition, const std::vector<size_t>& letters);
  bool over() const;

  const InboxRoadParts parts_;
  const std::shared_ptr<Answers> answers_;
  std::vector<bool> looked_;  // partitions of dead letters whose newest are known not to be ours
  uint64_t assignment_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<int64_t> give_up_us_ = INT64_MAX;  // steady time
  std::thread thread_;
  const observe::Counter accepted_, duplicates_, retries_, dead_;
};

// Every name that the road counts under is there.
void RegisterInboxMetrics();

}  // namespace maily::app
