// See replies.h.
#include "streams/command/replies.h"

#include <array>
#include <atomic>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace maily::command {
namespace {

constexpr size_t kShards = 16;

struct Waiting {
  Executor* executor = nullptr;
  std::move_only_function<void(Result<Reply>)> done;
  TimerId timer = 0;
  uint64_t serial = 0;
};

// On the waiter's own executor, where its timer may be cancelled.
void Finish(Waiting waiting, Result<Reply> reply) {
  Executor* const executor = waiting.executor;
  executor->Post([waiting = std::move(waiting), reply = std::move(reply)]() mutable {
    if (waiting.timer != 0) waiting.executor->Cancel(waiting.timer);
    waiting.done(std::move(reply));
  });
}

}  // namespace

struct Replies::Impl : std::enable_shared_from_this<Replies::Impl> {
  struct Shard {
    std::mutex mutex;
    std::unordered_multimap<CommandId, Waiting> waiting;
  };

  explicit Impl(size_t waiting_max_in) : waiting_max(waiting_max_in) {}

  Shard& ShardOf(const CommandId& id) { return shards[std::hash<CommandId>()(id) % kShards]; }

  std::vector<Waiting> Take(const CommandId& id) {
    std::vector<Waiting> taken;
    Shard& shard = ShardOf(id);
    const std::lock_guard lock(shard.mutex);
    const auto [first, last] = shard.waiting.equal_range(id);
    for (auto it = first; it != last; ++it) taken.push_back(std::move(it->second));
    shard.waiting.erase(first, last);
    count.fetch_sub(taken.size());
    return taken;
  }

  void TimeOut(const CommandId& id, uint64_t serial) {
    Waiting waiting;
    {
      Shard& shard = ShardOf(id);
      const std::lock_guard lock(shard.mutex);
      const auto [first, last] = shard.waiting.equal_range(id);
      auto found = first;
      while (found != last && found->second.serial != serial) ++found;
      if (found == last) return;
      waiting = std::move(found->second);
      shard.waiting.erase(found);
      count.fetch_sub(1);
    }
    waiting.done(Fail(Code::kRetry, "not yet decided; it may still be"));
  }

  const size_t waiting_max;
  std::atomic<size_t> count = 0;
  std::atomic<uint64_t> serials = 0;
  std::array<Shard, kShards> shards;
};

Replies::Replies(size_t waiting_max) : impl_(std::make_shared<Impl>(waiting_max)) {}

Replies::~Replies() {
  for (Impl::Shard& shard : impl_->shards) {
    std::unordered_multimap<CommandId, Waiting> waiting;
    {
      const std::lock_guard lock(shard.mutex);
      waiting.swap(shard.waiting);
    }
    for (auto& [id, waiter] : waiting)
      Finish(std::move(waiter), Fail(Code::kRetry, "this process stops; the command may still be decided"));
  }
}

void Replies::Await(CommandId id, Executor& executor, Duration timeout, std::move_only_function<void(Result<Reply>)> done) {
  Waiting waiting{.executor = &executor, .done = std::move(done), .timer = 0, .serial = impl_->serials.fetch_add(1) + 1};
  if (impl_->count.fetch_add(1) >= impl_->waiting_max) {
    impl_->count.fetch_sub(1);
    return Finish(std::move(waiting), Fail(Code::kRetry, "{} requests wait for their decisions already", impl_->waiting_max));
  }
  Impl::Shard& shard = impl_->ShardOf(id);
  const std::lock_guard lock(shard.mutex);
  const auto entry = shard.waiting.emplace(id, std::move(waiting));
  entry->second.timer = executor.After(timeout, [weak = std::weak_ptr<Impl>(impl_), id, serial = entry->second.serial] {
    if (const auto impl = weak.lock()) impl->TimeOut(id, serial);
  });
}

void Replies::Answer(const CommandId& id, Reply reply) {
  if (Empty()) return;
  auto waiting = impl_->Take(id);
  for (size_t i = 0; i < waiting.size(); ++i) {
    Finish(std::move(waiting[i]), i + 1 == waiting.size() ? Result<Reply>(std::move(reply)) : Result<Reply>(reply));
  }
}

bool Replies::Empty() const { return impl_->count.load() == 0; }

void Replies::Abandon(const CommandId& id) {
  for (Waiting& waiting : impl_->Take(id)) {
    Finish(std::move(waiting), Fail(Code::kRetry, "the partition changed its owner; the command may still be decided"));
  }
}

}  // namespace maily::command
