// A plain topic in memory, as an inlet: it outlives the simulated processes that read it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "streams/adapters/sim/sim_env.h"
#include "streams/port/inlet.h"

namespace maily::sim {

class SimInlet : public Inlet {
 public:
  SimInlet(Scheduler& scheduler, std::string topic, uint16_t partition_count);

  // Durable at once; the reader's signal comes on an executor of the topic's own.
  void Append(PartitionId partition, std::string key, std::string value);
  // Deletes the records before `before`.
  void Trim(PartitionId partition, Offset before);
  // Made anew, empty.
  void Recreate();

  const std::string& topic() const override { return topic_; }
  uint16_t partition_count() const override { return static_cast<uint16_t>(partitions_.size()); }
  Result<std::unique_ptr<InletReader>> Open(PartitionId partition, std::optional<Offset> from, std::function<void()> signal) override;

 private:
  class Reader;
  struct Stored {
    Instant time;
    std::string key;
    std::string value;
  };
  struct Partition {
    std::map<uint64_t, Stored> records;  // by offset
    uint64_t begin = 0;
    uint64_t end = 0;
    Reader* reader = nullptr;
  };

  Scheduler& scheduler_;
  const std::string topic_;
  std::vector<Partition> partitions_;
  std::unique_ptr<Executor> executor_;
};

}  // namespace maily::sim
