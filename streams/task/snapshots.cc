// See snapshots.h.
#include "streams/task/snapshots.h"

#include <utility>

#include "streams/journal/history.h"
#include "streams/observe/logging.h"
#include "streams/observe/metrics.h"

namespace maily::task {
namespace {

// What operators see of a partition's snapshots. Of those that others have taken, what was found when this process last looked.
struct Gauges {
  explicit Gauges(Clock& clock, PartitionId partition) {
    auto& metrics = observe::Metrics::Process();
    const observe::Labels labels = {{"partition", std::to_string(partition.value())}};
    lsn = metrics.AddGauge("maily_snapshot_lsn", "Last decision in the newest snapshot that this process knows of; 0: none.", labels);
    bytes = metrics.AddGauge("maily_snapshot_bytes", "Size of the newest snapshot that this process knows of.", labels);
    taken_total = metrics.AddCounter("maily_snapshots_taken_total", "Snapshots of state that were taken.", labels);
    failures = metrics.AddCounter("maily_snapshot_failures_total", "Snapshots of state that could not be taken.", labels);
    restored = metrics.AddCounter("maily_snapshot_restores_total", "Stores that were filled from a snapshot.", labels);
    unusable =
        metrics.AddCounter("maily_snapshot_unusable_total",
                           "Snapshots that were passed over when a store was to be filled: damaged, or not of this journal.", labels);
    age = metrics.AddProbe("maily_snapshot_age_seconds", "Age of the newest snapshot that this process knows of; -1: none.", labels,
                           [this, &clock] {
                             const int64_t at = taken_us;
                             return at == 0 ? -1.0 : static_cast<double>(clock.Now().us - at) / 1e6;
                           });
  }
  void Show(const state::Snapshot& snapshot) {
    lsn.Set(static_cast<int64_t>(snapshot.position.lsn.value()));
    bytes.Set(static_cast<int64_t>(snapshot.bytes()));
    taken_us = snapshot.taken.us;
  }

  std::atomic<int64_t> taken_us = 0;
  observe::Gauge lsn, bytes;
  observe::Counter taken_total, failures, restored, unusable;
  observe::Metrics::Probe age;
};

}  // namespace

struct Snapshots::Impl : std::enable_shared_from_this<Impl> {
  Impl(Blobs& blobs_in, Log& log_in, Clock& clock_in, Entropy& entropy_in, Executor& executor_in, SnapshotOptions options_in)
      : blobs(blobs_in), log(log_in), clock(clock_in), entropy(entropy_in), executor(executor_in), options(std::move(options_in)) {
    for (uint16_t p = 0; p < log.settings().partition_count; ++p) gauges.push_back(std::make_unique<Gauges>(clock, PartitionId(p)));
  }
  state::SnapshotPlace PlaceOf(PartitionId partition) { return {blobs, log.settings().log_id, partition}; }

  // One that is being taken.
  struct Taking {
    Taking(std::shared_ptr<Impl> impl_in, PartitionId partition_in, state::SnapshotWriter writer_in, Executor& back_in,
           std::function<void(Result<Newest>)> done_in)
        : impl(std::move(impl_in)), partition(partition_in), writer(std::move(writer_in)), back(back_in), done(std::move(done_in)) {}
    const std::shared_ptr<Impl> impl;
    const PartitionId partition;
    state::SnapshotWriter writer;
    Executor& back;
    std::function<void(Result<Newest>)> done;
  };
  static void GoOn(const std::shared_ptr<Taking>& taking) {
    Impl& impl = *taking->impl;
    Gauges& gauges = *impl.gauges[taking->partition.value()];
    const auto more = taking->writer.Step(impl.clock.Now());
    if (more && *more) return impl.executor.Post([taking] { GoOn(taking); });
    const state::Snapshot& snapshot = taking->writer.snapshot();
    if (!more) {
      taking->writer.Abandon();
      // A store that was closed, and one that stands where no snapshot can, are no failure.
      if (more.error().code != Code::kNotFound && more.error().code != Code::kConflict) {
        gauges.failures.Add();
        observe::Log(observe::Level::kWarn, "a snapshot could not be taken",
                     {{"partition", taking->partition.value()}, {"error", more.error()}});
      }
      return taking->back.Post([taking, error = more.error()] { taking->done(error); });
    }
    gauges.taken_total.Add();
    gauges.Show(snapshot);
    observe::Log(
        observe::Level::kInfo, "snapshot taken",
        {{"partition", taking->partition.value()}, {"snapshot", snapshot.id}, {"entries", snapshot.entries}, {"bytes", snapshot.bytes()}});
    if (const auto pruned = impl.PlaceOf(taking->partition).Prune(snapshot.fold_version, snapshot.id, kSnapshotsKept); !pruned) {
      observe::Log(observe::Level::kWarn, "old snapshots are not removed yet",
                   {{"partition", taking->partition.value()}, {"error", pruned.error()}});
    }
    taking->back.Post([taking, newest = Newest{snapshot.position.lsn.value(), snapshot.taken}] { taking->done(newest); });
  }

  // A store that is being filled.
  struct Loading {
    std::shared_ptr<Impl> impl;
    PartitionId partition;
    std::string fold_version;
    Executor* back = nullptr;
    std::function<void(Filled)> done;
    std::shared_ptr<std::atomic<bool>> stop;
    Duration begin;
    Filled filled;
    std::vector<std::string> left;  // not tried yet; the newest is the last
    std::optional<state::SnapshotLoader> loader;

    void PassOver(const std::string& id, const std::string& why) {
      impl->gauges[partition.value()]->unusable.Add();
      observe::Log(observe::Level::kWarn, "a snapshot cannot be used", {{"partition", partition.value()}, {"snapshot", id}, {"why", why}});
    }
  };
  static void GoOn(const std::shared_ptr<Loading>& loading) {
    Impl& impl = *loading->impl;
    if (*loading->stop) return End(loading);
    if (!loading->loader && !Choose(loading)) return End(loading);
    const auto state = loading->loader->Step();
    if (!state) {
      loading->filled.error = state.error();
      return End(loading);
    }
    if (*state == state::SnapshotLoader::State::kUnusable) {
      loading->PassOver(loading->loader->snapshot().id, loading->loader->trouble());
      loading->loader.reset();
    }
    if (*state == state::SnapshotLoader::State::kComplete) {
      loading->filled.restored = true;
      const state::Snapshot& snapshot = loading->loader->snapshot();
      impl.gauges[loading->partition.value()]->restored.Add();
      impl.gauges[loading->partition.value()]->Show(snapshot);
      observe::Log(observe::Level::kInfo, "the state was filled from a snapshot",
                   {{"partition", loading->partition.value()},
                    {"snapshot", snapshot.id},
                    {"lsn", snapshot.position.lsn.value()},
                    {"entries", snapshot.entries},
                    {"bytes", snapshot.bytes()},
                    {"milliseconds", (impl.clock.Steady() - loading->begin).us / 1000}});
      return End(loading);
    }
    impl.executor.Post([loading] { GoOn(loading); });
  }
  // The next one that may be used; false: there is none.
  static bool Choose(const std::shared_ptr<Loading>& loading) {
    Impl& impl = *loading->impl;
    const state::SnapshotPlace place = impl.PlaceOf(loading->partition);
    while (!loading->left.empty()) {
      const std::string id = std::move(loading->left.back());
      loading->left.pop_back();
      auto snapshot = place.Read(id);
      Result<void> fits = snapshot ? journal::CheckPassed(impl.log, snapshot->position) : snapshot.error();
      if (fits && snapshot->fold_version != loading->fold_version) fits = Fail(Code::kInvalid, "it was folded by another version");
      if (fits) {
        loading->loader.emplace(place, *std::move(snapshot), *loading->filled.kv);
        return true;
      }
      loading->PassOver(id, fits.error().message);
    }
    return false;
  }
  static void End(const std::shared_ptr<Loading>& loading) {
    loading->loader.reset();
    loading->back->Post([loading] { loading->done(std::move(loading->filled)); });
  }

  Blobs& blobs;
  Log& log;
  Clock& clock;
  Entropy& entropy;
  Executor& executor;
  const SnapshotOptions options;
  std::vector<std::unique_ptr<Gauges>> gauges;  // by partition
};

Snapshots::Snapshots(Blobs& blobs, Log& log, Clock& clock, Entropy& entropy, Executor& executor, SnapshotOptions options)
    : impl_(std::make_shared<Impl>(blobs, log, clock, entropy, executor, std::move(options))) {}
Snapshots::~Snapshots() = default;
const SnapshotOptions& Snapshots::options() const { return impl_->options; }

void Snapshots::Look(PartitionId partition, const std::string& fold_version, Executor& back, std::function<void(Result<Newest>)> done) {
  impl_->executor.Post([impl = impl_, partition, fold_version, &back, done = std::move(done)]() mutable {
    const auto look = [&]() -> Result<Newest> {
      const state::SnapshotPlace place = impl->PlaceOf(partition);
      MAILY_TRY(const auto ids, place.List(fold_version));
      for (const std::string& id : ids) {
        const auto snapshot = place.Read(id);
        if (!snapshot && snapshot.error().code == Code::kRetry) return snapshot.error();
        if (!snapshot) continue;  // damaged, or just removed
        impl->gauges[partition.value()]->Show(*snapshot);
        return Newest{snapshot->position.lsn.value(), snapshot->taken};
      }
      return Newest{};
    };
    auto found = look();
    if (!found) {
      observe::Log(observe::Level::kWarn, "snapshots cannot be had; it is tried again",
                   {{"partition", partition.value()}, {"place", impl->blobs.place()}, {"error", found.error()}});
    }
    back.Post([done = std::move(done), found = std::move(found)] { done(found); });
  });
}

void Snapshots::Take(PartitionId partition, std::unique_ptr<KvView> view, Executor& back, std::function<void(Result<Newest>)> done) {
  state::SnapshotWriter writer(impl_->PlaceOf(partition), std::move(view),
                               {impl_->options.build, impl_->entropy.Next(), impl_->options.part_bytes});
  auto taking = std::make_shared<Impl::Taking>(impl_, partition, std::move(writer), back, std::move(done));
  impl_->executor.Post([taking = std::move(taking)] { Impl::GoOn(taking); });
}

Snapshots::Filling Snapshots::Fill(PartitionId partition, std::unique_ptr<Kv> kv, const std::string& fold_version, Executor& back,
                                   std::function<void(Filled)> done) {
  Filling filling;
  auto loading = std::make_shared<Impl::Loading>();
  loading->impl = impl_;
  loading->partition = partition;
  loading->fold_version = fold_version;
  loading->back = &back;
  loading->done = std::move(done);
  loading->stop = filling.stop_;
  loading->begin = impl_->clock.Steady();
  loading->filled.kv = std::move(kv);
  impl_->executor.Post([loading = std::move(loading)] {
    auto ids = loading->impl->PlaceOf(loading->partition).List(loading->fold_version);
    if (!ids) {
      observe::Log(observe::Level::kWarn, "snapshots cannot be had: the state is folded from the journal alone",
                   {{"partition", loading->partition.value()}, {"error", ids.error()}});
      return Impl::End(loading);
    }
    loading->left.assign(ids->rbegin(), ids->rend());
    Impl::GoOn(loading);
  });
  return filling;
}

}  // namespace maily::task
