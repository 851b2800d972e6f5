// See sim_outlet.h.
#include "streams/adapters/sim/sim_outlet.h"

#include <algorithm>

namespace maily::sim {
namespace {

constexpr size_t kRecordBytesMax = 1'000'000;

struct Partition {
  std::vector<OutletRecord> records;
  uint64_t end = 0;  // offset of the next record
};

// A batch that is not stored yet.
struct Flight {
  uint64_t number;
  Partition* partition;
  OutletBatch batch;
};

bool Has(const std::vector<Partition*>& list, const Partition* one) { return std::ranges::find(list, one) != list.end(); }

// How many records stand before one that is too large.
size_t Fitting(const OutletBatch& batch) {
  size_t count = 0;
  for (const OutletBatch::Record& record : batch.records()) {
    if (record.key.size + record.value.value_or(OutletBatch::Piece{}).size > kRecordBytesMax) break;
    ++count;
  }
  return count;
}

void Store(Partition& partition, const OutletBatch& batch, size_t count) {
  for (const OutletBatch::Record& record : batch.records().first(count)) {
    OutletRecord stored{.offset = partition.end++, .key = std::string(batch.text(record.key)), .value = {}, .headers = {}};
    if (record.value) stored.value = std::string(batch.text(*record.value));
    for (const auto& header : batch.headers(record)) stored.headers.emplace_back(batch.text(header.name), batch.text(header.value));
    partition.records.push_back(std::move(stored));
  }
}

}  // namespace

struct SimOutlet::Impl {
  Impl(Scheduler& scheduler_in, Options options_in)
      : scheduler(scheduler_in), options(std::move(options_in)), executor(scheduler.MakeExecutor()) {
    partitions.resize(options.topics.size() * options.partitions);
  }

  Partition& At(size_t topic, PartitionId partition) {
    MAILY_CHECK(topic < options.topics.size() && partition.value() < options.partitions, "no partition {} of topic {}", partition.value(),
                topic);
    return partitions[topic * options.partitions + partition.value()];
  }

  OutletFate Draw(size_t topic, const OutletBatch& batch) {
    if (options.fate) return options.fate(topic, batch);
    const std::pair<double, OutletFate> chances[] = {{options.drop, OutletFate::kDrop},
                                                     {options.store_and_fail, OutletFate::kStoreAndFail},
                                                     {options.part_and_fail, OutletFate::kPartAndFail},
                                                     {options.fail_then_store, OutletFate::kFailThenStore}};
    for (const auto& [chance, fate] : chances) {
      if (scheduler.Chance(chance)) return fate;
    }
    return OutletFate::kStore;
  }

  Duration Delay() { return scheduler.RandomDuration(options.delay_min, options.delay_max); }

  // Decides what becomes of it, now that it has come to the broker.
  void Arrive(const std::shared_ptr<Writer>& writer, uint64_t number, OutletFate fate, OutletDone done);

  Scheduler& scheduler;
  Options options;
  std::unique_ptr<Executor> executor;
  std::vector<Partition> partitions;  // topic * partition count + partition
  uint64_t last_number = 0;
};

struct SimOutlet::Writer {
  std::vector<Flight> flights;
  std::vector<Partition*> busy;
};

void SimOutlet::Impl::Arrive(const std::shared_ptr<Writer>& writer, uint64_t number, OutletFate fate, OutletDone done) {
  const auto found = std::ranges::find(writer->flights, number, &Flight::number);
  Partition& partition = *found->partition;
  OutletBatch batch = std::move(found->batch);
  writer->flights.erase(found);
  const size_t size = Fitting(batch);
  const bool fits = size == batch.size();
  if (fate == OutletFate::kStore || fate == OutletFate::kStoreAndFail) Store(partition, batch, size);
  if (fate == OutletFate::kPartAndFail) Store(partition, batch, scheduler.Random(size + 1));
  if (fate == OutletFate::kFailThenStore) {
    executor->After(scheduler.RandomDuration(options.delay_min, options.late_max),
                    [&partition, late = batch, part = scheduler.Random(size + 1)] { Store(partition, late, part); });
  }
  executor->After(Delay(),
                  [weak = std::weak_ptr(writer), &partition, fate, fits, batch = std::move(batch), done = std::move(done)]() mutable {
                    const auto alive = weak.lock();
                    if (!alive) return;
                    std::erase(alive->busy, &partition);
                    Result<void> result;
                    if (!fits) result = Fail(Code::kInvalid, "a record is too large");
                    if (fits && fate != OutletFate::kStore) result = Fail(Code::kRetry, "the batch was not acknowledged");
                    done(std::move(result), std::move(batch));
                  });
}

SimOutlet::SimOutlet(Scheduler& scheduler, Options options) : SimOutlet(std::make_shared<Impl>(scheduler, std::move(options))) {}
SimOutlet::SimOutlet(std::shared_ptr<Impl> impl) : impl_(std::move(impl)), writer_(std::make_shared<Writer>()) {}
SimOutlet::~SimOutlet() = default;

SimOutlet::Options& SimOutlet::options() { return impl_->options; }
size_t SimOutlet::topic_count() const { return impl_->options.topics.size(); }
const std::string& SimOutlet::topic_name(size_t topic) const { return impl_->options.topics.at(topic); }
uint16_t SimOutlet::partition_count() const { return impl_->options.partitions; }

const std::vector<OutletRecord>& SimOutlet::records(size_t topic, PartitionId partition) const {
  return impl_->At(topic, partition).records;
}

void SimOutlet::Expire(size_t topic, PartitionId partition, size_t count) {
  auto& records = impl_->At(topic, partition).records;
  records.erase(records.begin(), records.begin() + static_cast<ptrdiff_t>(count));
}

std::unique_ptr<SimOutlet> SimOutlet::AnotherWriter() { return std::unique_ptr<SimOutlet>(new SimOutlet(impl_)); }

void SimOutlet::Crash() {
  for (const Flight& flight : writer_->flights) Store(*flight.partition, flight.batch, impl_->scheduler.Random(flight.batch.size() + 1));
  writer_ = std::make_shared<Writer>();
}

void SimOutlet::Append(size_t topic, PartitionId partition, OutletBatch batch, OutletDone done) {
  Partition& to = impl_->At(topic, partition);
  MAILY_CHECK(!Has(writer_->busy, &to), "a batch for partition {} of topic {} is under way", partition.value(), topic);
  writer_->busy.push_back(&to);
  const OutletFate fate = impl_->Draw(topic, batch);
  const uint64_t number = ++impl_->last_number;
  writer_->flights.push_back({number, &to, std::move(batch)});
  impl_->executor->After(impl_->Delay(),
                         [impl = impl_.get(), weak = std::weak_ptr(writer_), number, fate, done = std::move(done)]() mutable {
                           if (const auto alive = weak.lock()) impl->Arrive(alive, number, fate, std::move(done));
                         });
}

Result<std::vector<OutletRecord>> SimOutlet::Newest(size_t topic, PartitionId partition, size_t count) {
  const auto& records = impl_->At(topic, partition).records;
  if (impl_->scheduler.Chance(impl_->options.newest_fails)) return Fail(Code::kRetry, "the broker does not answer");
  const size_t from = records.size() - std::min(records.size(), count);
  return std::vector<OutletRecord>(records.begin() + static_cast<ptrdiff_t>(from), records.end());
}

}  // namespace maily::sim
