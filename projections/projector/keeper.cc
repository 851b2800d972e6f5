// See keeper.h.
#include "projections/projector/keeper.h"

#include <mutex>

#include "projections/projector/spectator.h"
#include "streams/observe/logging.h"

namespace maily::projections {
namespace {

constexpr Duration kFirstLook = Milliseconds(100);       // until queries are answered
const std::string kOvertaken = CodeName(Code::kFenced);  // how the status of one begins that was overtaken

}  // namespace

struct Keeper::Impl : std::enable_shared_from_this<Impl> {
  Impl(const ProjectionEnvironment& e, const Group& g, Views& v, KeeperOptions o)
      : env(e), group(g), views(v), options(std::move(o)), metrics(observe::Metrics::Process()) {
    folds_here = metrics.AddGauge("maily_projection_folded_here", "1 while this process folds the group; 0: another one does, or none.",
                                  {{"projection", group.name}});
  }

  void Turn() {
    timer = 0;
    if (stopping) return;
    options.folds ? Ask() : AskWho();
    if (ready && spectator != nullptr && !spectator->positions().empty()) Ready(Ok());
    timer = env.executor.After(ready ? std::min(kFirstLook, options.turn) : options.turn, [weak = weak_from_this()] {
      if (const auto impl = weak.lock()) impl->Turn();
    });
  }

  void AskWho() {
    if (auto found = env.databases.Holder(group.name)) {
      const std::lock_guard lock(mutex);
      holder = std::move(*found);
    }
  }

  void Ask() {
    if (changing) return;
    const auto held = env.databases.Hold(group.name, options.holder, options.lease);
    if (!held) return;  // the database does not answer: who folds goes on when it does, the fence keeps others apart
    {
      const std::lock_guard lock(mutex);
      holder = held->holder;
    }
    const bool folding = projection != nullptr;
    if (held->mine && !folding) return Fold();
    if (!folding) return;
    if (!held->mine) return LookOn("the lease is another process's: " + held->holder);
    const std::string stopped = projection->Status().stopped;
    if (stopped.starts_with(kOvertaken)) LookOn(stopped);
  }

  void Fold() {
    observe::Log(observe::Level::kInfo, "read models are folded here", {{"group", group.name}});
    Look(nullptr);
    auto made = std::make_shared<Projection>(env, group, views, options.limits);
    made->Report(metrics);
    Become(made);
    made->Start([weak = weak_from_this(), mine = std::weak_ptr(made)](const Result<void>& started) {
      const auto impl = weak.lock();
      if (impl != nullptr && impl->projection == mine.lock()) impl->Ready(started);
    });
  }

  void LookOn(const std::string& why) {
    if (projection != nullptr) {
      observe::Log(observe::Level::kWarn, "read models are not folded here any more", {{"group", group.name}, {"why", why}});
      changing = true;
      const std::shared_ptr<Projection> old = projection;
      return old->Stop([weak = weak_from_this(), old] {
        const auto impl = weak.lock();
        if (impl == nullptr) return;
        impl->changing = false;
        impl->Become(nullptr);
        if (!impl->stopping) impl->LookOn("");
      });
    }
    Look(std::make_unique<Spectator>(env.databases, env.executor, group.name, views));
    spectator->Start();
  }

  void Look(std::unique_ptr<Spectator> now) {
    {
      const std::lock_guard lock(mutex);
      spectator.swap(now);
    }
    now.reset();
  }
  void Become(std::shared_ptr<Projection> now) {
    folds_here.Set(now == nullptr ? 0 : 1);
    const std::lock_guard lock(mutex);
    projection = std::move(now);
  }
  void Ready(const Result<void>& started) {
    if (ready) std::exchange(ready, nullptr)(started);
  }

  void Stop(std::function<void()> stopped) {
    stopping = true;
    if (timer != 0) env.executor.Cancel(timer);
    Look(nullptr);
    const auto end = [self = shared_from_this(), stopped = std::move(stopped)] {
      self->Become(nullptr);
      if (self->options.folds) self->env.databases.Release(self->group.name, self->options.holder).IgnoreError("the lease ends by itself");
      stopped();
    };
    if (projection == nullptr) return end();
    // Also where it is being stopped already: its stop is posted behind that one.
    projection->Stop([end, old = projection] { end(); });
  }

  const ProjectionEnvironment env;
  const Group& group;
  Views& views;
  const KeeperOptions options;
  observe::Metrics& metrics;
  observe::Gauge folds_here;
  std::function<void(Result<void>)> ready;
  TimerId timer = 0;
  bool changing = false;
  bool stopping = false;

  mutable std::mutex mutex;  // guards the rest where other threads read it; written on the executor only
  std::shared_ptr<Projection> projection;
  std::unique_ptr<Spectator> spectator;
  std::string holder;
};

Keeper::Keeper(const ProjectionEnvironment& env, const Group& group, Views& views, KeeperOptions options)
    : impl_(std::make_shared<Impl>(env, group, views, std::move(options))) {}
Keeper::~Keeper() = default;

void Keeper::Start(std::function<void(Result<void>)> ready) {
  impl_->env.executor.Post([impl = impl_, ready = std::move(ready)]() mutable {
    impl->ready = std::move(ready);
    impl->Turn();
    // A lease that was not given: what others fold is looked at.
    if (impl->projection == nullptr && impl->spectator == nullptr && !impl->stopping) impl->LookOn("");
  });
}

void Keeper::Stop(std::function<void()> stopped) {
  impl_->env.executor.Post([impl = impl_, stopped = std::move(stopped)]() mutable { impl->Stop(std::move(stopped)); });
}

const std::string& Keeper::group() const { return impl_->group.name; }

std::shared_ptr<Projection> Keeper::folding() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->projection;
}

std::string Keeper::holder() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->holder;
}

ProjectionStatus Keeper::Status() const {
  if (const auto projection = folding()) return projection->Status();
  ProjectionStatus status{.group = impl_->group.name, .live = impl_->views.live(impl_->group.name)};
  const std::lock_guard lock(impl_->mutex);
  if (impl_->spectator != nullptr) status.positions = impl_->spectator->positions();
  return status;
}

}  // namespace maily::projections
