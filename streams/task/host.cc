// See host.h.
#include "streams/task/host.h"

#include <atomic>
#include <map>

namespace maily::task {
struct Host::Impl {
  struct Place {
    Executor* executor = nullptr;
    std::unique_ptr<Task> task;
    // On the executor.
    bool mine = false;
    bool stopping = false;  // it is being handed over
  };
  // Lets the task do what the place wants; again when a hand-over has ended.
  static void Steer(const std::shared_ptr<Impl>& impl, Place& place) {
    if (place.stopping || impl->stopped) return;
    const TaskState state = place.task->status().state;
    if (place.mine) return place.task->Lead();
    if (state == TaskState::kClosed || state == TaskState::kFollowing) return place.task->Follow();
    place.stopping = true;
    // The task is a part of this: what it holds must not hold this.
    place.task->Stop([weak = std::weak_ptr(impl), &place] {
      const auto self = weak.lock();
      if (!self) return;
      place.stopping = false;
      Steer(self, place);
    });
  }
  std::vector<Place> places;
  std::atomic<size_t> running = 0;
  std::atomic<bool> stopped = false;
};

Host::Host(const TaskEnvironment& environment, journal::Tails& tails, std::vector<Executor*> executors, Listener listener)
    : impl_(std::make_shared<Impl>()) {
  const uint16_t count = environment.log.settings().partition_count;
  impl_->places.resize(count);
  std::map<const Executor*, std::shared_ptr<Turns>> turns;
  for (uint16_t p = 0; p < count; ++p) {
    Impl::Place& place = impl_->places[p];
    place.executor = executors[p % executors.size()];
    std::shared_ptr<Turns>& its_turns = turns[place.executor];
    if (its_turns == nullptr) its_turns = std::make_shared<Turns>(*place.executor);
    journal::Tail& tail = tails.at(PartitionId(p));
    TaskListener hears;
    hears.led = [listener, p, executor = place.executor, &tail](Epoch epoch, const journal::Position& position, state::Cache& cache,
                                                                Credits& credits) {
      if (listener.led) listener.led(PartitionId(p), *executor, epoch, position, cache, credits, tail);
    };
    hears.stopped = [listener, p] {
      if (listener.stopped) listener.stopped(PartitionId(p));
    };
    hears.followed = [listener, p](state::Cache& cache) {
      if (listener.followed) listener.followed(PartitionId(p), cache);
    };
    hears.failed = [listener, p](const Error& error) {
      if (listener.failed) listener.failed(PartitionId(p), error);
    };
    place.task = std::make_unique<Task>(PartitionId(p), environment, tail, *place.executor, its_turns, std::move(hears));
  }
}

Host::~Host() = default;

void Host::Start() {
  std::vector<PartitionId> all;
  for (size_t p = 0; p < impl_->places.size(); ++p) all.emplace_back(static_cast<uint16_t>(p));
  Assign(all);
}

void Host::Assign(const std::vector<PartitionId>& mine) {
  std::vector<bool> lead(impl_->places.size());
  for (const PartitionId partition : mine) lead[partition.value()] = true;
  for (size_t p = 0; p < impl_->places.size(); ++p) {
    Impl::Place& place = impl_->places[p];
    place.executor->Post([impl = impl_, &place, lead_it = static_cast<bool>(lead[p])] {
      place.mine = lead_it;
      Impl::Steer(impl, place);
    });
  }
}

void Host::Stop(Job done) {
  impl_->stopped = true;
  impl_->running = impl_->places.size();
  auto shared_done = std::make_shared<Job>(std::move(done));
  for (Impl::Place& place : impl_->places) {
    place.executor->Post([impl = impl_, &place, shared_done] {
      place.task->Stop([impl, shared_done] {
        if (--impl->running == 0) (*shared_done)();
      });
    });
  }
}

std::vector<Task::Status> Host::status() const {
  std::vector<Task::Status> all;
  for (const Impl::Place& place : impl_->places) all.push_back(place.task->status());
  return all;
}

bool Host::AllLeading() const {
  for (const Impl::Place& place : impl_->places) {
    if (place.task->status().state != TaskState::kLeading) return false;
  }
  return true;
}

}  // namespace maily::task
