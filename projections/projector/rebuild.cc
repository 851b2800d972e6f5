// Implements the rebuild; the steps are numbered as in the header.
#include "projections/projector/rebuild.h"

#include <mutex>

namespace maily::projections {
namespace {

constexpr size_t kDigestRowsASlice = 5'000;  // about 5 ms

std::vector<Lsn> LsnsOf(const std::vector<journal::Position>& positions) {
  std::vector<Lsn> lsns;
  for (const journal::Position& position : positions) lsns.push_back(position.lsn);
  return lsns;
}

}  // namespace

std::string_view RebuildPhaseName(RebuildPhase phase) {
  switch (phase) {
    case RebuildPhase::kBuilding:
      return "building";
    case RebuildPhase::kCatchingUp:
      return "catching_up";
    case RebuildPhase::kVerifying:
      return "verifying";
    case RebuildPhase::kFollowing:
      return "following";
    case RebuildPhase::kDone:
      return "done";
    case RebuildPhase::kFailed:
      return "failed";
  }
  return "failed";
}

struct Rebuild::Impl {
  Impl(const ProjectionEnvironment& e, const Group& g, std::string name, std::shared_ptr<Projector> old, ProjectorLimits l,
       Projector::Callbacks c, std::function<void(Result<Built>)> d)
      : env(e), group(g), database(std::move(name)), live(std::move(old)), limits(l), callbacks(std::move(c)), done(std::move(d)) {}

  // Runs `step` later, unless the rebuild has ended by then.
  template <class Step>
  Job Then(Step step) {
    return [weak = self->weak_from_this(), step = std::move(step)]() mutable {
      const auto rebuild = weak.lock();
      if (rebuild == nullptr || rebuild->impl_->ended) return;
      Impl& impl = *rebuild->impl_;
      if (auto result = step(impl); !result) impl.Fail(result.error());
    };
  }

  // 1.
  Result<void> Build() {
    started = env.clock.Steady();
    MAILY_TRY_VOID(env.databases.Drop(database));
    Projector::Callbacks own = callbacks;
    own.stopped = [weak = self->weak_from_this(), later = callbacks.stopped](const Error& error) {
      const auto rebuild = weak.lock();
      if (rebuild != nullptr && !rebuild->impl_->ended) return rebuild->impl_->Fail(error);
      if (later) later(error);  // it has gone live since
    };
    MAILY_TRY(auto opened, Projector::Open(env, group, database, Mode::kBuild, limits, std::move(own)));
    {
      const std::lock_guard lock(mutex);
      projector = std::move(opened);
    }
    projector->Start();
    if (live == nullptr) {
      projector->RunToEnd(Then([](Impl& impl) { return impl.Follow(); }));
    } else {
      projector->RunTo(LsnsOf(live->positions()), Projector::Beyond::kStopThere, Then([](Impl& impl) { return impl.CatchUp(); }));
    }
    return Ok();
  }

  // 2.
  Result<void> CatchUp() {
    Enter(RebuildPhase::kCatchingUp);
    MAILY_TRY(snapshot, env.databases.Open(live->database(), sql::Purpose::kRead));
    MAILY_TRY_VOID(snapshot->Begin());
    MAILY_TRY(const auto positions, ReadPositions(*snapshot));
    projector->RunTo(LsnsOf(positions), Projector::Beyond::kStopThere, Then([](Impl& impl) { return impl.Verify(); }));
    return Ok();
  }

  // 3.
  Result<void> Verify() {
    Enter(RebuildPhase::kVerifying);
    MAILY_TRY(const auto theirs, ReadPositions(*snapshot));
    for (size_t p = 0; p < theirs.size(); ++p) {
      const journal::Position& ours = projector->positions()[p];
      if (ours.chain != theirs[p].chain || ours.seq != theirs[p].seq) {
        return maily::Fail(Code::kDiverged, "{}: partition {} stands at lsn {} by another history than {}", database, p, ours.lsn.value(),
                           live->database());
      }
    }
    expected = std::make_unique<Digester>(*snapshot, group);
    actual = std::make_unique<Digester>(projector->connection(), group);
    return DigestSlice();
  }
  Result<void> DigestSlice() {
    if (!expected_done) {
      MAILY_TRY(expected_done, expected->Step(kDigestRowsASlice));
    } else {
      MAILY_TRY(const bool all, actual->Step(kDigestRowsASlice));
      if (all) return Compare();
    }
    env.executor.Post(Then([](Impl& impl) { return impl.DigestSlice(); }));
    return Ok();
  }
  Result<void> Compare() {
    const std::string table = expected->digest().Difference(actual->digest());
    if (!table.empty()) {
      return maily::Fail(Code::kDiverged,
                         "{} differs from {} in table {}: the live rows were damaged, or a fold depends on more than the journal", database,
                         live->database(), table);
    }
    {
      const std::lock_guard lock(mutex);
      digest = actual->digest();
      compared = true;
    }
    expected.reset();
    actual.reset();
    snapshot.reset();
    return Follow();
  }

  // 4.
  Result<void> Follow() {
    Enter(RebuildPhase::kFollowing);
    MAILY_TRY_VOID(projector->MakeDurable());
    auto finish = Then([](Impl& impl) { return impl.Finish(); });
    if (live == nullptr) {
      projector->RunToEnd(std::move(finish));
    } else {
      projector->RunTo(LsnsOf(live->positions()), Projector::Beyond::kGoOn, std::move(finish));
    }
    return Ok();
  }
  Result<void> Finish() {
    Enter(RebuildPhase::kDone);
    ended = true;
    live.reset();
    done(Built{projector, digest, compared});
    return Ok();
  }

  void Fail(const Error& error) {
    End(RebuildPhase::kFailed, error.ToString());
    done(error);
  }
  void End(RebuildPhase last, std::string why) {
    ended = true;
    expected.reset();
    actual.reset();
    snapshot.reset();
    live.reset();
    if (projector != nullptr) projector->Stop();
    env.databases.Drop(database).IgnoreError("no pointer names it: it is dropped at the next start");
    const std::lock_guard lock(mutex);
    phase = last;
    error_text = std::move(why);
    elapsed_at_end = env.clock.Steady() - started;
  }
  void Enter(RebuildPhase now) {
    const std::lock_guard lock(mutex);
    phase = now;
    if (now == RebuildPhase::kDone) elapsed_at_end = env.clock.Steady() - started;
  }

  const ProjectionEnvironment env;
  const Group& group;
  const std::string database;
  std::shared_ptr<Projector> live;
  const ProjectorLimits limits;
  const Projector::Callbacks callbacks;
  const std::function<void(Result<Built>)> done;
  Rebuild* self = nullptr;
  bool ended = false;
  Duration started;

  std::unique_ptr<sql::Connection> snapshot;  // outlives expected
  std::unique_ptr<Digester> expected;
  std::unique_ptr<Digester> actual;
  bool expected_done = false;

  mutable std::mutex mutex;  // guards the rest, which status() reads; written on the executor only
  std::shared_ptr<Projector> projector;
  RebuildPhase phase = RebuildPhase::kBuilding;
  GroupDigest digest;
  bool compared = false;
  std::string error_text;
  Duration elapsed_at_end;
};

Rebuild::Rebuild(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) { impl_->self = this; }
Rebuild::~Rebuild() = default;

std::shared_ptr<Rebuild> Rebuild::Start(const ProjectionEnvironment& env, const Group& group, std::string database,
                                        std::shared_ptr<Projector> live, ProjectorLimits limits, Projector::Callbacks callbacks,
                                        std::function<void(Result<Built>)> done) {
  auto impl = std::make_unique<Impl>(env, group, std::move(database), std::move(live), limits, std::move(callbacks), std::move(done));
  std::shared_ptr<Rebuild> rebuild(new Rebuild(std::move(impl)));
  env.executor.Post(rebuild->impl_->Then([](Impl& i) { return i.Build(); }));
  return rebuild;
}

void Rebuild::Abandon() {
  if (!impl_->ended) impl_->End(RebuildPhase::kFailed, "abandoned");
}

RebuildStatus Rebuild::status() const {
  const std::lock_guard lock(impl_->mutex);
  RebuildStatus status{.group = impl_->group.name, .database = impl_->database, .phase = impl_->phase};
  if (impl_->projector != nullptr) {
    const Projector::Progress progress = impl_->projector->progress();
    status.records_done = progress.records_done;
    status.records_total = progress.records_total;
  }
  const bool over = status.phase == RebuildPhase::kDone || status.phase == RebuildPhase::kFailed;
  status.elapsed = over ? impl_->elapsed_at_end : impl_->env.clock.Steady() - impl_->started;
  if (!over && status.records_done > 0) {
    const double left = static_cast<double>(status.records_total - status.records_done) / static_cast<double>(status.records_done);
    status.remaining = {static_cast<int64_t>(static_cast<double>(status.elapsed.us) * left)};
  }
  status.compared = impl_->compared;
  if (impl_->compared) status.digest = impl_->digest.ToHex();
  status.error = impl_->error_text;
  return status;
}

}  // namespace maily::projections
