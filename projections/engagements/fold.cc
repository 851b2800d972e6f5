// Folds events of engagements.
#include "projections/engagements/fold.h"

#include <algorithm>
#include <map>

#include "maily/engagements/v1/events.pb.h"
#include "projections/engagements/sql.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace engagements = maily::engagements::v1;

// engagement_kinds
enum Kind : int { kOpened = 1, kClicked = 2, kUnsubscribed = 3, kEvent = 4 };

// An open or click.
struct Row {
  uint32_t tenant;
  int64_t contact_id;
  int64_t sequence;
  Kind kind;
  uint64_t campaign_id;
  std::optional<int64_t> link;
  engagements::AgentClass agent;
  Instant at;
};

class EngagementsFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<EngagementsFold>();
    MAILY_TRY(fold->record_, setup.Prepare("record"));
    MAILY_TRY(fold->add_, setup.Prepare("add_engagements"));
    setup.handlers.On(fold.get(), &EngagementsFold::Opened);
    setup.handlers.On(fold.get(), &EngagementsFold::Clicked);
    setup.handlers.On(fold.get(), &EngagementsFold::Unsubscribed);
    setup.handlers.On(fold.get(), &EngagementsFold::Recorded);
    return std::unique_ptr<Fold>(std::move(fold));
  }

  Result<void> Flush() override {
    MAILY_TRY_VOID(WriteSignals());
    for (const auto& [key, n] : added_) {
      const auto& [tenant, kind, name] = key;
      MAILY_TRY_VOID(sql::Do(*add_, tenant, kind, std::string_view(name), n));
    }
    added_.clear();
    return Ok();
  }

 private:
  void Count(const EventAt& at, Kind kind, const std::string& name) { ++added_[{at.tenant.value(), static_cast<int>(kind), name}]; }

  Result<void> Opened(const EventAt& at, const engagements::Opened& e) {
    Count(at, kOpened, {});
    return Keep(at, e.ordinal(), kOpened, e.campaign_id(), std::nullopt, e.agent());
  }
  Result<void> Clicked(const EventAt& at, const engagements::Clicked& e) {
    Count(at, kClicked, {});
    return Keep(at, e.ordinal(), kClicked, e.campaign_id(), e.link(), e.agent());
  }
  Result<void> Keep(const EventAt& at, uint64_t ordinal, Kind kind, uint64_t campaign_id, std::optional<int64_t> link,
                    engagements::AgentClass agent) {
    signals_.push_back({at.tenant.value(), at.ContactId(ordinal), at.sequence(), kind, campaign_id, link, agent, at.time});
    return Ok();
  }
  // Rows of one contact are neighbours: in the order of the table a page is looked for once.
  Result<void> WriteSignals() {
    std::ranges::sort(signals_, {}, [](const Row& row) { return std::tuple(row.tenant, row.contact_id, row.sequence); });
    constexpr auto none = std::nullopt;
    for (const Row& row : signals_) {
      MAILY_TRY_VOID(sql::Do(*record_, row.tenant, row.contact_id, row.sequence, static_cast<int>(row.kind), row.campaign_id, row.link,
                             none, none, none, none, static_cast<int>(row.agent), row.at.us, row.at.us));
    }
    signals_.clear();
    return Ok();
  }
  Result<void> Unsubscribed(const EventAt& at, const engagements::Unsubscribed& e) {
    Count(at, kUnsubscribed, {});
    constexpr auto none = std::nullopt;
    return sql::Do(*record_, at.tenant.value(), at.ContactId(e.ordinal()), at.sequence(), static_cast<int>(kUnsubscribed), e.campaign_id(),
                   none, std::string_view(e.method()), none, none, none, none, at.time.us, at.time.us);
  }
  Result<void> Recorded(const EventAt& at, const engagements::ContactEventRecorded& e) {
    Count(at, kEvent, e.name());
    return sql::Do(*record_, at.tenant.value(), at.ContactId(e.ordinal()), at.sequence(), static_cast<int>(kEvent), std::nullopt,
                   std::nullopt, std::string_view(e.name()), std::string_view(e.event_id()), e.revenue_cents(),
                   std::string_view(e.currency()), std::nullopt, e.occurred_at_us() == 0 ? at.time.us : e.occurred_at_us(), at.time.us);
  }

  sql::Statement* record_ = nullptr;
  sql::Statement* add_ = nullptr;
  std::vector<Row> signals_;                                         // since the last flush
  std::map<std::tuple<uint32_t, int, std::string>, int64_t> added_;  // tenant, kind, name -> since the last flush
};

}  // namespace

ReadModel EngagementsReadModel() {
  return {.name = "engagements",
          .version = 3,
          .schema_sql = engagements_sql::kSchema,
          .queries_sql = engagements_sql::kQueries,
          .tables = {{"engagements"},
                     {"engagement_kinds", TableKind::kConstant},
                     {"engagement_agents", TableKind::kConstant},
                     {"engagement_totals"}},
          .make = &EngagementsFold::Make};
}

}  // namespace maily::projections
