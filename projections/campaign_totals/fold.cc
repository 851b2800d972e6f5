// Folds planned audiences, results and engagements into sums per arm. Sums are gathered and written once a transaction.
#include "projections/campaign_totals/fold.h"

#include <map>

#include "maily/campaigns/v1/events.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "projections/campaign_totals/attribution.h"
#include "projections/campaign_totals/sql.h"
#include "projections/projector/verdict.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace engagements = maily::engagements::v1;
namespace sends = maily::sends::v1;

constexpr int64_t kNoArm = -1;

struct Totals {
  int64_t recipients = 0;
  int64_t delivered = 0;
  int64_t bounced = 0;
  int64_t unknown = 0;
  int64_t expired = 0;
  int64_t skipped = 0;
  int64_t opens = 0;
  int64_t opened = 0;
  int64_t clicks = 0;
  int64_t clicked = 0;
  int64_t unsubscribes = 0;
  int64_t visits = 0;
  int64_t conversions = 0;
  int64_t revenue_cents = 0;
  int64_t bounced_later = 0;
  int64_t complaints = 0;
};

class CampaignTotalsFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<CampaignTotalsFold>();
    MAILY_TRY(fold->assign_, setup.Prepare("assign"));
    MAILY_TRY(fold->arm_of_, setup.Prepare("arm_of"));
    MAILY_TRY(fold->assignments_of_, setup.Prepare("assignments_of"));
    MAILY_TRY(fold->open_, setup.Prepare("open"));
    MAILY_TRY(fold->click_, setup.Prepare("click"));
    MAILY_TRY(fold->visit_, setup.Prepare("visit"));
    MAILY_TRY(fold->add_totals_, setup.Prepare("add_totals"));
    MAILY_TRY(fold->add_skips_, setup.Prepare("add_skips"));
    EventHandlers& on = setup.handlers;
    on.On(fold.get(), &CampaignTotalsFold::Planned);
    on.On(fold.get(), &CampaignTotalsFold::Skipped);
    on.On<sends::AttemptDelivered>([f = fold.get()](const EventAt& at, const auto& e) { return f->Count(at, e, &Totals::delivered, 1); });
    on.On<sends::BounceReceived>([f = fold.get()](const EventAt& at, const auto& e) { return f->Count(at, e, &Totals::bounced_later, 1); });
    on.On<sends::ComplaintReceived>([f = fold.get()](const EventAt& at, const auto& e) { return f->Count(at, e, &Totals::complaints, 1); });
    on.On<sends::AttemptBounced>([f = fold.get()](const EventAt& at, const auto& e) { return f->Count(at, e, &Totals::bounced, 1); });
    on.On<sends::AttemptUnknown>([f = fold.get()](const EventAt& at, const auto& e) { return f->Count(at, e, &Totals::unknown, 1); });
    on.On<sends::SendExpired>([f = fold.get()](const EventAt& at, const auto& e) { return f->Count(at, e, &Totals::expired, 1); });
    on.On(fold.get(), &CampaignTotalsFold::Resolved);
    on.On(fold.get(), &CampaignTotalsFold::Opened);
    on.On(fold.get(), &CampaignTotalsFold::Clicked);
    on.On<engagements::Unsubscribed>(
        [f = fold.get()](const EventAt& at, const auto& e) { return f->Count(at, e, &Totals::unsubscribes, 1); });
    on.On(fold.get(), &CampaignTotalsFold::Recorded);
    return std::unique_ptr<Fold>(std::move(fold));
  }

  Result<void> Flush() override {
    MAILY_TRY_VOID(arm_of_->Settle());
    for (const auto& [key, n] : totals_) {
      const auto [tenant, campaign_id, arm] = key;
      MAILY_TRY_VOID(sql::Do(*add_totals_, tenant, campaign_id, arm, n.recipients, n.delivered, n.bounced, n.unknown, n.expired, n.skipped,
                             n.opens, n.opened, n.clicks, n.clicked, n.unsubscribes, n.visits, n.conversions, n.revenue_cents,
                             n.bounced_later, n.complaints));
    }
    totals_.clear();
    for (const auto& [key, contacts] : skips_) {
      const auto [tenant, campaign_id, arm, reason] = key;
      MAILY_TRY_VOID(sql::Do(*add_skips_, tenant, campaign_id, arm, reason, contacts));
    }
    skips_.clear();
    return Ok();
  }

 private:
  Totals& Of(TenantId tenant, uint64_t campaign_id, int64_t arm) { return totals_[{tenant.value(), campaign_id, arm}]; }

  Result<void> Planned(const EventAt& at, const maily::campaigns::v1::AudiencePlanned& e) {
    sql::Statement& assign = *assign_;
    assign.BindInteger(1, at.tenant.value());
    assign.BindInteger(3, static_cast<int64_t>(e.campaign_id()));
    assign.BindInteger(5, at.time.us);
    int64_t contact_id = at.ContactId(e.first_ordinal());
    std::map<int, int64_t> verdicts;  // byte -> contacts
    for (const char byte : e.verdicts()) {
      const Verdict verdict = VerdictOf(byte);
      if (verdict.in_audience()) ++verdicts[static_cast<uint8_t>(byte)];
      if (verdict.arm >= 0) {
        assign.BindInteger(2, contact_id);
        assign.BindInteger(4, verdict.arm);
        MAILY_TRY_VOID(assign.Send());
      }
      ++contact_id;
    }
    for (const auto& [byte, contacts] : verdicts) {
      const Verdict verdict = VerdictOf(static_cast<char>(byte));
      Totals& totals = Of(at.tenant, e.campaign_id(), verdict.arm);
      if (verdict.arm >= 0) totals.recipients += contacts;
      if (verdict.fate == Fate::kSkipped) totals.skipped += contacts;
      if (verdict.reason != 0) skips_[{at.tenant.value(), e.campaign_id(), verdict.arm, verdict.reason}] += contacts;
    }
    return Ok();
  }

  // Calls `count` with the arm that the contact was given, or kNoArm, at the latest before Flush writes the sums.
  template <class Count>
  Result<void> WithArm(const EventAt& at, uint64_t campaign_id, uint64_t ordinal, Count count) {
    sql::BindAll(*arm_of_, at.tenant.value(), at.ContactId(ordinal), campaign_id);
    return arm_of_->SendReading([count](const sql::Statement* row) { count(row == nullptr ? kNoArm : row->integer(0)); });
  }
  template <class Event>
  Result<void> Count(const EventAt& at, const Event& e, int64_t Totals::* what, int64_t n) {
    return WithArm(at, e.campaign_id(), e.ordinal(), [this, tenant = at.tenant, campaign_id = e.campaign_id(), what, n](int64_t arm) {
      Of(tenant, campaign_id, arm).*what += n;
    });
  }

  Result<void> Skipped(const EventAt& at, const sends::SendSkipped& e) {
    const auto count = [this, tenant = at.tenant, campaign_id = e.campaign_id(), reason = static_cast<int>(e.reason())](int64_t arm) {
      ++Of(tenant, campaign_id, arm).skipped;
      ++skips_[{tenant.value(), campaign_id, arm, reason}];
    };
    return WithArm(at, e.campaign_id(), e.ordinal(), count);
  }
  Result<void> Resolved(const EventAt& at, const sends::UnknownResolved& e) {
    const auto count = [this, tenant = at.tenant, campaign_id = e.campaign_id(), delivered = e.delivered()](int64_t arm) {
      Totals& totals = Of(tenant, campaign_id, arm);
      --totals.unknown;
      if (delivered) ++totals.delivered;
    };
    return WithArm(at, e.campaign_id(), e.ordinal(), count);
  }

  // Those whom planning skipped have no assignment; their opens and clicks (of mail that others forwarded) count for no arm.
  Result<void> Opened(const EventAt& at, const engagements::Opened& e) {
    sql::BindAll(*open_, at.tenant.value(), at.ContactId(e.ordinal()), e.campaign_id());
    return open_->SendReading([this, tenant = at.tenant, campaign_id = e.campaign_id()](const sql::Statement* row) {
      Totals& totals = Of(tenant, campaign_id, row == nullptr ? kNoArm : row->integer(0));
      ++totals.opens;
      if (row != nullptr && row->integer(1) == 1) ++totals.opened;
    });
  }
  Result<void> Clicked(const EventAt& at, const engagements::Clicked& e) {
    const int64_t contact_id = at.ContactId(e.ordinal());
    sql::BindAll(*click_, at.tenant.value(), contact_id, e.campaign_id());
    auto row = click_->Step();
    const bool assigned = row && *row;
    Assignment assignment;
    if (assigned) assignment = AssignmentIn(*click_);
    Totals& totals = Of(at.tenant, e.campaign_id(), assigned ? assignment.arm : kNoArm);
    ++totals.clicks;
    if (assigned && click_->integer(4) == 1) ++totals.clicked;
    MAILY_TRY_VOID(Finish(*click_, row));
    return assigned ? Give(at, contact_id, assignment, Signal::kVisit, 0) : Ok();
  }
  // A statement that changes rows has to be run to its end.
  static Result<void> Finish(sql::Statement& statement, const Result<bool>& first) {
    if (first && *first) {
      auto rest = statement.Step();
      statement.Reset();
      if (!rest) return rest.error();
      return Ok();
    }
    statement.Reset();
    if (!first) return first.error();
    return Ok();
  }
  static Assignment AssignmentIn(const sql::Statement& row) {
    return {.campaign_id = row.integer(0), .arm = row.integer(1), .assigned_at = Instant{row.integer(2)}, .visited = row.integer(3) != 0};
  }

  Result<void> Recorded(const EventAt& at, const engagements::ContactEventRecorded& e) {
    const Signal signal = SignalOf(e.name());
    if (signal == Signal::kNone) return Ok();
    const int64_t contact_id = at.ContactId(e.ordinal());
    assigned_.clear();
    sql::BindAll(*assignments_of_, at.tenant.value(), contact_id);
    while (true) {
      auto row = assignments_of_->Step();
      if (row && *row) {
        assigned_.push_back(AssignmentIn(*assignments_of_));
        continue;
      }
      assignments_of_->Reset();
      if (!row) return row.error();
      break;
    }
    for (const Assignment& assignment : assigned_) MAILY_TRY_VOID(Give(at, contact_id, assignment, signal, e.revenue_cents()));
    return Ok();
  }
  Result<void> Give(const EventAt& at, int64_t contact_id, const Assignment& assignment, Signal signal, int64_t revenue_cents) {
    const Credit credit = CreditOf(assignment, signal, at.time, revenue_cents);
    if (credit.visits == 0 && credit.conversions == 0) return Ok();
    Totals& totals = Of(at.tenant, static_cast<uint64_t>(assignment.campaign_id), assignment.arm);
    totals.visits += credit.visits;
    totals.conversions += credit.conversions;
    totals.revenue_cents += credit.revenue_cents;
    if (credit.visits == 0) return Ok();
    return sql::Do(*visit_, at.tenant.value(), contact_id, assignment.campaign_id);
  }

  sql::Statement* assign_ = nullptr;
  sql::Statement* arm_of_ = nullptr;
  sql::Statement* assignments_of_ = nullptr;
  sql::Statement* open_ = nullptr;
  sql::Statement* click_ = nullptr;
  sql::Statement* visit_ = nullptr;
  sql::Statement* add_totals_ = nullptr;
  sql::Statement* add_skips_ = nullptr;
  std::map<std::tuple<uint32_t, uint64_t, int64_t>, Totals> totals_;       // tenant, campaign, arm -> since the last flush
  std::map<std::tuple<uint32_t, uint64_t, int64_t, int>, int64_t> skips_;  // tenant, campaign, arm, reason -> since the last flush
  std::vector<Assignment> assigned_;
};

}  // namespace

ReadModel CampaignTotalsReadModel() {
  return {.name = "campaign_totals",
          .version = 2 + kAttributionVersion,
          .schema_sql = campaign_totals_sql::kSchema,
          .queries_sql = campaign_totals_sql::kQueries,
          .tables = {{"assignments"}, {"campaign_totals"}, {"campaign_skips"}},
          .make = &CampaignTotalsFold::Make};
}

}  // namespace maily::projections
