// See host.h.
#include "streams/task/host.h"

#include <atomic>

namespace maily::task {
namespace {

constexpr size_t kTailCacheBytes = 2 << 20;  // a partition

}  // namespace

struct Host::Impl {
  struct Place {
    Executor* executor = nullptr;
    std::unique_ptr<journal::Tail> tail;
    std::unique_ptr<Task> task;
  };
  std::vector<Place> places;
  std::atomic<size_t> running = 0;
};

Host::Host(const TaskEnvironment& environment, std::vector<Executor*> executors, Listener listener) : impl_(std::make_shared<Impl>()) {
  const uint16_t count = environment.log.settings().partition_count;
  impl_->places.resize(count);
  for (uint16_t p = 0; p < count; ++p) {
    Impl::Place& place = impl_->places[p];
    place.executor = executors[p % executors.size()];
    place.tail = std::make_unique<journal::Tail>(environment.log, PartitionId(p), kTailCacheBytes);
    TaskListener hears;
    hears.led = [listener, p, executor = place.executor, tail = place.tail.get()](Epoch epoch, const journal::Position& position,
                                                                                  state::Cache& cache, Credits& credits) {
      if (listener.led) listener.led(PartitionId(p), *executor, epoch, position, cache, credits, *tail);
    };
    hears.stopped = [listener, p] {
      if (listener.stopped) listener.stopped(PartitionId(p));
    };
    place.task = std::make_unique<Task>(PartitionId(p), environment, *place.tail, *place.executor, std::move(hears));
  }
}

Host::~Host() = default;

void Host::Start() {
  for (Impl::Place& place : impl_->places) {
    place.executor->Post([impl = impl_, &place] { place.task->Lead(); });
  }
}

void Host::Stop(Job done) {
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

journal::Tail& Host::tail(PartitionId partition) { return *impl_->places[partition.value()].tail; }

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
