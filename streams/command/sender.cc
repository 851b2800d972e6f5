// See sender.h.
#include "streams/command/sender.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace maily::command {
namespace {

// A record being gathered, waiting for its turn, or in flight.
struct Batch {
  RecordBuilder builder;
  std::vector<Sent> sent;  // of command i
  size_t bytes = 0;
  Sync sync = Sync::kSoon;
};

void AnswerAll(Batch& batch, const Error& why) {
  for (Sent& sent : batch.sent) sent(why);
}

}  // namespace

struct Sender::Impl : std::enable_shared_from_this<Sender::Impl> {
  struct Lane {
    std::mutex mutex;
    std::deque<Batch> waiting;  // the last one gathers
    Batch flying;
    bool in_flight = false;
  };

  Impl(Log& log_in, size_t bytes_max_in) : log(log_in), bytes_max(bytes_max_in), lanes(log_in.settings().partition_count) {}

  void Send(PartitionId partition, const Command& command, Sync sync, Sent sent, More more) {
    const size_t bytes = EncodedBytesMax(command);
    if (partition.value() >= lanes.size()) return sent(Fail(Code::kInvalid, "there is no partition {}", partition.value()));
    std::optional<Error> refused;
    if (bytes > kCommandBytesMax) {
      refused = Fail(Code::kInvalid, "a command of {} bytes, at most {} are allowed", bytes, kCommandBytesMax);
    } else if (pending_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes > bytes_max) {
      pending_bytes.fetch_sub(bytes, std::memory_order_relaxed);
      refused = Fail(Code::kRetry, "the command queue holds {} bytes: wait, then send again", bytes_max);
    }
    Lane& lane = lanes[partition.value()];
    std::unique_lock lock(lane.mutex);
    if (refused) {
      // Those that it was to follow wait for nothing else.
      if (!lane.in_flight && more == More::kNone && !lane.waiting.empty()) Fly(partition, lane, std::move(lock));
      if (lock.owns_lock()) lock.unlock();
      return sent(*refused);
    }
    if (lane.waiting.empty() || !lane.waiting.back().builder.Add(command)) {
      MAILY_CHECK(lane.waiting.emplace_back().builder.Add(command), "a command of {} bytes does not fit an empty record", bytes);
    }
    Batch& batch = lane.waiting.back();
    batch.sent.push_back(std::move(sent));
    batch.bytes += bytes;
    if (sync == Sync::kNow) batch.sync = Sync::kNow;
    if (!lane.in_flight && more == More::kNone) Fly(partition, lane, std::move(lock));
  }

  // Appends the oldest waiting record. Takes the lock over, and gives it back before the log is called: an adapter may be done at once.
  void Fly(PartitionId partition, Lane& lane, std::unique_lock<std::mutex> lock) {
    lane.flying = std::move(lane.waiting.front());
    lane.waiting.pop_front();
    lane.in_flight = true;
    std::string record = lane.flying.builder.Finish(log.settings().log_id, log.settings().generation, partition);
    const Sync sync = lane.flying.sync;
    lock.unlock();
    log.Append({Topic::kCommands, partition}, std::move(record), sync,
               [impl = shared_from_this(), partition](Result<Appended> report) { impl->Landed(partition, std::move(report)); });
  }

  void Landed(PartitionId partition, Result<Appended> report) {
    Lane& lane = lanes[partition.value()];
    std::unique_lock lock(lane.mutex);
    if (!lane.in_flight) return;  // closed meanwhile
    Batch landed = std::exchange(lane.flying, {});
    lane.in_flight = false;
    answering.fetch_add(1);
    // The next record leaves before anyone is told of this one.
    if (!lane.waiting.empty()) {
      Fly(partition, lane, std::move(lock));
    } else {
      lock.unlock();
    }
    pending_bytes.fetch_sub(landed.bytes, std::memory_order_relaxed);
    if (!report) {
      AnswerAll(landed, report.error());
    } else if (!report->offset) {
      AnswerAll(landed, Fail(Code::kRetry, "acknowledged without offset"));
    } else {
      CommandAt at{.partition = partition, .generation = log.settings().generation, .offset = *report->offset, .index = 0};
      for (Sent& sent : landed.sent) {
        sent(at);
        ++at.index;
      }
    }
    if (answering.fetch_sub(1) == 1 && closing.load()) {
      const std::lock_guard idle_lock(idle_mutex);
      idle.notify_all();
    }
  }

  void Close() {
    const Error why = Fail(Code::kRetry, "this process is closing its command queue; the command may or may not be there");
    closing.store(true);
    for (Lane& lane : lanes) {
      std::deque<Batch> open;
      {
        const std::lock_guard lock(lane.mutex);
        open.swap(lane.waiting);
        if (std::exchange(lane.in_flight, false)) open.push_front(std::exchange(lane.flying, {}));
      }
      for (Batch& batch : open) AnswerAll(batch, why);
    }
    std::unique_lock lock(idle_mutex);
    idle.wait(lock, [this] { return answering.load() == 0; });
  }

  Log& log;
  const size_t bytes_max;
  std::vector<Lane> lanes;  // by partition
  std::atomic<size_t> pending_bytes = 0;
  std::atomic<int> answering = 0;  // Landed calls that run callbacks
  std::atomic<bool> closing = false;
  std::mutex idle_mutex;
  std::condition_variable idle;
};

Sender::Sender(Log& log, size_t bytes_max) : impl_(std::make_shared<Impl>(log, bytes_max)) {}
Sender::~Sender() { impl_->Close(); }

void Sender::Send(PartitionId partition, const Command& command, Sync sync, Sent sent, More more) {
  impl_->Send(partition, command, sync, std::move(sent), more);
}

}  // namespace maily::command
