// Ready jobs queue by executor; due timers join their executor's queue; the seed says whose turn it is.
#include "streams/adapters/sim/sim_env.h"

#include <algorithm>
#include <deque>
#include <map>
#include <vector>

#include "streams/base/result.h"

namespace maily::sim {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every platform, unlike the distributions of <random>.
class Chances {
 public:
  explicit Chances(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }

 private:
  uint64_t state_;
};

struct Queue {
  struct Entry {
    TimerId timer;  // 0 = posted
    Job job;
  };
  std::deque<Entry> ready;
};

class SeededEntropy : public Entropy {
 public:
  explicit SeededEntropy(uint64_t seed) : chances_(seed) {}
  void Fill(std::span<uint8_t> out) override {
    for (uint8_t& byte : out) byte = static_cast<uint8_t>(chances_.Next() >> 32);
  }

 private:
  Chances chances_;
};

class VirtualClock : public Clock {
 public:
  Instant Now() override { return wall_start + steady; }
  Duration Steady() override { return steady; }
  Instant wall_start;
  Duration steady;
};

struct Timer {
  std::shared_ptr<Queue> queue;
  Job job;
};

}  // namespace

struct Scheduler::Impl {
  Impl(uint64_t seed_in, Instant start) : seed(seed_in), chances(seed_in), entropy(~seed_in) { clock.wall_start = start; }

  // Moves the timers that are due to their queues; of the same moment in the order of setting.
  void RaiseDueTimers() {
    while (!timers.empty() && timers.begin()->first.first <= clock.steady.us) {
      auto node = timers.extract(timers.begin());
      node.mapped().queue->ready.push_back({node.key().second, std::move(node.mapped().job)});
    }
  }
  // Goes to the moment of the next timer if it is not after `end`; else to `end`, false.
  bool AdvanceTo(Duration end) {
    const bool due = !timers.empty() && timers.begin()->first.first <= end.us;
    clock.steady = due ? std::max(clock.steady, Duration{timers.begin()->first.first}) : end;
    return due;
  }

  const uint64_t seed;
  Chances chances;
  SeededEntropy entropy;
  VirtualClock clock;
  std::vector<std::shared_ptr<Queue>> queues;
  std::map<std::pair<int64_t, TimerId>, Timer> timers;  // by due steady time
  TimerId last_timer = 0;
};

namespace {

class SimExecutor : public Executor {
 public:
  // The maps of the scheduler, by reference: a scheduler outlives the use of its executors.
  SimExecutor(std::vector<std::shared_ptr<Queue>>& queues, std::map<std::pair<int64_t, TimerId>, Timer>& timers, TimerId& last_timer,
              VirtualClock& clock, std::weak_ptr<void> alive)
      : queues_(queues), timers_(timers), last_timer_(last_timer), clock_(clock), scheduler_alive_(std::move(alive)) {
    queues_.push_back(queue_);
  }
  ~SimExecutor() override {
    if (scheduler_alive_.expired()) return;
    std::erase(queues_, queue_);
    // Dropped jobs may own what posts again while it dies: nothing is destroyed while the containers change.
    std::vector<Job> dropped;
    for (auto timer = timers_.begin(); timer != timers_.end();) {
      if (timer->second.queue != queue_) {
        ++timer;
        continue;
      }
      dropped.push_back(std::move(timer->second.job));
      timer = timers_.erase(timer);
    }
    const auto ready = std::exchange(queue_->ready, {});
  }

  void Post(Job job) override { queue_->ready.push_back({0, std::move(job)}); }
  TimerId After(Duration delay, Job job) override {
    const TimerId timer = ++last_timer_;
    timers_.emplace(std::pair(clock_.steady.us + std::max<int64_t>(0, delay.us), timer), Timer{queue_, std::move(job)});
    return timer;
  }
  void Cancel(TimerId timer) override {
    if (timer == 0) return;
    Job dropped;  // destroyed last, see above
    const auto set = std::ranges::find_if(timers_, [&](const auto& each) { return each.first.second == timer; });
    if (set != timers_.end()) {
      dropped = std::move(set->second.job);
      timers_.erase(set);
      return;
    }
    const auto due = std::ranges::find_if(queue_->ready, [&](const auto& each) { return each.timer == timer; });
    if (due == queue_->ready.end()) return;
    dropped = std::move(due->job);
    queue_->ready.erase(due);
  }

 private:
  std::vector<std::shared_ptr<Queue>>& queues_;
  std::map<std::pair<int64_t, TimerId>, Timer>& timers_;
  TimerId& last_timer_;
  VirtualClock& clock_;
  const std::weak_ptr<void> scheduler_alive_;
  const std::shared_ptr<Queue> queue_ = std::make_shared<Queue>();
};

}  // namespace

Scheduler::Scheduler(uint64_t seed, Instant start) : impl_(std::make_unique<Impl>(seed, start)), alive_(std::make_shared<int>(0)) {}

Scheduler::~Scheduler() {
  alive_.reset();  // executors that die from here on leave the containers alone
  for (const auto& queue : impl_->queues) {
    const auto dropped = std::exchange(queue->ready, {});
  }
  const auto timers = std::exchange(impl_->timers, {});
}

uint64_t Scheduler::seed() const { return impl_->seed; }
Clock& Scheduler::clock() { return impl_->clock; }
Entropy& Scheduler::entropy() { return impl_->entropy; }
void Scheduler::JumpWallClock(Duration by) { impl_->clock.wall_start = impl_->clock.wall_start + by; }

std::unique_ptr<Executor> Scheduler::MakeExecutor() {
  return std::make_unique<SimExecutor>(impl_->queues, impl_->timers, impl_->last_timer, impl_->clock, alive_);
}

uint64_t Scheduler::Random(uint64_t below) {
  MAILY_CHECK(below >= 1, "a random number below 0");
  return impl_->chances.Next() % below;
}
bool Scheduler::Chance(double probability) {
  return probability > 0 && static_cast<double>(impl_->chances.Next() >> 11) < probability * static_cast<double>(1ULL << 53);
}
Duration Scheduler::RandomDuration(Duration min, Duration max) {
  return min + Duration{static_cast<int64_t>(Random(static_cast<uint64_t>(std::max<int64_t>(0, max.us - min.us)) + 1))};
}

bool Scheduler::RunOne() {
  impl_->RaiseDueTimers();
  size_t ready = 0;
  for (const auto& queue : impl_->queues) ready += !queue->ready.empty();
  if (ready == 0) return false;
  size_t chosen = Random(ready);
  for (const auto& queue : impl_->queues) {
    if (queue->ready.empty() || chosen-- > 0) continue;
    Job job = std::move(queue->ready.front().job);
    queue->ready.pop_front();
    job();  // may make and destroy executors: `queue` is not touched any more
    return true;
  }
  return false;
}

void Scheduler::RunUntilIdle() {
  while (RunOne()) continue;
}

void Scheduler::RunFor(Duration by) {
  const Duration end = impl_->clock.steady + by;
  do RunUntilIdle();
  while (impl_->AdvanceTo(end));
}

bool Scheduler::RunUntil(const std::function<bool()>& reached, Duration limit) {
  const Duration end = impl_->clock.steady + limit;
  for (;;) {
    if (reached()) return true;
    if (!RunOne() && !impl_->AdvanceTo(end)) return reached();
  }
}

}  // namespace maily::sim
