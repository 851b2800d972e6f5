// See tail.h.
#include "streams/journal/tail.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "streams/base/compress.h"

namespace maily::journal {
namespace {

constexpr size_t kReadBytes = 1 << 20;   // of one read of the log
constexpr size_t kDecisionBytesMin = 8;  // flags, outcome, tenant, cause, event count: bounds `count` before memory is taken for it

// A place for the frame that follows one position; locked while a reader unpacks it, so that others wait for it and do not repeat it.
struct Slot {
  std::mutex mutex;
  FramePtr frame;
};

struct Waiter {
  const void* reader;
  Executor* executor;
  Job ready;
};

// Positions are told apart by the offset hint; nothing stands before offset 0, hence the key of genesis.
uint64_t KeyOf(const Position& position) { return position.at_genesis ? UINT64_MAX : position.offset_hint.value(); }

size_t MemoryOf(const AcceptedFrame& frame) {
  return sizeof(AcceptedFrame) + frame.body.capacity() + frame.decisions.capacity() * sizeof(Decision) +
         frame.events.capacity() * sizeof(Event);
}

Error Lost(PartitionId partition, Offset offset, const Error& why) {
  return Fail(Code::kDiverged, "journal {}: cannot read on at offset {}: {}", partition.value(), offset.value(), why.message);
}

}  // namespace

Result<FramePtr> Unpack(const Position& before, const Step& step, Offset offset) {
  const FrameHeader& header = step.record.frame;
  const auto corrupt = [&](std::string_view what) {
    return Fail(Code::kCorrupt, "journal {}, offset {}: the body of a frame cannot be decoded: {}", before.partition.value(),
                offset.value(), what);
  };
  auto frame = std::make_shared<AcceptedFrame>();
  auto body = Decompress(step.record.body, kFrameRawBytesMax);
  if (!body) return corrupt(body.error().message);
  frame->body = std::move(*body);
  if (header.count > frame->body.size() / kDecisionBytesMin) return corrupt("too many decisions for its size");
  frame->before = before;
  frame->after = step.after;
  frame->offset = offset;
  frame->time = header.time;
  frame->first_lsn = header.first_lsn;
  frame->decisions.reserve(header.count);
  frame->events.reserve(header.count);
  thread_local std::vector<std::pair<size_t, size_t>> spans;  // first and count of each decision's events
  spans.clear();
  Cursor cursor(frame->body);
  for (uint32_t i = 0; i < header.count; ++i) {
    auto decoded = DecodeDecision(cursor, frame->events);
    if (!decoded) return corrupt(decoded.error().message);
    frame->decisions.push_back(decoded->decision);
    spans.emplace_back(decoded->first, decoded->count);
  }
  if (!cursor.AtEnd()) return corrupt("bytes after its last decision");
  for (size_t i = 0; i < spans.size(); ++i) {
    frame->decisions[i].events = std::span<const Event>(frame->events).subspan(spans[i].first, spans[i].second);
  }
  return FramePtr(std::move(frame));
}

// Locks: a slot's, then `mutex`. `waiters_mutex` is never held together with another.
struct Tail::Impl {
  Impl(Log& log_in, PartitionId partition, size_t bytes_max)
      : log(log_in), at{Topic::kJournal, partition}, rules(ReaderRules::Of(log_in.settings(), partition)), cache_bytes_max(bytes_max) {}
  ~Impl() { watch.reset(); }

  std::shared_ptr<Slot> SlotOf(uint64_t key) {
    const std::lock_guard lock(mutex);
    auto& slot = slots[key];
    if (!slot) slot = std::make_shared<Slot>();
    return slot;
  }
  // Call with the slot locked.
  void Forget(uint64_t key, const std::shared_ptr<Slot>& slot) {
    if (slot->frame) return;
    const std::lock_guard lock(mutex);
    if (const auto found = slots.find(key); found != slots.end() && found->second == slot) slots.erase(found);
  }
  // Call with the slot locked and its frame set: counts it, and lets the oldest go beyond the limit.
  void Remember(uint64_t key, const std::shared_ptr<Slot>& slot) {
    const std::lock_guard lock(mutex);
    slots[key] = slot;
    order.emplace_back(key, MemoryOf(*slot->frame));
    cached_bytes += order.back().second;
    while (cached_bytes > cache_bytes_max && !order.empty()) {
      cached_bytes -= order.front().second;
      slots.erase(order.front().first);
      order.pop_front();
    }
  }

  void Watch() {
    std::call_once(watch_once, [this] { watch = log.WatchTail(at, ReadTo::kDurable, [this] { WakeAll(); }); });
  }
  void WakeAll() {
    std::vector<Waiter> ready;
    {
      const std::lock_guard lock(waiters_mutex);
      ready.swap(waiters);
    }
    for (Waiter& waiter : ready) waiter.executor->Post(std::move(waiter.ready));
  }
  void Wait(const void* reader, Executor& executor, Job ready) {
    const std::lock_guard lock(waiters_mutex);
    std::erase_if(waiters, [reader](const Waiter& waiter) { return waiter.reader == reader; });
    waiters.push_back({reader, &executor, std::move(ready)});
  }
  std::optional<Waiter> TakeWaiter(const void* reader) {
    const std::lock_guard lock(waiters_mutex);
    const auto found = std::ranges::find(waiters, reader, &Waiter::reader);
    if (found == waiters.end()) return std::nullopt;
    auto waiter = std::move(*found);
    waiters.erase(found);
    return waiter;
  }

  Log& log;
  const TopicPartition at;
  const ReaderRules rules;
  const size_t cache_bytes_max;
  std::array<std::atomic<uint64_t>, kSkipWhyCount> skipped{};

  std::mutex mutex;
  std::unordered_map<uint64_t, std::shared_ptr<Slot>> slots;  // by KeyOf(position before the frame)
  std::deque<std::pair<uint64_t, size_t>> order;              // cached frames, oldest first, with their bytes
  size_t cached_bytes = 0;

  std::mutex waiters_mutex;
  std::vector<Waiter> waiters;  // in the order in which they wait: a simulation runs them so
  std::once_flag watch_once;
  std::unique_ptr<TailWatch> watch;
};

namespace {

// Impl is private to Tail; the reader gets it as a template argument.
template <class Impl>
class Reader final : public TailReader {
 public:
  Reader(std::shared_ptr<Impl> impl, const Position& from)
      : impl_(std::move(impl)), position_(from), next_(from.at_genesis ? Offset(0) : from.offset_hint.Next()) {}
  ~Reader() override { impl_->TakeWaiter(this); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  const Position& position() const override { return position_; }

  Result<FramePtr> Next() override {
    while (true) {
      if (stopped_) return *stopped_;
      const uint64_t key = KeyOf(position_);
      const auto slot = impl_->SlotOf(key);
      const std::lock_guard lock(slot->mutex);
      if (slot->frame && slot->frame->before == position_) {
        position_ = slot->frame->after;
        next_ = std::max(next_, position_.offset_hint.Next());
        return slot->frame;
      }
      auto advanced = ReadOn();
      if (!advanced) {
        impl_->Forget(key, slot);
        return advanced.error();
      }
      if (*advanced == Advance::kFrame) {
        auto frame = std::exchange(unpacked_, nullptr);
        if (!slot->frame) {
          slot->frame = frame;
          impl_->Remember(key, slot);
        }
        return frame;
      }
      impl_->Forget(key, slot);
      if (*advanced == Advance::kEnd) return FramePtr();
    }
  }

  void WhenReady(Executor& executor, Job ready) override {
    impl_->Watch();
    impl_->Wait(this, executor, std::move(ready));
    const bool more = HasBuffered() || impl_->log.Ends(impl_->at).durable > next_;
    if (!more && !stopped_) return;
    if (auto waiter = impl_->TakeWaiter(this)) waiter->executor->Post(std::move(waiter->ready));
  }

 private:
  enum class Advance { kFrame, kClaim, kEnd };

  bool HasBuffered() const { return taken_ < records_.size() && records_.back().offset >= next_; }

  // The next record, or null at the durable end.
  Result<const LogRecord*> Peek() {
    while (taken_ < records_.size() && records_[taken_].offset < next_) ++taken_;
    if (taken_ == records_.size()) {
      records_.clear();
      taken_ = 0;
      auto read = impl_->log.Read(impl_->at, next_, kReadBytes, ReadTo::kDurable);
      if (!read) {
        const Error& why = read.error();
        if (why.code == Code::kRetry) return why;
        return Stop(why.code == Code::kNotFound || why.code == Code::kInvalid ? Lost(impl_->at.partition, next_, why) : why);
      }
      records_ = std::move(*read);
    }
    return records_.empty() ? nullptr : &records_[taken_];
  }

  // Reads until a record moves the position, or to the end.
  Result<Advance> ReadOn() {
    while (true) {
      MAILY_TRY(const LogRecord* const record, Peek());
      if (record == nullptr) return Advance::kEnd;
      const Step step = Judge(impl_->rules, position_, record->offset, record->bytes);
      if (step.verdict == Verdict::kStop) return Stop(*step.stop);
      if (step.verdict == Verdict::kSkip) {
        impl_->skipped[static_cast<size_t>(step.skip)].fetch_add(1, std::memory_order_relaxed);
        next_ = record->offset.Next();
        continue;
      }
      const bool is_frame = step.record.kind == RecordKind::kFrame;
      if (is_frame) {
        auto unpacked = Unpack(position_, step, record->offset);
        if (!unpacked) return Stop(unpacked.error());
        unpacked_ = std::move(*unpacked);
      }
      next_ = record->offset.Next();
      position_ = step.after;
      return is_frame ? Advance::kFrame : Advance::kClaim;
    }
  }

  Error Stop(Error why) {
    stopped_ = why;
    return why;
  }

  const std::shared_ptr<Impl> impl_;
  Position position_;
  Offset next_;  // everything before was judged
  std::vector<LogRecord> records_;
  size_t taken_ = 0;
  FramePtr unpacked_;
  std::optional<Error> stopped_;
};

}  // namespace

Tail::Tail(Log& log, PartitionId partition, size_t cache_bytes_max) : impl_(std::make_shared<Impl>(log, partition, cache_bytes_max)) {}
Tail::~Tail() = default;

uint64_t Tail::skipped(SkipWhy why) const { return impl_->skipped[static_cast<size_t>(why)].load(std::memory_order_relaxed); }

Result<std::unique_ptr<TailReader>> Tail::Open(const Position& from) {
  // Rule 7.
  if (!from.at_genesis) {
    auto read = impl_->log.Read(impl_->at, from.offset_hint, 1, ReadTo::kDurable);
    if (!read) {
      const Error& why = read.error();
      return why.code == Code::kNotFound || why.code == Code::kInvalid ? Lost(impl_->at.partition, from.offset_hint, why) : why;
    }
    if (read->empty() || read->front().offset != from.offset_hint) {
      return Fail(Code::kDiverged,
                  "journal {}: a stored position stands at offset {}, where the log has no record; rebuild or restore a snapshot",
                  impl_->at.partition.value(), from.offset_hint.value());
    }
    MAILY_TRY_VOID(CheckHint(impl_->rules, from, read->front().bytes));
  }
  return std::unique_ptr<TailReader>(std::make_unique<Reader<Impl>>(impl_, from));
}

namespace {

// The first record of the journal, if any.
Result<bool> HasGenesis(Log& log, TopicPartition at) {
  const ReaderRules rules = ReaderRules::Of(log.settings(), at.partition);
  Offset from = log.Ends(at).begin;
  while (true) {
    MAILY_TRY(const std::vector<LogRecord> records, log.Read(at, from, kReadBytes, ReadTo::kDurable));
    if (records.empty()) return false;
    for (const LogRecord& record : records) {
      const Step step = Judge(rules, Position{}, record.offset, record.bytes);
      if (step.verdict == Verdict::kAccept) return true;
      if (step.verdict == Verdict::kStop) return Fail(Code::kConflict, "{}", step.stop->message);
      from = record.offset.Next();
    }
  }
}

}  // namespace

Result<void> WriteGenesis(Log& log, PartitionId partition) {
  const TopicPartition at{Topic::kJournal, partition};
  MAILY_TRY(const bool present, HasGenesis(log, at));
  if (present) return Ok();
  // Nothing is appended before the genesis, and no journal is ever trimmed.
  const bool begun = log.Ends(at).begin.value() > 0 || log.Ends({Topic::kCommands, partition}).durable.value() > 0;
  if (begun) {
    return Fail(
        Code::kDiverged,
        "journal {} lacks its first record, and there are commands or later records: retention or a person has deleted it, or made its "
        "topic anew; bring it back from a backup",
        partition.value());
  }
  struct Report {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Result<Appended>> result;
  };
  const auto outcome = std::make_shared<Report>();
  log.Append(at, BuildGenesis(log.settings().log_id, partition, {log.settings().partition_count}), Sync::kNow,
             [outcome](Result<Appended> result) {
               const std::lock_guard lock(outcome->mutex);
               outcome->result.emplace(std::move(result));
               outcome->changed.notify_all();
             });
  std::unique_lock lock(outcome->mutex);
  outcome->changed.wait(lock, [&] { return outcome->result.has_value(); });
  if (!*outcome->result) return outcome->result->error();
  return Ok();
}

Tails::Tails(Log& log, size_t cache_bytes_max) {
  for (uint16_t p = 0; p < log.settings().partition_count; ++p) {
    tails_.push_back(std::make_unique<Tail>(log, PartitionId(p), cache_bytes_max));
  }
}

}  // namespace maily::journal
