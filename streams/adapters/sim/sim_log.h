// The memory log: deterministic, and as unkind as the port allows, by chance or by script.
//
// It is the disk or broker: it outlives the simulated processes. Appends are written at once and become durable after a random sync time;
// what happens to each is its Fate. All callbacks come on an executor of its own.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "streams/adapters/sim/sim_env.h"
#include "streams/port/log.h"

namespace maily::sim {

// What happens to one append.
enum class Fate {
  kStore,         // stored, and acknowledged when durable
  kDuplicate,     // stored twice, acknowledged once, with the second offset
  kDrop,          // not stored; kRetry
  kStoreAndFail,  // stored; kRetry
  kDelay,         // stored later, past younger appends, and acknowledged then
  kDelayAndFail,  // kRetry; stored later, past younger appends
  kNoOffset,      // stored, acknowledged without its offset
  kTruncate,      // acknowledged, and then taken back with all that follows it: breaks guarantee 2 of the port
  kHold,          // neither stored nor answered until Release
};

class SimLog : public Log {
 public:
  struct Options {
    LogSettings settings;
    // One order over all partitions, as `rocks`; else an order a partition, as a broker.
    bool ordered = true;
    Duration sync_min = Microseconds(50);
    Duration sync_max = Milliseconds(5);
    Duration delay_max = Seconds(3);  // kDelay, kDelayAndFail, kTruncate
    // Chances of an append; the rest is kStore.
    double duplicate = 0;
    double drop = 0;
    double store_and_fail = 0;
    double delay = 0;
    double delay_and_fail = 0;
    double no_offset = 0;
    double truncate = 0;
    // Instead of chance, if set.
    std::function<Fate(TopicPartition at, std::string_view record)> fate;
  };
  SimLog(Scheduler& scheduler, Options options);
  ~SimLog() override;

  Options& options();

  // The machine loses power and comes back: a random suffix of what is not durable is lost, the rest is durable; no callback in flight is
  // ever called, nothing delayed or held is ever stored. A fatal failure is over. kProcess: only the process dies, so what was written
  // stays.
  enum class Death { kPower, kProcess };
  void Crash(Death death = Death::kPower);
  // Syncs fail from now on: everything not acknowledged, and all that comes, ends in kFatal.
  void FailFatally();
  // A full disk: appends end in kRetry until it is not.
  void SetFull(bool full);
  // Added to the time of records from now on (which still never decreases).
  void SetStampSkew(Duration skew);
  // The topics are made anew: empty, generation + 1.
  void Recreate();
  // Appends of fate kHold, in order; Release stores the i-th, and acknowledges it or never answers.
  enum class Answer { kAcknowledge, kNever };
  size_t held() const;
  void Release(size_t i, Answer answer);
  // Stored bytes, to be corrupted. CHECK: they exist.
  std::string& StoredBytes(TopicPartition at, Offset offset);

  const LogSettings& settings() const override;
  void Append(TopicPartition at, std::string record, Sync sync, AppendDone done) override;
  Result<std::vector<LogRecord>> Read(TopicPartition at, Offset from, size_t bytes_max, ReadTo to) override;
  LogEnds Ends(TopicPartition at) override;
  std::unique_ptr<TailWatch> WatchTail(TopicPartition at, ReadTo to, std::function<void()> signal) override;
  Result<void> Trim(TopicPartition at, Offset before) override;
  bool ordered_across_partitions() const override;
  std::string durability_class() const override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace maily::sim
