// Partitions as deques of records; what is written and not yet durable waits in the order of writing.
#include "streams/adapters/sim/sim_log.h"

#include <algorithm>
#include <deque>
#include <list>

namespace maily::sim {
namespace {

constexpr size_t kRecordBytesMax = 1'000'000;
constexpr Duration kSoonMax = Milliseconds(5);

struct Stored {
  Instant time;
  std::string bytes;
};

// A registered signal; shared with the jobs that will call it.
struct Registered {
  ReadTo to;
  std::function<void()> signal;
  bool alive = true;
};

struct Partition {
  TopicPartition at;
  uint64_t begin = 0;
  uint64_t durable = 0;
  Instant last_time;
  std::deque<Stored> records;  // the first has offset `begin`
  std::list<std::shared_ptr<Registered>> watches;
  uint64_t written() const { return begin + records.size(); }
};

class Watch : public TailWatch {
 public:
  explicit Watch(std::shared_ptr<Registered> registered) : registered_(std::move(registered)) {}
  ~Watch() override {
    registered_->alive = false;
    registered_->signal = nullptr;
  }

 private:
  std::shared_ptr<Registered> registered_;
};

// A written record that is not yet durable, and who waits for it.
struct Unsynced {
  uint64_t number;  // in the order of writing
  Partition* partition;
  uint64_t offset;
  AppendDone done;  // may be empty
  bool tell_offset;
};

struct Held {
  Partition* partition;
  std::string record;
  Sync sync;
  AppendDone done;
};

}  // namespace

struct SimLog::Impl {
  Impl(Scheduler& scheduler_in, Options options_in)
      : scheduler(scheduler_in), options(std::move(options_in)), executor(scheduler.MakeExecutor()) {
    for (const Topic topic : kTopics) {
      for (uint16_t i = 0; i < options.settings.partition_count; ++i) {
        partitions.push_back(std::make_unique<Partition>());
        partitions.back()->at = {topic, PartitionId(i)};
      }
    }
    unsynced.resize(options.ordered ? 1 : partitions.size());
  }

  Partition& At(TopicPartition at) {
    MAILY_CHECK(at.partition.value() < options.settings.partition_count, "there is no partition {}", at.partition.value());
    return *partitions[static_cast<size_t>(at.topic) * options.settings.partition_count + at.partition.value()];
  }
  // What is lost together in a crash.
  std::deque<Unsynced>& OrderOf(const Partition& partition) {
    if (options.ordered) return unsynced[0];
    return unsynced[static_cast<size_t>(partition.at.topic) * options.settings.partition_count + partition.at.partition.value()];
  }

  void Answer(AppendDone done, Result<Appended> result) {
    if (!done) return;
    executor->Post([done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
  }

  void Signal(Partition& partition, ReadTo to) {
    std::erase_if(partition.watches, [](const auto& watch) { return !watch->alive; });
    for (const auto& watch : partition.watches) {
      if (watch->to == to) Call(watch);
    }
  }
  void Call(const std::shared_ptr<Registered>& watch) {
    executor->Post([watch] {
      if (watch->alive) watch->signal();
    });
  }

  Fate Draw(TopicPartition at, std::string_view record) {
    if (options.fate) return options.fate(at, record);
    const std::pair<double, Fate> chances[] = {{options.duplicate, Fate::kDuplicate},
                                               {options.drop, Fate::kDrop},
                                               {options.store_and_fail, Fate::kStoreAndFail},
                                               {options.delay, Fate::kDelay},
                                               {options.delay_and_fail, Fate::kDelayAndFail},
                                               {options.no_offset, Fate::kNoOffset},
                                               {options.truncate, Fate::kTruncate}};
    for (const auto& [chance, fate] : chances) {
      if (scheduler.Chance(chance)) return fate;
    }
    return Fate::kStore;
  }

  // Writes the record, and lets it, with all before it, become durable after a while. Returns its offset.
  uint64_t Store(Partition& partition, std::string record, Sync sync, AppendDone done, bool tell_offset = true) {
    partition.last_time = std::max(partition.last_time, scheduler.clock().Now() + stamp_skew);
    const uint64_t offset = partition.written();
    partition.records.push_back({partition.last_time, std::move(record)});
    const uint64_t number = ++last_number;
    OrderOf(partition).push_back({number, &partition, offset, std::move(done), tell_offset});
    Signal(partition, ReadTo::kWritten);
    const Duration wait = sync == Sync::kNow ? Duration{} : scheduler.RandomDuration({}, kSoonMax);
    executor->After(wait + scheduler.RandomDuration(options.sync_min, options.sync_max),
                    [this, &partition, number] { Synced(OrderOf(partition), number); });
    return offset;
  }

  void Synced(std::deque<Unsynced>& order, uint64_t number) {
    while (!order.empty() && order.front().number <= number) {
      Unsynced each = std::move(order.front());
      order.pop_front();
      each.partition->durable = std::max(each.partition->durable, each.offset + 1);
      Signal(*each.partition, ReadTo::kDurable);
      Answer(std::move(each.done), Appended{each.tell_offset ? std::optional(Offset(each.offset)) : std::nullopt});
    }
  }

  void StoreLater(Partition& partition, std::string record, Sync sync, AppendDone done) {
    executor->After(scheduler.RandomDuration(Milliseconds(1), options.delay_max),
                    [this, &partition, record = std::move(record), sync, done = std::move(done)]() mutable {
                      Store(partition, std::move(record), sync, std::move(done));
                    });
  }

  void Erase(Partition& partition, uint64_t from) {
    if (from >= partition.written() || from < partition.begin) return;
    partition.records.resize(from - partition.begin);
    partition.durable = std::min(partition.durable, from);
  }
  void Truncate(Partition& partition, uint64_t from) {
    Erase(partition, from);
    std::erase_if(OrderOf(partition), [&](Unsynced& each) {
      if (each.partition != &partition || each.offset < from) return false;
      Answer(std::move(each.done), Fail(Code::kRetry, "the log was truncated"));
      return true;
    });
  }

  Scheduler& scheduler;
  Options options;
  std::unique_ptr<Executor> executor;
  std::vector<std::unique_ptr<Partition>> partitions;
  std::vector<std::deque<Unsynced>> unsynced;
  std::vector<Held> held;
  uint64_t last_number = 0;
  Duration stamp_skew;
  bool fatal = false;
  bool full = false;
};

SimLog::SimLog(Scheduler& scheduler, Options options) : impl_(std::make_unique<Impl>(scheduler, std::move(options))) {}
SimLog::~SimLog() = default;

SimLog::Options& SimLog::options() { return impl_->options; }
const LogSettings& SimLog::settings() const { return impl_->options.settings; }
bool SimLog::ordered_across_partitions() const { return impl_->options.ordered; }
std::string SimLog::durability_class() const { return "in memory: nothing survives the end of this process"; }

void SimLog::Append(TopicPartition at, std::string record, Sync sync, AppendDone done) {
  Impl& log = *impl_;
  if (at.partition.value() >= settings().partition_count) {
    return log.Answer(std::move(done), Fail(Code::kInvalid, "there is no partition {} in {}", at.partition.value(), TopicName(at.topic)));
  }
  if (record.size() > kRecordBytesMax) {
    return log.Answer(std::move(done), Fail(Code::kInvalid, "a record of {} bytes: at most {} are taken", record.size(), kRecordBytesMax));
  }
  if (log.fatal) return log.Answer(std::move(done), Fail(Code::kFatal, "a sync of the log has failed"));
  if (log.full) return log.Answer(std::move(done), Fail(Code::kRetry, "no space left for the log"));
  Partition& partition = log.At(at);
  const auto timed_out = [&] {
    return Fail(Code::kRetry, "the append to {} partition {} timed out", TopicName(at.topic), at.partition.value());
  };
  switch (log.Draw(at, record)) {
    case Fate::kStore:
      log.Store(partition, std::move(record), sync, std::move(done));
      return;
    case Fate::kDuplicate:
      log.Store(partition, record, sync, nullptr);
      log.Store(partition, std::move(record), sync, std::move(done));
      return;
    case Fate::kDrop:
      log.Answer(std::move(done), timed_out());
      return;
    case Fate::kStoreAndFail:
      log.Store(partition, std::move(record), sync, nullptr);
      log.Answer(std::move(done), timed_out());
      return;
    case Fate::kDelay:
      log.StoreLater(partition, std::move(record), sync, std::move(done));
      return;
    case Fate::kDelayAndFail:
      log.StoreLater(partition, std::move(record), sync, nullptr);
      log.Answer(std::move(done), timed_out());
      return;
    case Fate::kNoOffset:
      log.Store(partition, std::move(record), sync, std::move(done), /*tell_offset=*/false);
      return;
    case Fate::kTruncate: {
      const uint64_t offset = partition.written();
      log.Store(partition, std::move(record), sync, [&log, &partition, offset, done = std::move(done)](Result<Appended> result) mutable {
        log.executor->After(log.scheduler.RandomDuration({}, log.options.delay_max),
                            [&log, &partition, offset] { log.Truncate(partition, offset); });
        done(std::move(result));
      });
      return;
    }
    case Fate::kHold:
      log.held.push_back({&partition, std::move(record), sync, std::move(done)});
      return;
  }
}

size_t SimLog::held() const { return impl_->held.size(); }

void SimLog::Release(size_t i, Answer answer) {
  MAILY_CHECK(i < impl_->held.size(), "{} appends are held", impl_->held.size());
  Held held = std::move(impl_->held[i]);
  impl_->held.erase(impl_->held.begin() + static_cast<ptrdiff_t>(i));
  impl_->Store(*held.partition, std::move(held.record), held.sync, answer == Answer::kAcknowledge ? std::move(held.done) : AppendDone());
}

void SimLog::Crash(Death death) {
  Impl& log = *impl_;
  for (std::deque<Unsynced>& order : log.unsynced) {
    const size_t kept = death == Death::kProcess ? order.size() : log.scheduler.Random(order.size() + 1);
    for (size_t i = order.size(); i-- > kept;) log.Erase(*order[i].partition, order[i].offset);
  }
  // Taken out first: what the callbacks own may reach for the log while it dies.
  const auto executor = std::exchange(log.executor, log.scheduler.MakeExecutor());
  const auto unsynced = std::exchange(log.unsynced, std::vector<std::deque<Unsynced>>(log.unsynced.size()));
  const auto held = std::exchange(log.held, {});
  for (const auto& partition : log.partitions) partition->durable = partition->written();
  log.fatal = false;
}

void SimLog::FailFatally() {
  impl_->fatal = true;
  for (std::deque<Unsynced>& order : impl_->unsynced) {
    for (Unsynced& each : std::exchange(order, {})) impl_->Answer(std::move(each.done), Fail(Code::kFatal, "a sync of the log has failed"));
  }
}

void SimLog::SetFull(bool full) { impl_->full = full; }
void SimLog::SetStampSkew(Duration skew) { impl_->stamp_skew = skew; }

void SimLog::Recreate() {
  ++impl_->options.settings.generation;
  for (const auto& partition : impl_->partitions) {
    impl_->Truncate(*partition, partition->begin);
    partition->begin = partition->durable = 0;
  }
}

std::string& SimLog::StoredBytes(TopicPartition at, Offset offset) {
  Partition& partition = impl_->At(at);
  MAILY_CHECK(offset.value() >= partition.begin && offset.value() < partition.written(), "no record at offset {}", offset.value());
  return partition.records[offset.value() - partition.begin].bytes;
}

Result<std::vector<LogRecord>> SimLog::Read(TopicPartition at, Offset from, size_t bytes_max, ReadTo to) {
  if (at.partition.value() >= settings().partition_count) return Fail(Code::kInvalid, "there is no partition {}", at.partition.value());
  const Partition& partition = impl_->At(at);
  if (from.value() < partition.begin) return Fail(Code::kNotFound, "offset {} is trimmed; the first is {}", from.value(), partition.begin);
  if (from.value() > partition.written()) return Fail(Code::kInvalid, "offset {} is beyond the end, {}", from.value(), partition.written());
  const uint64_t end = to == ReadTo::kDurable ? partition.durable : partition.written();
  std::vector<LogRecord> records;
  size_t bytes = 0;
  for (uint64_t offset = from.value(); offset < end; ++offset) {
    const Stored& stored = partition.records[offset - partition.begin];
    if (!records.empty() && bytes + stored.bytes.size() > bytes_max) break;
    records.push_back({Offset(offset), stored.time, stored.bytes});
    bytes += stored.bytes.size();
  }
  return records;
}

LogEnds SimLog::Ends(TopicPartition at) {
  const Partition& partition = impl_->At(at);
  return {Offset(partition.begin), Offset(partition.durable), Offset(partition.written())};
}

std::unique_ptr<TailWatch> SimLog::WatchTail(TopicPartition at, ReadTo to, std::function<void()> signal) {
  Partition& partition = impl_->At(at);
  auto registered = std::make_shared<Registered>(Registered{to, std::move(signal)});
  partition.watches.push_back(registered);
  if ((to == ReadTo::kDurable ? partition.durable : partition.written()) > partition.begin) impl_->Call(registered);
  return std::make_unique<Watch>(std::move(registered));
}

Result<void> SimLog::Trim(TopicPartition at, Offset before) {
  Partition& partition = impl_->At(at);
  if (before.value() > partition.durable)
    return Fail(Code::kInvalid, "trimming before {}: the durable end is {}", before.value(), partition.durable);
  for (; partition.begin < before.value(); ++partition.begin) partition.records.pop_front();
  return {};
}

}  // namespace maily::sim
