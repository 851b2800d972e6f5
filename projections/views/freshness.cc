// Implements waiting for projections.
#include "projections/views/freshness.h"

#include <map>
#include <mutex>

#include "streams/base/result.h"

namespace maily::projections {
namespace {

struct Waiter {
  std::string group;
  std::vector<CommandAt> at;
  Executor* executor = nullptr;
  TimerId timer = 0;
  std::move_only_function<void(bool)> done;
};

}  // namespace

struct Freshness::Impl {
  enum class Answer { kYes, kNotYet, kNever };

  mutable std::mutex mutex;
  std::map<std::string, std::map<PartitionId, Reached>, std::less<>> groups;
  std::map<uint64_t, Waiter> waiters;  // by a number of their own
  uint64_t next_waiter = 1;
  std::map<std::string, std::shared_ptr<const std::function<void()>>> on_wait;  // by group

  static Answer Shows(const std::map<PartitionId, Reached>& reached, const CommandAt& at) {
    const auto found = reached.find(at.partition);
    if (found == reached.end() || !found->second.any) return Answer::kNotYet;
    const Reached& r = found->second;
    if (r.generation != at.generation) return r.generation > at.generation ? Answer::kNever : Answer::kNotYet;
    return std::pair(r.offset, r.index) >= std::pair(at.offset, at.index) ? Answer::kYes : Answer::kNotYet;
  }
  Answer Shows(std::string_view group, std::span<const CommandAt> at) const {
    Answer all = Answer::kYes;
    for (const auto& [name, reached] : groups) {
      if (!group.empty() && name != group) continue;
      for (const CommandAt& one : at) {
        const Answer answer = Shows(reached, one);
        if (answer == Answer::kNever) return answer;
        if (answer == Answer::kNotYet) all = answer;
      }
    }
    return all;
  }

  static void Finish(Waiter waiter, bool fresh) {
    Executor& executor = *waiter.executor;
    executor.Post([waiter = std::move(waiter), fresh]() mutable {
      if (waiter.timer != 0) waiter.executor->Cancel(waiter.timer);
      waiter.done(fresh);
    });
  }
};

Freshness::Freshness(const std::vector<std::string>& groups) : impl_(std::make_shared<Impl>()) {
  for (const std::string& group : groups) impl_->groups[group];
}

void Freshness::Advance(std::string_view group, std::span<const Reached> reached) {
  std::vector<std::pair<Waiter, bool>> finished;
  {
    const std::lock_guard lock(impl_->mutex);
    const auto found = impl_->groups.find(group);
    MAILY_CHECK(found != impl_->groups.end(), "no projection group {}", group);
    for (const Reached& r : reached) found->second[r.partition] = r;
    for (auto it = impl_->waiters.begin(); it != impl_->waiters.end();) {
      const bool concerned = it->second.group.empty() || it->second.group == group;
      const auto answer = concerned ? impl_->Shows(it->second.group, it->second.at) : Impl::Answer::kNotYet;
      if (answer == Impl::Answer::kNotYet) {
        ++it;
        continue;
      }
      finished.emplace_back(std::move(it->second), answer == Impl::Answer::kYes);
      it = impl_->waiters.erase(it);
    }
  }
  for (auto& [waiter, fresh] : finished) Impl::Finish(std::move(waiter), fresh);
}

bool Freshness::IsFresh(std::string_view group, std::span<const CommandAt> at) const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->Shows(group, at) == Impl::Answer::kYes;
}

void Freshness::Wait(std::string_view group, std::vector<CommandAt> at, Duration timeout, Executor& executor,
                     std::move_only_function<void(bool)> done) {
  Waiter waiter{.group = std::string(group), .at = std::move(at), .executor = &executor, .timer = 0, .done = std::move(done)};
  std::unique_lock lock(impl_->mutex);
  const auto answer = impl_->Shows(group, waiter.at);
  if (answer != Impl::Answer::kNotYet || impl_->waiters.size() >= kWaitersMax) {
    lock.unlock();
    return Impl::Finish(std::move(waiter), answer == Impl::Answer::kYes);
  }
  const uint64_t number = impl_->next_waiter++;
  waiter.timer = executor.After(timeout, [weak = std::weak_ptr(impl_), number] {
    const auto impl = weak.lock();
    if (impl == nullptr) return;
    std::unique_lock timer_lock(impl->mutex);
    const auto found = impl->waiters.find(number);
    if (found == impl->waiters.end()) return;
    Waiter late = std::move(found->second);
    impl->waiters.erase(found);
    timer_lock.unlock();
    late.done(false);
  });
  std::vector<std::shared_ptr<const std::function<void()>>> told;
  for (const auto& [name, began] : impl_->on_wait) {
    if (waiter.group.empty() || waiter.group == name) told.push_back(began);
  }
  impl_->waiters.emplace(number, std::move(waiter));
  lock.unlock();
  for (const auto& began : told) (*began)();
}

void Freshness::OnWait(std::string group, std::function<void()> began) {
  const std::lock_guard lock(impl_->mutex);
  impl_->on_wait[std::move(group)] = std::make_shared<const std::function<void()>>(std::move(began));
}

size_t Freshness::waiting() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->waiters.size();
}

}  // namespace maily::projections
