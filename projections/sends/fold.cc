// Folds events of sends, and the audiences that are planned.
#include "projections/sends/fold.h"

#include "maily/campaigns/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "projections/sends/sql.h"
#include "projections/projector/verdict.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace sends = maily::sends::v1;

// send_history_kinds
enum Kind : int {
  kAttemptOpened = 1,
  kDelivered = 2,
  kDeferred = 3,
  kBounced = 4,
  kUnknown = 5,
  kResolvedDelivered = 6,
  kResolvedNotDelivered = 7,
  kRetryDue = 8,
  kExpired = 9,
  kSkipped = 10,
};

class SendsFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<SendsFold>();
    MAILY_TRY(fold->plan_, setup.Prepare("plan"));
    MAILY_TRY(fold->open_attempt_, setup.Prepare("open_attempt"));
    MAILY_TRY(fold->settle_, setup.Prepare("settle"));
    MAILY_TRY(fold->skip_, setup.Prepare("skip"));
    MAILY_TRY(fold->wait_, setup.Prepare("wait"));
    MAILY_TRY(fold->set_status_, setup.Prepare("set_status"));
    MAILY_TRY(fold->remember_, setup.Prepare("remember"));
    EventHandlers& on = setup.handlers;
    on.On(fold.get(), &SendsFold::Planned);
    on.On(fold.get(), &SendsFold::Opened);
    on.On(fold.get(), &SendsFold::Skipped);
    on.On(fold.get(), &SendsFold::Delivered);
    on.On(fold.get(), &SendsFold::Deferred);
    on.On(fold.get(), &SendsFold::Bounced);
    on.On(fold.get(), &SendsFold::Unknown);
    on.On(fold.get(), &SendsFold::Resolved);
    on.On(fold.get(), &SendsFold::RetryDue);
    on.On(fold.get(), &SendsFold::Expired);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  Result<void> Planned(const EventAt& at, const maily::campaigns::v1::AudiencePlanned& e) {
    sql::Statement& plan = *plan_;
    plan.BindInteger(1, at.tenant.value());
    plan.BindInteger(2, static_cast<int64_t>(e.campaign_id()));
    plan.BindInteger(7, at.time.us);
    int64_t contact_id = at.ContactId(e.first_ordinal());
    for (const char byte : e.verdicts()) {
      if (const Verdict verdict = VerdictOf(byte); verdict.in_audience()) {
        plan.BindInteger(3, contact_id);
        verdict.arm < 0 ? plan.BindNull(4) : plan.BindInteger(4, verdict.arm);
        plan.BindInteger(5, verdict.fate == Fate::kSend ? sends::PENDING : verdict.fate == Fate::kHoldout ? sends::HELD_OUT : sends::SKIPPED);
        plan.BindInteger(6, verdict.reason);
        MAILY_TRY([[maybe_unused]] const int64_t rows, plan.Run());
      }
      ++contact_id;
    }
    return Ok();
  }

  template <class Event>
  Result<void> Remember(const EventAt& at, const Event& e, Kind kind, uint32_t attempt, std::optional<int64_t> reply_code, std::string_view detail) {
    BindKey(*remember_, at, e);
    sql::BindOne(*remember_, 4, at.sequence());
    sql::BindOne(*remember_, 5, static_cast<int>(kind));
    sql::BindOne(*remember_, 6, attempt);
    sql::BindOne(*remember_, 7, at.time.us);
    sql::BindOne(*remember_, 8, reply_code);
    detail.empty() ? remember_->BindNull(9) : remember_->BindText(9, detail);
    return Run(*remember_);
  }
  template <class Event>
  static void BindKey(sql::Statement& statement, const EventAt& at, const Event& e) {
    statement.BindInteger(1, at.tenant.value());
    statement.BindInteger(2, static_cast<int64_t>(e.campaign_id()));
    statement.BindInteger(3, at.ContactId(e.ordinal()));
  }
  static Result<void> Run(sql::Statement& statement) {
    auto ran = statement.Run();
    if (!ran) return ran.error();
    return Ok();
  }
  static std::optional<int64_t> CodeOf(uint32_t reply_code) { return reply_code == 0 ? std::nullopt : std::optional<int64_t>(reply_code); }

  template <class Event>
  Result<void> Settle(const EventAt& at, const Event& e, sends::SendStatus status, uint32_t reply_code, std::string_view reply_text) {
    return sql::Do(*settle_, at.tenant.value(), e.campaign_id(), at.ContactId(e.ordinal()), static_cast<int>(status), at.time.us, CodeOf(reply_code),
                   reply_text);
  }

  Result<void> Opened(const EventAt& at, const sends::AttemptOpened& e) {
    MAILY_TRY_VOID(sql::Do(*open_attempt_, at.tenant.value(), e.campaign_id(), at.ContactId(e.ordinal()), e.attempt(), at.time.us));
    return Remember(at, e, kAttemptOpened, e.attempt(), std::nullopt, {});
  }
  Result<void> Skipped(const EventAt& at, const sends::SendSkipped& e) {
    MAILY_TRY_VOID(sql::Do(*skip_, at.tenant.value(), e.campaign_id(), at.ContactId(e.ordinal()), static_cast<int>(e.reason()), at.time.us,
                           std::string_view(e.detail())));
    return Remember(at, e, kSkipped, 0, std::nullopt, e.detail());
  }
  Result<void> Delivered(const EventAt& at, const sends::AttemptDelivered& e) {
    MAILY_TRY_VOID(Settle(at, e, sends::SENT, e.reply_code(), e.reply_text()));
    return Remember(at, e, kDelivered, e.attempt(), CodeOf(e.reply_code()), e.reply_text());
  }
  Result<void> Deferred(const EventAt& at, const sends::AttemptDeferred& e) {
    MAILY_TRY_VOID(sql::Do(*wait_, at.tenant.value(), e.campaign_id(), at.ContactId(e.ordinal()), e.retry_at_us(), CodeOf(e.reply_code()),
                           std::string_view(e.reply_text())));
    return Remember(at, e, kDeferred, e.attempt(), CodeOf(e.reply_code()), e.reply_text());
  }
  Result<void> Bounced(const EventAt& at, const sends::AttemptBounced& e) {
    MAILY_TRY_VOID(Settle(at, e, sends::HARD_BOUNCED, e.reply_code(), e.reply_text()));
    return Remember(at, e, kBounced, e.attempt(), CodeOf(e.reply_code()), e.reply_text());
  }
  Result<void> Unknown(const EventAt& at, const sends::AttemptUnknown& e) {
    MAILY_TRY_VOID(SetStatus(at, e, sends::UNKNOWN, std::nullopt));
    return Remember(at, e, kUnknown, e.attempt(), std::nullopt, e.detail());
  }
  Result<void> Resolved(const EventAt& at, const sends::UnknownResolved& e) {
    // Not delivered: the RetryDue that follows says what it waits for.
    MAILY_TRY_VOID(SetStatus(at, e, e.delivered() ? sends::SENT : sends::WAITING, e.delivered() ? std::optional(at.time.us) : std::nullopt));
    return Remember(at, e, e.delivered() ? kResolvedDelivered : kResolvedNotDelivered, e.attempt(), std::nullopt, e.why());
  }
  Result<void> RetryDue(const EventAt& at, const sends::RetryDue& e) {
    MAILY_TRY_VOID(SetStatus(at, e, sends::WAITING, std::nullopt));
    return Remember(at, e, kRetryDue, 0, std::nullopt, {});
  }
  Result<void> Expired(const EventAt& at, const sends::SendExpired& e) {
    MAILY_TRY_VOID(Settle(at, e, sends::EXPIRED, 0, e.last_reply()));
    return Remember(at, e, kExpired, 0, std::nullopt, e.last_reply());
  }
  template <class Event>
  Result<void> SetStatus(const EventAt& at, const Event& e, sends::SendStatus status, std::optional<int64_t> settled_at_us) {
    return sql::Do(*set_status_, at.tenant.value(), e.campaign_id(), at.ContactId(e.ordinal()), static_cast<int>(status), settled_at_us);
  }

  sql::Statement* plan_ = nullptr;
  sql::Statement* open_attempt_ = nullptr;
  sql::Statement* settle_ = nullptr;
  sql::Statement* skip_ = nullptr;
  sql::Statement* wait_ = nullptr;
  sql::Statement* set_status_ = nullptr;
  sql::Statement* remember_ = nullptr;
};

}  // namespace

ReadModel SendsReadModel() {
  return {.name = "sends",
          .version = 1,
          .schema_sql = sends_sql::kSchema,
          .queries_sql = sends_sql::kQueries,
          .tables = {{"sends"},
                     {"send_history"},
                     {"send_statuses", TableKind::kConstant},
                     {"skip_reasons", TableKind::kConstant},
                     {"send_history_kinds", TableKind::kConstant}},
          .make = &SendsFold::Make};
}

}  // namespace maily::projections
