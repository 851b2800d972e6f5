// See spectator.h.
#include "projections/projector/spectator.h"

#include <mutex>

#include "projections/projector/projector.h"
#include "projections/projector/reached.h"

namespace maily::projections {
namespace {

constexpr Duration kWatchedPause = Milliseconds(5);
constexpr Duration kPause = Milliseconds(250);

}  // namespace

struct Spectator::Impl : std::enable_shared_from_this<Impl> {
  Impl(sql::Databases& databases_in, Executor& executor_in, std::string group_in, Views& views_in)
      : databases(databases_in), executor(executor_in), group(std::move(group_in)), views(views_in) {}

  Result<void> Look() {
    MAILY_TRY(const auto pointer, databases.Live(group));
    if (!pointer || pointer->live.empty()) return Fail(Code::kRetry, "there is no live version yet");
    if (connection == nullptr || pointer->live != live) {
      MAILY_TRY(connection, databases.Open(pointer->live, sql::Purpose::kRead));
      live = pointer->live;
    }
    MAILY_TRY(auto read, ReadPositions(*connection));
    // Shown first: a reader that is told it is fresh asks this version.
    if (views.live(group) != live) views.SetLive(group, live);
    views.freshness().Advance(group, ReachedOf(read));
    const std::lock_guard lock(mutex);
    seen = std::move(read);
    return Ok();
  }

  void Turn() {
    timer = 0;
    const auto looked = Look();
    if (!looked) connection.reset();
    {
      const std::lock_guard lock(mutex);
      trouble = looked ? "" : looked.error().ToString();
    }
    Pause(looked && views.freshness().waiting() > 0 ? kWatchedPause : kPause);
  }
  void Pause(Duration pause) {
    soon = pause < kPause;
    timer = executor.After(pause, [weak = weak_from_this()] {
      if (const auto impl = weak.lock()) impl->Turn();
    });
  }
  // Somebody begins to wait.
  void Hurry() {
    if (soon || timer == 0) return;
    executor.Cancel(timer);
    Turn();
  }

  sql::Databases& databases;
  Executor& executor;
  const std::string group;
  Views& views;
  std::string live;
  std::unique_ptr<sql::Connection> connection;  // to `live`
  TimerId timer = 0;
  bool soon = false;  // the pause is short already

  mutable std::mutex mutex;
  std::vector<journal::Position> seen;
  std::string trouble;
};

Spectator::Spectator(sql::Databases& databases, Executor& executor, std::string group, Views& views)
    : impl_(std::make_shared<Impl>(databases, executor, std::move(group), views)) {}
Spectator::~Spectator() = default;

void Spectator::Start() {
  impl_->views.freshness().OnWait(impl_->group, [weak = std::weak_ptr(impl_)] {
    const auto impl = weak.lock();
    if (impl == nullptr) return;
    impl->executor.Post([weak] {
      if (const auto self = weak.lock()) self->Hurry();
    });
  });
  impl_->executor.Post([weak = std::weak_ptr(impl_)] {
    if (const auto impl = weak.lock()) impl->Turn();
  });
}

std::vector<journal::Position> Spectator::positions() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->seen;
}

std::string Spectator::trouble() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->trouble;
}

}  // namespace maily::projections
