// Folds events of sends, and the audiences that are planned. What becomes of a send within one transaction is one change of its row.
#include "projections/sends/fold.h"

#include <fmt/format.h>

#include <map>

#include "maily/campaigns/v1/events.pb.h"
#include "maily/messages/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "projections/projector/verdict.h"
#include "projections/sends/sql.h"
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
  kBouncedLater = 11,
  kComplained = 12,
  kAutoReplied = 13,
  kBounceReclassified = 14,
};

struct Key {
  uint32_t tenant = 0;
  uint64_t campaign_id = 0;
  int64_t contact_id = 0;
  auto operator<=>(const Key&) const = default;
};

// What came back later, to put into a row; none or empty = as it is.
struct Heard {
  std::string bounce_reason;
  std::string bounce_rule;
  std::optional<int64_t> bounced_at_us;
  std::optional<int64_t> complained_at_us;
};

// What a line of the history says besides its kind, attempt and time.
struct Said {
  std::optional<int64_t> reply_code;
  std::string_view detail;
  std::string_view reason = {};
  std::string_view rule = {};
  std::string_view source = {};
};

sql::Value TextOrNull(std::string_view text) { return text.empty() ? sql::Value::Null() : sql::Value::Text(std::string(text)); }

// What to put into a row; none = as it is, but for the two times that follow the status.
struct Change {
  sends::SendStatus status = sends::NONE;
  std::optional<int64_t> reason;
  std::optional<int64_t> attempts;
  std::optional<int64_t> attempted_at_us;
  std::optional<int64_t> settled_at_us;
  std::optional<int64_t> retry_at_us;
  std::string site;  // while it waits
  std::optional<int64_t> reply_code;
  std::string reply_text;
  std::string bounce_reason;
  std::string bounce_rule;

  void Reply(std::optional<int64_t> code, const std::string& text) {
    if (code) reply_code = code;
    if (!text.empty()) reply_text = text;
  }
};

class SendsFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<SendsFold>();
    MAILY_TRY(fold->plan_, setup.Prepare("plan"));
    MAILY_TRY(fold->change_, setup.Prepare("change"));
    MAILY_TRY(fold->release_, setup.Prepare("release"));
    MAILY_TRY(fold->hear_, setup.Prepare("hear"));
    MAILY_TRY(fold->remember_, setup.Prepare("remember"));
    MAILY_TRY(fold->bounce_, setup.Prepare("bounce"));
    MAILY_TRY(fold->judge_bounce_, setup.Prepare("judge_bounce"));
    EventHandlers& on = setup.handlers;
    on.On(fold.get(), &SendsFold::Planned);
    on.On(fold.get(), &SendsFold::Accepted);
    on.On(fold.get(), &SendsFold::Opened);
    on.On(fold.get(), &SendsFold::Skipped);
    on.On(fold.get(), &SendsFold::Delivered);
    on.On(fold.get(), &SendsFold::Deferred);
    on.On(fold.get(), &SendsFold::Bounced);
    on.On(fold.get(), &SendsFold::Unknown);
    on.On(fold.get(), &SendsFold::Resolved);
    on.On(fold.get(), &SendsFold::RetryDue);
    on.On(fold.get(), &SendsFold::Expired);
    on.On(fold.get(), &SendsFold::BouncedLater);
    on.On(fold.get(), &SendsFold::Complained);
    on.On(fold.get(), &SendsFold::AutoReplied);
    on.On(fold.get(), &SendsFold::Reclassified);
    on.On(fold.get(), &SendsFold::Released);
    return std::unique_ptr<Fold>(std::move(fold));
  }

  Result<void> Flush() override {
    for (const auto& [key, change] : changes_) {
      MAILY_TRY_VOID(sql::Do(*change_, key.tenant, key.campaign_id, key.contact_id, static_cast<int>(change.status), change.reason,
                             change.attempts, change.attempted_at_us, change.settled_at_us, change.retry_at_us, change.reply_code,
                             TextOrNull(change.reply_text), TextOrNull(change.bounce_reason), TextOrNull(change.bounce_rule),
                             TextOrNull(change.site)));
    }
    changes_.clear();
    for (const auto& [key, heard] : heard_) {
      MAILY_TRY_VOID(sql::Do(*hear_, key.tenant, key.campaign_id, key.contact_id, TextOrNull(heard.bounce_reason),
                             TextOrNull(heard.bounce_rule), heard.bounced_at_us, heard.complained_at_us));
    }
    heard_.clear();
    return Ok();
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
        plan.BindInteger(5, verdict.fate == Fate::kSend      ? sends::PENDING
                            : verdict.fate == Fate::kRest    ? sends::AWAITING
                            : verdict.fate == Fate::kHoldout ? sends::HELD_OUT
                                                             : sends::SKIPPED);
        plan.BindInteger(6, verdict.reason);
        verdict.fate == Fate::kSend || verdict.fate == Fate::kRest ? plan.BindNull(8) : plan.BindInteger(8, at.time.us);
        MAILY_TRY_VOID(plan.Send());
      }
      ++contact_id;
    }
    return Ok();
  }

  // A message: its row is that of a send without an arm.
  Result<void> Accepted(const EventAt& at, const maily::messages::v1::MessageAccepted& e) {
    return sql::Do(*plan_, at.tenant.value(), e.message_id(), at.ContactId(e.ordinal()), sql::Value::Null(),
                   static_cast<int>(sends::PENDING), 0, at.time.us, sql::Value::Null());
  }

  template <class Event>
  Result<void> Remember(const EventAt& at, const Event& e, Kind kind, uint32_t attempt, const Said& said) {
    return sql::Do(*remember_, at.tenant.value(), e.campaign_id(), at.ContactId(e.ordinal()), at.sequence(), static_cast<int>(kind),
                   attempt, at.time.us, said.reply_code, TextOrNull(said.detail), TextOrNull(said.reason), TextOrNull(said.rule),
                   TextOrNull(said.source));
  }
  static std::optional<int64_t> CodeOf(uint32_t reply_code) { return reply_code == 0 ? std::nullopt : std::optional<int64_t>(reply_code); }

  static void Put(std::string& to, const std::string& text) {
    if (!text.empty()) to = text;
  }
  template <class Event>
  static Key KeyOf(const EventAt& at, const Event& e) {
    return {at.tenant.value(), e.campaign_id(), at.ContactId(e.ordinal())};
  }

  template <class Event>
  Change& ChangeOf(const EventAt& at, const Event& e, sends::SendStatus status) {
    Change& change = changes_[KeyOf(at, e)];
    change.status = status;
    change.settled_at_us.reset();
    change.retry_at_us.reset();
    change.site.clear();
    return change;
  }
  template <class Event>
  Change& Settle(const EventAt& at, const Event& e, sends::SendStatus status, uint32_t reply_code, const std::string& reply_text) {
    Change& change = ChangeOf(at, e, status);
    change.settled_at_us = at.time.us;
    change.Reply(CodeOf(reply_code), reply_text);
    return change;
  }
  template <class Event>
  Heard& HeardOf(const EventAt& at, const Event& e) {
    return heard_[KeyOf(at, e)];
  }

  Result<void> Opened(const EventAt& at, const sends::AttemptOpened& e) {
    Change& change = ChangeOf(at, e, sends::OPEN);
    change.attempts = e.attempt();
    change.attempted_at_us = at.time.us;
    return Remember(at, e, kAttemptOpened, e.attempt(), {std::nullopt, {}});
  }
  Result<void> Skipped(const EventAt& at, const sends::SendSkipped& e) {
    Change& change = ChangeOf(at, e, sends::SKIPPED);
    change.settled_at_us = at.time.us;
    change.reason = e.reason();
    change.Reply(std::nullopt, e.detail());
    return Remember(at, e, kSkipped, 0, {std::nullopt, e.detail()});
  }
  Result<void> Delivered(const EventAt& at, const sends::AttemptDelivered& e) {
    Settle(at, e, sends::SENT, e.reply_code(), e.reply_text());
    return Remember(at, e, kDelivered, e.attempt(), {CodeOf(e.reply_code()), e.reply_text()});
  }
  Result<void> Deferred(const EventAt& at, const sends::AttemptDeferred& e) {
    Change& change = ChangeOf(at, e, sends::WAITING);
    change.retry_at_us = e.retry_at_us();
    change.site = e.site();
    change.Reply(CodeOf(e.reply_code()), e.reply_text());
    return Remember(at, e, kDeferred, e.attempt(), {CodeOf(e.reply_code()), e.reply_text(), e.reason(), e.rule()});
  }
  Result<void> Bounced(const EventAt& at, const sends::AttemptBounced& e) {
    Change& change = Settle(at, e, sends::HARD_BOUNCED, e.reply_code(), e.reply_text());
    Put(change.bounce_reason, e.reason());
    Put(change.bounce_rule, e.rule());
    if (const auto heard = heard_.find(KeyOf(at, e)); heard != heard_.end()) {  // is written after the change, and is older
      if (!e.reason().empty()) heard->second.bounce_reason.clear();
      if (!e.rule().empty()) heard->second.bounce_rule.clear();
    }
    MAILY_TRY_VOID(sql::Do(*bounce_, at.tenant.value(), e.campaign_id(), at.ContactId(e.ordinal()), at.time.us, CodeOf(e.reply_code()),
                           std::string_view(e.enhanced_code()), std::string_view(e.stage()), std::string_view(e.reply_text()),
                           int{e.recipient_invalid()}, std::string_view(e.reason()), std::string_view(e.rule())));
    return Remember(at, e, kBounced, e.attempt(), {CodeOf(e.reply_code()), e.reply_text(), e.reason(), e.rule()});
  }
  Result<void> Unknown(const EventAt& at, const sends::AttemptUnknown& e) {
    ChangeOf(at, e, sends::UNKNOWN).Reply(std::nullopt, e.detail());
    return Remember(at, e, kUnknown, e.attempt(), {std::nullopt, e.detail()});
  }
  Result<void> Resolved(const EventAt& at, const sends::UnknownResolved& e) {
    // Not delivered: the RetryDue that follows says what it waits for.
    Change& change = ChangeOf(at, e, e.delivered() ? sends::SENT : sends::WAITING);
    if (e.delivered()) change.settled_at_us = at.time.us;
    return Remember(at, e, e.delivered() ? kResolvedDelivered : kResolvedNotDelivered, e.attempt(), {std::nullopt, e.why()});
  }
  Result<void> RetryDue(const EventAt& at, const sends::RetryDue& e) {
    ChangeOf(at, e, sends::WAITING);
    const std::string flushed = e.flushed_site().empty() ? std::string() : fmt::format("{} was flushed ({})", e.flushed_site(), e.flush());
    return Remember(at, e, kRetryDue, 0, {std::nullopt, flushed});
  }
  Result<void> Expired(const EventAt& at, const sends::SendExpired& e) {
    Settle(at, e, sends::EXPIRED, 0, e.last_reply());
    return Remember(at, e, kExpired, 0, {std::nullopt, e.last_reply()});
  }
  // What comes back later leaves the status as it is.
  Result<void> BouncedLater(const EventAt& at, const sends::BounceReceived& e) {
    Heard& heard = HeardOf(at, e);
    Put(heard.bounce_reason, e.reason());
    Put(heard.bounce_rule, e.rule());
    heard.bounced_at_us = at.time.us;
    return Remember(at, e, kBouncedLater, 0,
                    {std::nullopt, e.diagnostic().empty() ? e.status() : e.diagnostic(), e.reason(), e.rule(), e.source()});
  }
  Result<void> Complained(const EventAt& at, const sends::ComplaintReceived& e) {
    HeardOf(at, e).complained_at_us = at.time.us;
    return Remember(at, e, kComplained, 0, {std::nullopt, {}, e.reason(), e.rule(), e.source()});
  }
  Result<void> AutoReplied(const EventAt& at, const sends::AutoReplied& e) {
    return Remember(at, e, kAutoReplied, 0, {std::nullopt, {}, e.reason(), {}, e.source()});
  }

  // Nothing has happened to them since they were planned.
  Result<void> Released(const EventAt& at, const sends::RestReleased& e) {
    const bool skipped = e.winner() == 0;
    return ForEachBit(e.rest(), [&](uint64_t i) {
      return sql::Do(*release_, at.tenant.value(), e.campaign_id(), at.ContactId(e.first_ordinal() + i),
                     skipped ? std::nullopt : std::optional<int64_t>(e.winner() - 1),
                     static_cast<int>(skipped ? sends::SKIPPED : sends::PENDING),
                     static_cast<int>(skipped ? maily::campaigns::v1::CANCELLED : maily::campaigns::v1::SKIP_REASON_UNSPECIFIED),
                     skipped ? std::optional<int64_t>(at.time.us) : std::nullopt);
    });
  }

  // The row says what the newest judgement is, of the reply in the session or of what came back.
  Result<void> Reclassified(const EventAt& at, const sends::BounceReclassified& e) {
    Heard& heard = HeardOf(at, e);
    Put(heard.bounce_reason, e.now().reason());
    Put(heard.bounce_rule, e.now().rule());
    MAILY_TRY_VOID(sql::Do(*judge_bounce_, at.tenant.value(), e.campaign_id(), at.ContactId(e.ordinal()), int{e.now().recipient_invalid()},
                           std::string_view(e.now().reason()), std::string_view(e.now().rule())));
    return Remember(at, e, kBounceReclassified, 0, {std::nullopt, e.why(), e.now().reason(), e.now().rule(), {}});
  }

  sql::Statement* plan_ = nullptr;
  sql::Statement* change_ = nullptr;
  sql::Statement* release_ = nullptr;
  sql::Statement* hear_ = nullptr;
  sql::Statement* remember_ = nullptr;
  sql::Statement* bounce_ = nullptr;
  sql::Statement* judge_bounce_ = nullptr;
  std::map<Key, Change> changes_;  // since the last flush
  std::map<Key, Heard> heard_;     // since the last flush
};

}  // namespace

ReadModel SendsReadModel() {
  return {.name = "sends",
          .version = 7,
          .schema_sql = sends_sql::kSchema,
          .queries_sql = sends_sql::kQueries,
          .tables = {{"sends"},
                     {"send_history"},
                     {"bounces"},
                     {"send_statuses", TableKind::kConstant},
                     {"skip_reasons", TableKind::kConstant},
                     {"send_history_kinds", TableKind::kConstant}},
          .make = &SendsFold::Make};
}

}  // namespace maily::projections
