// Folds events of journeys. Rows of an instance belong to its contact's partition, those of a definition to the tenant's home; sums of
// steps are added to by all.
#include "projections/journeys/fold.h"

#include <map>
#include <tuple>

#include "maily/journeys/v1/events.pb.h"
#include "projections/journeys/sql.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace journeys = maily::journeys::v1;

constexpr int64_t kMicros = 1'000'000;

std::string_view KindName(journeys::MoveKind kind) {
  switch (kind) {
    case journeys::MOVE_ENTERED:
      return "entered";
    case journeys::MOVE_PASSED:
      return "passed";
    case journeys::MOVE_SENT:
      return "sent";
    case journeys::MOVE_SKIPPED:
      return "skipped";
    case journeys::MOVE_WAITS:
      return "waits";
    case journeys::MOVE_HELD:
      return "held";
    case journeys::MOVE_RELEASED:
      return "released";
    case journeys::MOVE_REMAPPED:
      return "remapped";
    case journeys::MOVE_DEFERRED:
      return "deferred";
    case journeys::MOVE_UPDATED:
      return "updated";
    case journeys::MOVE_LEFT:
      return "left";
    case journeys::MOVE_KIND_UNSPECIFIED:
    default:
      return "unknown";
  }
}

std::string_view StatusAfter(const journeys::JourneyMove& move) {
  if (move.kind() == journeys::MOVE_LEFT) return "over";
  if (move.kind() == journeys::MOVE_HELD) return "held";
  if (move.kind() == journeys::MOVE_WAITS || move.kind() == journeys::MOVE_DEFERRED) return "waiting";
  return move.kind() == journeys::MOVE_REMAPPED && move.due_s() != 0 ? "waiting" : "ready";
}

class JourneysFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<JourneysFold>();
    MAILY_TRY(fold->define_, setup.Prepare("define"));
    MAILY_TRY(fold->add_version_, setup.Prepare("add_version"));
    MAILY_TRY(fold->archive_, setup.Prepare("archive"));
    MAILY_TRY(fold->pause_, setup.Prepare("pause"));
    MAILY_TRY(fold->enter_, setup.Prepare("enter"));
    MAILY_TRY(fold->stand_, setup.Prepare("stand"));
    MAILY_TRY(fold->add_move_, setup.Prepare("add_move"));
    MAILY_TRY(fold->add_step_, setup.Prepare("add_step"));
    MAILY_TRY(fold->add_end_, setup.Prepare("add_end"));
    setup.handlers.On(fold.get(), &JourneysFold::Defined);
    setup.handlers.On(fold.get(), &JourneysFold::Archived);
    setup.handlers.On(fold.get(), &JourneysFold::Paused);
    setup.handlers.On(fold.get(), &JourneysFold::Resumed);
    setup.handlers.On(fold.get(), &JourneysFold::Moved);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  struct Sums {
    int64_t entered = 0;
    int64_t here = 0;
    int64_t sent = 0;
    int64_t skipped = 0;
    int64_t updated = 0;
    int64_t deferred = 0;
    int64_t without_zone = 0;
  };

  Result<void> Defined(const EventAt& at, const journeys::JourneyDefined& e) {
    MAILY_TRY_VOID(sql::Do(*define_, at.tenant.value(), e.journey_id(), std::string_view(e.name()), e.version().number(),
                           std::string_view(e.version().json()), at.time.us));
    return sql::Do(*add_version_, at.tenant.value(), e.journey_id(), e.version().number(), std::string_view(e.version().json()),
                   at.time.us);
  }
  Result<void> Archived(const EventAt& at, const journeys::JourneyArchived& e) {
    return sql::Do(*archive_, at.tenant.value(), e.journey_id(), at.time.us);
  }
  Result<void> Paused(const EventAt& at, const journeys::JourneyPaused& e) {
    return sql::Do(*pause_, at.tenant.value(), e.journey_id(), 1);
  }
  Result<void> Resumed(const EventAt& at, const journeys::JourneyResumed& e) {
    return sql::Do(*pause_, at.tenant.value(), e.journey_id(), 0);
  }

  Result<void> Moved(const EventAt& at, const journeys::JourneysMoved& e) {
    std::map<std::pair<uint64_t, std::string>, Sums> steps;
    std::map<std::tuple<uint64_t, std::string, std::string>, int64_t> ends;
    int64_t place = 0;
    for (const journeys::JourneyMove& move : e.moves()) {
      MAILY_TRY_VOID(One(at, move, place++));
      Sums& before = steps[{move.journey_id(), move.step()}];
      Sums& after = steps[{move.journey_id(), move.next()}];
      if (move.zone_missing() && move.kind() != journeys::MOVE_DEFERRED) ++after.without_zone;
      switch (move.kind()) {
        case journeys::MOVE_DEFERRED:
          ++after.deferred;
          continue;
        case journeys::MOVE_UPDATED:
          ++before.updated;
          break;
        case journeys::MOVE_SENT:
          ++before.sent;
          break;
        case journeys::MOVE_SKIPPED:
          ++before.skipped;
          break;
        case journeys::MOVE_LEFT:
          ++ends[{move.journey_id(), move.step(), move.why()}];
          --before.here;
          continue;
        case journeys::MOVE_ENTERED:
          ++after.entered;
          ++after.here;
          continue;
        case journeys::MOVE_PASSED:
        case journeys::MOVE_REMAPPED:
          break;
        default:
          continue;
      }
      --before.here;
      ++after.here;
      ++after.entered;
    }
    for (const auto& [which, sums] : steps) {
      MAILY_TRY_VOID(sql::Do(*add_step_, at.tenant.value(), which.first, std::string_view(which.second), sums.entered, sums.here, sums.sent,
                             sums.skipped, sums.updated, sums.deferred, sums.without_zone));
    }
    for (const auto& [which, instances] : ends) {
      const auto& [journey_id, step, reason] = which;
      MAILY_TRY_VOID(sql::Do(*add_end_, at.tenant.value(), journey_id, std::string_view(step), std::string_view(reason), instances));
    }
    return Ok();
  }

  Result<void> One(const EventAt& at, const journeys::JourneyMove& move, int64_t place) {
    const auto contact_id = at.ContactId(move.ordinal());
    const std::optional<int64_t> due_at_us = move.due_s() == 0 ? std::nullopt : std::optional<int64_t>(move.due_s() * kMicros);
    const sql::Value message_id = move.message_id() == 0 ? sql::Value::Null() : sql::Value::Text(std::to_string(move.message_id()));
    MAILY_TRY_VOID(sql::Do(*add_move_, at.tenant.value(), contact_id, at.sequence(), place, move.journey_id(), sql::Blob{move.key()},
                           move.version(), at.time.us, KindName(move.kind()), std::string_view(move.step()), std::string_view(move.next()),
                           std::string_view(move.why()), due_at_us, message_id, std::string_view(move.event_id()),
                           std::string_view(move.zone()), int64_t{move.zone_missing()}));
    if (move.kind() == journeys::MOVE_ENTERED) {
      return sql::Do(*enter_, at.tenant.value(), contact_id, move.journey_id(), sql::Blob{move.key()}, move.version(),
                     std::string_view(move.next()), std::string_view(move.why()), at.time.us, std::string_view(move.event_id()));
    }
    const std::string& step = move.kind() == journeys::MOVE_LEFT ? move.step() : move.next();
    return sql::Do(*stand_, at.tenant.value(), contact_id, move.journey_id(), sql::Blob{move.key()}, move.version(), std::string_view(step),
                   StatusAfter(move), std::string_view(move.why()), at.time.us, due_at_us, std::string_view(move.zone()),
                   int64_t{move.zone_missing()});
  }

  sql::Statement* define_ = nullptr;
  sql::Statement* add_version_ = nullptr;
  sql::Statement* archive_ = nullptr;
  sql::Statement* pause_ = nullptr;
  sql::Statement* enter_ = nullptr;
  sql::Statement* stand_ = nullptr;
  sql::Statement* add_move_ = nullptr;
  sql::Statement* add_step_ = nullptr;
  sql::Statement* add_end_ = nullptr;
};

}  // namespace

ReadModel JourneysReadModel() {
  return {.name = "journeys",
          .version = 2,
          .schema_sql = journeys_sql::kSchema,
          .queries_sql = journeys_sql::kQueries,
          .tables = {{"journeys"}, {"journey_versions"}, {"journey_instances"}, {"journey_moves"}, {"journey_steps"}, {"journey_ends"}},
          .make = &JourneysFold::Make};
}

}  // namespace maily::projections
