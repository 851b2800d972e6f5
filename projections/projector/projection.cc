// Implements the life of a projection group.
#include "projections/projector/projection.h"

#include <charconv>
#include <mutex>

#include "projections/projector/reached.h"
#include "streams/observe/logging.h"

namespace maily::projections {
namespace {

constexpr size_t kDigestRowsASlice = 5'000;  // about 5 ms

// "people-v12" of group "people": 12. Zero for any other name.
uint64_t VersionOf(const std::string& group, const std::string& database) {
  const std::string prefix = group + "-v";
  uint64_t version = 0;
  if (!database.starts_with(prefix)) return 0;
  const char* end = database.data() + database.size();
  const auto [rest, error] = std::from_chars(database.data() + prefix.size(), end, version);
  return error == std::errc() && rest == end ? version : 0;
}

}  // namespace

struct Projection::Impl : std::enable_shared_from_this<Projection::Impl> {
  Impl(const ProjectionEnvironment& e, const Group& g, Views& v, ProjectorLimits l) : env(e), group(g), views(v), limits(l) {}

  void Post(std::move_only_function<void(Impl&)> job) {
    env.executor.Post([impl = shared_from_this(), job = std::move(job)]() mutable { job(*impl); });
  }

  // What a projector of this group calls. Only the live one speaks to the views.
  Projector::Callbacks CallbacksOf(const std::string& database) {
    return {.committed =
                [weak = weak_from_this(), database](const std::vector<journal::Position>& changed) {
                  const auto impl = weak.lock();
                  if (impl != nullptr && impl->projector != nullptr && impl->pointer.live == database) impl->Show(changed);
                },
            .stopped =
                [weak = weak_from_this(), database](const Error& error) {
                  const auto impl = weak.lock();
                  if (impl == nullptr) return;
                  const std::lock_guard lock(impl->mutex);
                  if (impl->pointer.live == database) impl->stopped_why = error.ToString();
                },
            .forgot =
                [weak = weak_from_this(), database] {
                  if (const auto impl = weak.lock(); impl != nullptr && impl->pointer.live == database) impl->DropPrevious();
                },
            .watched = [&freshness = views.freshness()] { return freshness.waiting() > 0; }};
  }
  // It knows whom the live one has forgotten, and folds no more.
  void DropPrevious() {
    if (pointer.previous.empty() || building) return;
    auto dropped = env.databases.SetLive(group.name, {pointer.live, ""});
    if (dropped) {
      SetPointer({pointer.live, ""});
      dropped = DropUnnamed();
    }
    if (!dropped) {
      observe::Log(observe::Level::kWarn, "the previous version of the read models was not dropped",
                   {{"group", group.name}, {"error", dropped.error()}});
    }
  }
  void Show(const std::vector<journal::Position>& changed) {
    {
      const std::lock_guard lock(mutex);
      for (const journal::Position& position : changed) shown[position.partition.value()] = position;
    }
    views.freshness().Advance(group.name, ReachedOf(changed));
  }

  std::string NextName() const {
    uint64_t last = std::max(VersionOf(group.name, pointer.live), VersionOf(group.name, pointer.previous));
    return fmt::format("{}-v{}", group.name, last + 1);
  }
  Result<void> DropUnnamed() {
    MAILY_TRY(const auto names, env.databases.List());
    for (const std::string& name : names) {
      if (VersionOf(group.name, name) == 0 || name == pointer.live || name == pointer.previous) continue;
      MAILY_TRY_VOID(env.databases.Drop(name));
    }
    return Ok();
  }

  Result<void> Start(std::function<void(Result<void>)>& ready) {
    MAILY_TRY(const auto stored, env.databases.Live(group.name));
    SetPointer(stored.value_or(sql::LivePointer{}));
    if (!pointer.live.empty()) {
      auto readable = env.databases.Open(pointer.live, sql::Purpose::kRead);
      if (!readable && readable.error().code == Code::kNotFound) SetPointer({});  // deleted: it is rebuilt
      if (!readable && readable.error().code != Code::kNotFound) return readable.error();
    }
    MAILY_TRY_VOID(DropUnnamed());
    if (!pointer.live.empty()) {
      auto opened = Projector::Open(env, group, pointer.live, Mode::kLive, limits, CallbacksOf(pointer.live));
      if (opened) {
        GoLive(std::move(opened).value());
        ready(Ok());
        return Ok();
      }
      if (opened.error().code != Code::kConflict) return opened.error();
      views.SetLive(group.name, pointer.live);  // folded by other read models: answers what it can until the new one is built
    }
    Build(Then::kSwitch, [weak = weak_from_this(), ready = std::move(ready)](Result<RebuildStatus> built) mutable {
      if (built) return ready(Ok());
      if (const auto impl = weak.lock()) impl->NotStarted(built.error(), std::move(ready));
    });
    return Ok();
  }
  void TryStart(std::function<void(Result<void>)> ready) {
    if (auto started = Start(ready); !started) NotStarted(started.error(), std::move(ready));
  }
  // A server that does not answer is asked again.
  void NotStarted(const Error& error, std::function<void(Result<void>)> ready) {
    {
      const std::lock_guard lock(mutex);
      stopped_why = error.ToString();
    }
    if (error.code != Code::kRetry) return ready(error);
    env.executor.After(limits.retry_after, [weak = weak_from_this(), ready = std::move(ready)]() mutable {
      const auto impl = weak.lock();
      if (impl != nullptr && !impl->stopping) impl->TryStart(std::move(ready));
    });
  }

  void SetPointer(sql::LivePointer now) {
    const std::lock_guard lock(mutex);
    pointer = std::move(now);
  }
  void SetProjector(std::shared_ptr<Projector> now) {
    const std::lock_guard lock(mutex);
    projector = std::move(now);
    stopped_why.clear();
  }
  void GoLive(std::shared_ptr<Projector> now) {
    SetProjector(now);
    {
      const std::lock_guard lock(mutex);
      shown = now->positions();
    }
    views.SetLive(group.name, pointer.live);
    views.freshness().Advance(group.name, ReachedOf(now->positions()));
    now->Start();
  }

  void Build(Then then, std::function<void(Result<RebuildStatus>)> done) {
    if (building) return done(Fail(Code::kConflict, "a version of '{}' is already being built", group.name));
    building = true;
    const std::string name = NextName();
    auto made = projections::Rebuild::Start(env, group, name, projector, limits, CallbacksOf(name),
                                            [weak = weak_from_this(), then, done](Result<projections::Rebuild::Built> built) {
                                              if (const auto impl = weak.lock()) impl->Built_(then, std::move(built), done);
                                            });
    const std::lock_guard lock(mutex);
    rebuild = std::move(made);
  }

  void Built_(Then then, Result<projections::Rebuild::Built> built, const std::function<void(Result<RebuildStatus>)>& done) {
    if (!built) {
      building = false;
      return done(built.error());
    }
    std::shared_ptr<Projector> next = built->projector;
    if (then == Then::kCompare) {
      next->Stop();
      env.databases.Drop(next->database()).IgnoreError("no pointer names it: it is dropped at the next start");
      building = false;
      return done(rebuild->status());
    }
    // The old one stands still from here; the new one goes at least as far, so that no reader sees time go back.
    if (projector == nullptr) return Switch(next, done);
    std::vector<Lsn> last;
    for (const journal::Position& position : projector->positions()) last.push_back(position.lsn);
    projector->Stop();
    following = std::move(next);
    following->RunTo(std::move(last), Projector::Beyond::kGoOn, [weak = weak_from_this(), done] {
      if (const auto impl = weak.lock(); impl != nullptr && !impl->stopping) impl->Switch(std::exchange(impl->following, nullptr), done);
    });
  }

  void Switch(const std::shared_ptr<Projector>& next, const std::function<void(Result<RebuildStatus>)>& done) {
    building = false;
    const sql::LivePointer before = pointer;
    auto switched = next->BecomeLive();
    if (switched) switched = env.databases.SetLive(group.name, {next->database(), before.live});
    if (!switched) {
      next->Stop();
      if (projector != nullptr) Reopen(before.live);
      return done(switched.error());
    }
    SetPointer({next->database(), before.live});
    GoLive(next);
    if (auto dropped = DropUnnamed(); !dropped) return done(dropped.error());
    done(rebuild->status());
  }

  // Goes on with a database whose projector was stopped.
  void Reopen(const std::string& database) {
    auto opened = Projector::Open(env, group, database, Mode::kLive, limits, CallbacksOf(database));
    if (opened) return GoLive(std::move(opened).value());
    SetProjector(nullptr);
    const std::lock_guard lock(mutex);
    stopped_why = opened.error().ToString();
  }

  Result<void> Rollback() {
    if (building) return Fail(Code::kConflict, "a version of '{}' is being built", group.name);
    if (pointer.previous.empty()) return Fail(Code::kNotFound, "'{}' has no previous version", group.name);
    const sql::LivePointer back{pointer.previous, pointer.live};
    MAILY_TRY(auto opened, Projector::Open(env, group, back.live, Mode::kLive, limits, CallbacksOf(back.live)));
    MAILY_TRY_VOID(env.databases.SetLive(group.name, back));
    if (projector != nullptr) projector->Stop();
    SetPointer(back);
    GoLive(std::move(opened));
    return Ok();
  }

  struct DigestRun {
    std::unique_ptr<sql::Connection> snapshot;
    std::unique_ptr<Digester> digester;
    std::vector<journal::Position> positions;
    std::function<void(Result<VerifiedDigest>)> done;
  };
  Result<std::unique_ptr<DigestRun>> BeginDigest() {
    if (projector == nullptr) return Fail(Code::kRetry, "the read models '{}' are being built", group.name);
    auto run = std::make_unique<DigestRun>();
    MAILY_TRY(run->snapshot, env.databases.Open(pointer.live, sql::Purpose::kRead));
    MAILY_TRY_VOID(run->snapshot->Begin());
    MAILY_TRY(run->positions, ReadPositions(*run->snapshot));
    run->digester = std::make_unique<Digester>(*run->snapshot, group);
    return run;
  }
  void DigestSlice(std::unique_ptr<DigestRun> run) {
    auto done = run->digester->Step(kDigestRowsASlice);
    if (!done) return run->done(done.error());
    if (*done) return run->done(VerifiedDigest{run->digester->digest(), run->positions});
    Post([run = std::move(run)](Impl& impl) mutable { impl.DigestSlice(std::move(run)); });
  }

  void Stop() {
    stopping = true;
    if (building && rebuild != nullptr) rebuild->Abandon();
    if (following != nullptr) following->Stop();
    if (projector != nullptr) projector->Stop();
    views.SetLive(group.name, "");
  }

  const ProjectionEnvironment env;
  const Group& group;
  Views& views;
  const ProjectorLimits limits;
  bool building = false;
  bool stopping = false;
  std::shared_ptr<Projector> following;  // built, and about to be switched to

  mutable std::mutex mutex;  // guards the rest where other threads read it; written on the executor only
  sql::LivePointer pointer;
  std::shared_ptr<Projector> projector;  // the live one; null = none, or it stands still
  std::shared_ptr<projections::Rebuild> rebuild;
  std::vector<journal::Position> shown;
  std::string stopped_why;
  std::vector<observe::Metrics::Probe> probes;
};

Projection::Projection(const ProjectionEnvironment& env, const Group& group, Views& views, ProjectorLimits limits)
    : impl_(std::make_shared<Impl>(env, group, views, limits)) {
  views.freshness().OnWait(group.name, [weak = std::weak_ptr(impl_)] {
    const auto impl = weak.lock();
    if (impl == nullptr) return;
    std::shared_ptr<Projector> live;
    {
      const std::lock_guard lock(impl->mutex);
      live = impl->projector;
    }
    if (live != nullptr) live->Hurry();
  });
}
Projection::~Projection() = default;

void Projection::Start(std::function<void(Result<void>)> ready) {
  impl_->Post([ready = std::move(ready)](Impl& impl) mutable { impl.TryStart(std::move(ready)); });
}

void Projection::Stop(std::function<void()> stopped) {
  impl_->Post([stopped = std::move(stopped)](Impl& impl) {
    impl.Stop();
    std::vector<observe::Metrics::Probe> probes;
    {
      const std::lock_guard lock(impl.mutex);
      probes.swap(impl.probes);
    }
    probes.clear();
    stopped();
  });
}

void Projection::Rebuild(Then then, std::function<void(Result<RebuildStatus>)> done) {
  impl_->Post([then, done = std::move(done)](Impl& impl) { impl.Build(then, done); });
}

void Projection::Rollback(std::function<void(Result<void>)> done) {
  impl_->Post([done = std::move(done)](Impl& impl) { done(impl.Rollback()); });
}

void Projection::Digest(std::function<void(Result<VerifiedDigest>)> done) {
  impl_->Post([done = std::move(done)](Impl& impl) {
    auto run = impl.BeginDigest();
    if (!run) return done(run.error());
    (*run)->done = done;
    impl.DigestSlice(std::move(run).value());
  });
}

ProjectionStatus Projection::Status() const {
  const std::lock_guard lock(impl_->mutex);
  ProjectionStatus status{.group = impl_->group.name, .live = impl_->pointer.live, .previous = impl_->pointer.previous};
  status.positions = impl_->shown;
  if (impl_->projector != nullptr) {
    for (uint16_t p = 0; p < impl_->env.partition_count; ++p) {
      const Projector::Lag lag = impl_->projector->LagOf(PartitionId(p));
      status.lag_records = std::max(status.lag_records, lag.records);
      status.lag = std::max(status.lag, lag.time);
    }
  }
  if (impl_->rebuild != nullptr) status.rebuild = impl_->rebuild->status();
  status.stopped = impl_->stopped_why;
  return status;
}

void Projection::Report(observe::Metrics& metrics) {
  std::vector<observe::Metrics::Probe> probes;
  for (uint16_t p = 0; p < impl_->env.partition_count; ++p) {
    const observe::Labels labels{{"projection", impl_->group.name}, {"partition", std::to_string(p)}};
    const auto lag = [weak = std::weak_ptr(impl_), p] {
      const auto impl = weak.lock();
      if (impl == nullptr) return Projector::Lag{};
      std::shared_ptr<Projector> live;
      {
        const std::lock_guard lock(impl->mutex);
        live = impl->projector;
      }
      return live == nullptr ? Projector::Lag{} : live->LagOf(PartitionId(p));
    };
    probes.push_back(metrics.AddProbe("maily_projection_lag_records", "Journal records that the projection has not folded.", labels,
                                      [lag] { return static_cast<double>(lag().records); }));
    probes.push_back(metrics.AddProbe("maily_projection_lag_seconds", "Age of the last folded frame while the projection is behind.",
                                      labels, [lag] { return static_cast<double>(lag().time.us) / 1e6; }));
  }
  const std::lock_guard lock(impl_->mutex);
  impl_->probes = std::move(probes);
}

}  // namespace maily::projections
