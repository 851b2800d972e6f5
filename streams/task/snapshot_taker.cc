// See snapshot_taker.h.
#include "streams/task/snapshot_taker.h"

#include <optional>

#include "streams/task/snapshots.h"

namespace maily::task {
namespace {

constexpr Duration kRetryAfter = Seconds(60);

}  // namespace

struct SnapshotTaker::Impl : std::enable_shared_from_this<Impl> {
  Impl(const TaskEnvironment& environment_in, PartitionId partition_in, Executor& executor_in, state::Store& store_in)
      : environment(environment_in), partition(partition_in), executor(executor_in), store(store_in) {}

  // What the place said, or what came of a snapshot.
  std::function<void(Result<Snapshots::Newest>)> Heard() {
    busy = true;
    return [weak = weak_from_this()](Result<Snapshots::Newest> heard) {
      const auto self = weak.lock();
      if (!self) return;
      self->busy = false;
      if (heard) {
        self->newest = *heard;
        self->Look();
      } else {
        self->not_before = self->environment.clock.Steady() + kRetryAfter;
      }
    };
  }

  bool Due() const {
    const SnapshotOptions& options = environment.snapshots->options();
    if (store.position().lsn.value() <= newest->lsn) return false;
    return newest->lsn == 0 || journal_bytes >= options.journal_bytes || environment.clock.Now() - newest->taken >= options.interval;
  }

  void Look() {
    if (environment.snapshots == nullptr || busy || environment.clock.Steady() < not_before) return;
    if (!newest) return environment.snapshots->Look(partition, environment.pipeline.FoldVersion(), executor, Heard());
    if (!Due()) return;
    auto view = store.View();
    if (!view) return;  // whatever is wrong with the store, its next flush tells
    journal_bytes = 0;
    environment.snapshots->Take(partition, *std::move(view), executor, Heard());
  }

  const TaskEnvironment& environment;
  const PartitionId partition;
  Executor& executor;
  state::Store& store;
  bool busy = false;
  std::optional<Snapshots::Newest> newest;  // none: not known yet
  Duration not_before;
  size_t journal_bytes = 0;  // since the newest, as far as it was written here
};

SnapshotTaker::SnapshotTaker(const TaskEnvironment& environment, PartitionId partition, Executor& executor, state::Store& store)
    : impl_(std::make_shared<Impl>(environment, partition, executor, store)) {
  impl_->Look();
}
SnapshotTaker::~SnapshotTaker() = default;
void SnapshotTaker::Appended(size_t bytes) { impl_->journal_bytes += bytes; }
void SnapshotTaker::Look() { impl_->Look(); }

}  // namespace maily::task
