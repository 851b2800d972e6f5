// The outlet in memory: deterministic, and as unkind as the port allows, by chance or by script.
//
// It is the broker: it outlives the simulated processes. All callbacks come on an executor of its own.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "streams/adapters/sim/sim_env.h"
#include "streams/port/outlet.h"

namespace maily::sim {

// What happens to one batch.
enum class OutletFate {
  kStore,         // stored, and acknowledged
  kDrop,          // nothing of it is stored; kRetry
  kStoreAndFail,  // stored, the acknowledgement is lost; kRetry
  kPartAndFail,   // some of its first records are stored; kRetry
  kFailThenStore  // kRetry; some of its first records, or all, are stored later
};

class SimOutlet : public Outlet {
 public:
  struct Options {
    std::vector<std::string> topics = {"public"};
    uint16_t partitions = 4;
    Duration delay_min = Microseconds(50);  // until a batch is stored, and until it is answered
    Duration delay_max = Milliseconds(5);
    Duration late_max = Seconds(2);  // kFailThenStore
    // Chances of a batch; the rest is kStore.
    double drop = 0;
    double store_and_fail = 0;
    double part_and_fail = 0;
    double fail_then_store = 0;
    double newest_fails = 0;  // kRetry of Newest
    // Instead of chance, if set.
    std::function<OutletFate(size_t topic, const OutletBatch& batch)> fate;
  };
  SimOutlet(Scheduler& scheduler, Options options);
  ~SimOutlet() override;

  Options& options();
  // Another process that writes to the same topics. It may outlive this one, not the scheduler.
  std::unique_ptr<SimOutlet> AnotherWriter();
  // This writing process dies: of what it has under way any first part may be stored, and nothing is answered any more.
  void Crash();
  // Everything that is stored.
  const std::vector<OutletRecord>& records(size_t topic, PartitionId partition) const;
  // As retention does: forgets the first `count`.
  void Expire(size_t topic, PartitionId partition, size_t count);

  size_t topic_count() const override;
  const std::string& topic_name(size_t topic) const override;
  uint16_t partition_count() const override;
  void Append(size_t topic, PartitionId partition, OutletBatch batch, OutletDone done) override;
  Result<std::vector<OutletRecord>> Newest(size_t topic, PartitionId partition, size_t count) override;

 private:
  struct Impl;
  struct Writer;
  explicit SimOutlet(std::shared_ptr<Impl> impl);
  const std::shared_ptr<Impl> impl_;
  std::shared_ptr<Writer> writer_;
};

}  // namespace maily::sim
