// See sim_inlet.h.
#include "streams/adapters/sim/sim_inlet.h"

#include <utility>

namespace maily::sim {

class SimInlet::Reader final : public InletReader {
 public:
  Reader(SimInlet& inlet, PartitionId partition, uint64_t next, std::function<void()> signal)
      : inlet_(inlet), partition_(partition), next_(next), signal_(std::make_shared<std::function<void()>>(std::move(signal))) {
    MAILY_CHECK(mine().reader == nullptr, "a second reader of {} partition {}", inlet.topic(), partition.value());
    mine().reader = this;
  }
  ~Reader() override { mine().reader = nullptr; }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  Result<std::span<const PlainRecord>> Next() override {
    batch_.clear();
    copies_.clear();
    if (next_ < mine().begin) return Fail(Code::kNotFound, "{}: offset {} is trimmed away", inlet_.topic(), next_);
    if (next_ > mine().end) return Fail(Code::kDiverged, "{}: offset {} is beyond the end", inlet_.topic(), next_);
    const size_t most = 1 + inlet_.scheduler_.Random(8);
    copies_.reserve(most);
    for (auto at = mine().records.lower_bound(next_); at != mine().records.end() && batch_.size() < most; ++at) {
      const Stored& copy = copies_.emplace_back(at->second);
      batch_.push_back({.offset = Offset(at->first), .time = copy.time, .key = copy.key, .value = copy.value});
      next_ = at->first + 1;
    }
    idle_ = batch_.empty();
    return std::span<const PlainRecord>(batch_);
  }

  void Signal() {
    if (!std::exchange(idle_, false)) return;
    inlet_.executor_->Post([weak = std::weak_ptr(signal_)] {
      if (const auto signal = weak.lock()) (*signal)();
    });
  }

 private:
  Partition& mine() const { return inlet_.partitions_[partition_.value()]; }

  SimInlet& inlet_;
  const PartitionId partition_;
  uint64_t next_;
  const std::shared_ptr<std::function<void()>> signal_;
  bool idle_ = true;
  std::vector<PlainRecord> batch_;
  std::vector<Stored> copies_;  // what batch_ points into: a trim must not show
};

SimInlet::SimInlet(Scheduler& scheduler, std::string topic, uint16_t partition_count)
    : scheduler_(scheduler), topic_(std::move(topic)), partitions_(partition_count), executor_(scheduler.MakeExecutor()) {}

void SimInlet::Append(PartitionId partition, std::string key, std::string value) {
  Partition& mine = partitions_.at(partition.value());
  mine.records[mine.end++] = {.time = scheduler_.clock().Now(), .key = std::move(key), .value = std::move(value)};
  if (mine.reader != nullptr) mine.reader->Signal();
}

void SimInlet::Trim(PartitionId partition, Offset before) {
  Partition& mine = partitions_.at(partition.value());
  mine.records.erase(mine.records.begin(), mine.records.lower_bound(before.value()));
  mine.begin = std::max(mine.begin, before.value());
}

void SimInlet::Recreate() {
  for (Partition& partition : partitions_) {
    partition.records.clear();
    partition.begin = partition.end = 0;
  }
}

Result<std::unique_ptr<InletReader>> SimInlet::Open(PartitionId partition, std::optional<Offset> from, std::function<void()> signal) {
  const Partition& mine = partitions_.at(partition.value());
  return std::unique_ptr<InletReader>(std::make_unique<Reader>(*this, partition, from ? from->value() : mine.begin, std::move(signal)));
}

}  // namespace maily::sim
