// Folds planned audiences, results and engagements into sums per arm. Sums are gathered and written once a transaction.
#include "projections/campaign_totals/fold.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>

#include "maily/campaigns/v1/events.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "projections/campaign_totals/attribution.h"
#include "projections/campaign_totals/signal_rules.h"
#include "projections/campaign_totals/sql.h"
#include "projections/projector/verdict.h"
#include "schemas/message_id.h"
#include "schemas/sealed.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace engagements = maily::engagements::v1;
namespace sends = maily::sends::v1;

constexpr int64_t kNoArm = -1;
constexpr int64_t kRest = -3;           // waits for the winner of a test: assigned when it gets its arm
constexpr int64_t kTenantHoldout = -2;  // assigned, so that what they do is counted

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

// What campaign_signals holds: opens and clicks by who is behind them, in the order of ReadBy.
struct Signals {
  std::array<int64_t, 3> opens{};
  std::array<int64_t, 3> clicks{};
  int64_t opened = 0;
  int64_t clicked = 0;
  int64_t visits = 0;
};
size_t At(ReadBy by) { return static_cast<size_t>(by) - 1; }
constexpr ReadBy kHuman = ReadBy::kHuman;

// What reader_states holds.
struct Reader {
  int64_t opens = 0;
  int64_t clicks = 0;
  int64_t visited = 0;  // kNo, kBefore, kInBurst
  Burst burst;
};
constexpr int64_t kNo = 0;
constexpr int64_t kBefore = 1;
constexpr int64_t kInBurst = 2;

// What is known of someone who was given an arm, changed here and written once a transaction.
struct Recipient {
  bool assigned = false;
  Assignment assignment;
  int64_t opens = 0;
  int64_t clicks = 0;
  std::optional<Instant> handed_over;
  Reader reader;
  std::string locale;
  bool signalled = false;  // opens or clicks have changed
  bool reader_changed = false;
};

// What assignments say of a recipient; of somebody else, no arm.
struct Reached {
  int64_t arm = kNoArm;
  std::string locale;
};
Reached ReachedIn(const sql::Statement* row) { return row == nullptr ? Reached{} : Reached{row->integer(0), std::string(row->bytes(1))}; }

// A row of signals.
struct Kept {
  uint32_t tenant;
  int64_t contact_id;
  int64_t sequence;
  uint64_t campaign_id;
  SignalKind kind;
  Ruling ruling;
};

class CampaignTotalsFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<CampaignTotalsFold>();
    MAILY_TRY(fold->convert_, setup.Prepare("convert"));
    MAILY_TRY(fold->assign_, setup.Prepare("assign"));
    MAILY_TRY(fold->arm_of_, setup.Prepare("arm_of"));
    MAILY_TRY(fold->read_in_, setup.Prepare("read_in"));
    MAILY_TRY(fold->add_locales_, setup.Prepare("add_locales"));
    MAILY_TRY(fold->assignments_of_, setup.Prepare("assignments_of"));
    MAILY_TRY(fold->recipient_, setup.Prepare("recipient"));
    MAILY_TRY(fold->signalled_, setup.Prepare("signalled"));
    MAILY_TRY(fold->visit_, setup.Prepare("visit"));
    MAILY_TRY(fold->add_totals_, setup.Prepare("add_totals"));
    MAILY_TRY(fold->add_skips_, setup.Prepare("add_skips"));
    MAILY_TRY(fold->hand_over_, setup.Prepare("hand_over"));
    MAILY_TRY(fold->signal_, setup.Prepare("signal"));
    MAILY_TRY(fold->rejudge_, setup.Prepare("rejudge"));
    MAILY_TRY(fold->reader_, setup.Prepare("reader"));
    MAILY_TRY(fold->reader_visited_, setup.Prepare("reader_visited"));
    MAILY_TRY(fold->add_signals_, setup.Prepare("add_signals"));
    fold->keyring_ = setup.keyring();
    EventHandlers& on = setup.handlers;
    on.On(fold.get(), &CampaignTotalsFold::Planned);
    on.On(fold.get(), &CampaignTotalsFold::Released);
    on.On(fold.get(), &CampaignTotalsFold::Tried);
    on.On(fold.get(), &CampaignTotalsFold::Skipped);
    on.On<sends::AttemptDelivered>([f = fold.get()](const EventAt& at, const auto& e) { return f->HandOver(at, e, &Totals::delivered); });
    on.On<sends::BounceReceived>([f = fold.get()](const EventAt& at, const auto& e) { return f->Count(at, e, &Totals::bounced_later, 1); });
    on.On<sends::ComplaintReceived>([f = fold.get()](const EventAt& at, const auto& e) { return f->Count(at, e, &Totals::complaints, 1); });
    on.On<sends::AttemptBounced>([f = fold.get()](const EventAt& at, const auto& e) { return f->Count(at, e, &Totals::bounced, 1); });
    on.On<sends::AttemptUnknown>([f = fold.get()](const EventAt& at, const auto& e) { return f->HandOver(at, e, &Totals::unknown); });
    on.On<sends::SendExpired>([f = fold.get()](const EventAt& at, const auto& e) { return f->Count(at, e, &Totals::expired, 1); });
    on.On(fold.get(), &CampaignTotalsFold::Resolved);
    on.On(fold.get(), &CampaignTotalsFold::Opened);
    on.On(fold.get(), &CampaignTotalsFold::Clicked);
    on.On(fold.get(), &CampaignTotalsFold::Trapped);
    on.On<engagements::Unsubscribed>(
        [f = fold.get()](const EventAt& at, const auto& e) { return f->Count(at, e, &Totals::unsubscribes, 1); });
    on.On(fold.get(), &CampaignTotalsFold::Recorded);
    return std::unique_ptr<Fold>(std::move(fold));
  }

  Result<void> Flush() override {
    MAILY_TRY_VOID(arm_of_->Settle());
    MAILY_TRY_VOID(WriteKept());
    MAILY_TRY_VOID(WriteRecipients());
    for (const auto& [key, n] : signals_) {
      const auto [tenant, campaign_id, arm] = key;
      MAILY_TRY_VOID(sql::Do(*add_signals_, tenant, campaign_id, arm, n.opens[0], n.opens[1], n.opens[2], n.opened, n.clicks[0],
                             n.clicks[1], n.clicks[2], n.clicked, n.visits));
    }
    signals_.clear();
    for (const auto& [key, n] : totals_) {
      const auto [tenant, campaign_id, arm] = key;
      MAILY_TRY_VOID(sql::Do(*add_totals_, tenant, campaign_id, arm, n.recipients, n.delivered, n.bounced, n.unknown, n.expired, n.skipped,
                             n.opens, n.opened, n.clicks, n.clicked, n.unsubscribes, n.visits, n.conversions, n.revenue_cents,
                             n.bounced_later, n.complaints));
    }
    totals_.clear();
    for (const auto& [key, n] : languages_) {
      const auto& [tenant, campaign_id, arm, locale] = key;
      MAILY_TRY_VOID(sql::Do(*add_locales_, tenant, campaign_id, arm, std::string_view(locale), n.delivered, n.bounced, n.unknown,
                             n.expired, n.opened, n.clicked, n.unsubscribes, n.bounced_later, n.complaints));
    }
    languages_.clear();
    for (const auto& [key, contacts] : skips_) {
      const auto [tenant, campaign_id, arm, reason] = key;
      MAILY_TRY_VOID(sql::Do(*add_skips_, tenant, campaign_id, arm, reason, contacts));
    }
    skips_.clear();
    return Ok();
  }

 private:
  static int64_t ArmOf(const Verdict& verdict) {
    if (verdict.fate == Fate::kRest) return kRest;
    return verdict.fate == Fate::kSkipped && verdict.reason == kHoldoutReason ? kTenantHoldout : verdict.arm;
  }
  Totals& Of(TenantId tenant, uint64_t campaign_id, int64_t arm) { return totals_[{tenant.value(), campaign_id, arm}]; }
  // Those of one language, as campaign_locales has them: opened and clicked are persons.
  Totals& In(TenantId tenant, uint64_t campaign_id, int64_t arm, const std::string& locale) {
    return languages_[{tenant.value(), campaign_id, arm, locale}];
  }
  void Add(TenantId tenant, uint64_t campaign_id, const Reached& who, int64_t Totals::* what, int64_t n) {
    Of(tenant, campaign_id, who.arm).*what += n;
    In(tenant, campaign_id, who.arm, who.locale).*what += n;
  }

  Result<void> Planned(const EventAt& at, const maily::campaigns::v1::AudiencePlanned& e) {
    MAILY_TRY_VOID(WriteRecipients());  // who was without an arm may get one
    sql::Statement& assign = *assign_;
    assign.BindInteger(1, at.tenant.value());
    assign.BindInteger(3, static_cast<int64_t>(e.campaign_id()));
    assign.BindInteger(5, at.time.us);
    int64_t contact_id = at.ContactId(e.first_ordinal());
    std::map<int, int64_t> verdicts;  // byte -> contacts
    for (const char byte : e.verdicts()) {
      const Verdict verdict = VerdictOf(byte);
      if (verdict.in_audience()) ++verdicts[static_cast<uint8_t>(byte)];
      if (const int64_t arm = ArmOf(verdict); arm != kNoArm && arm != kRest) {
        assign.BindInteger(2, contact_id);
        assign.BindInteger(4, arm);
        MAILY_TRY_VOID(assign.Send());
      }
      ++contact_id;
    }
    for (const auto& [byte, contacts] : verdicts) {
      const Verdict verdict = VerdictOf(static_cast<char>(byte));
      Totals& totals = Of(at.tenant, e.campaign_id(), ArmOf(verdict));
      if (verdict.arm >= 0 || verdict.fate == Fate::kRest) totals.recipients += contacts;
      if (verdict.fate == Fate::kSkipped) totals.skipped += contacts;
      if (verdict.reason != 0) skips_[{at.tenant.value(), e.campaign_id(), ArmOf(verdict), verdict.reason}] += contacts;
    }
    return Ok();
  }

  // They get their arm now; or none, of a campaign that was cancelled.
  Result<void> Released(const EventAt& at, const sends::RestReleased& e) {
    MAILY_TRY_VOID(WriteRecipients());  // who was without an arm gets one
    const int64_t arm = e.winner() == 0 ? kNoArm : int64_t{e.winner()} - 1;
    sql::Statement& assign = *assign_;
    assign.BindInteger(1, at.tenant.value());
    assign.BindInteger(3, static_cast<int64_t>(e.campaign_id()));
    assign.BindInteger(4, arm);
    assign.BindInteger(5, at.time.us);
    int64_t contacts = 0;
    MAILY_TRY_VOID(ForEachBit(e.rest(), [&](uint64_t i) -> Result<void> {
      ++contacts;
      if (arm == kNoArm) return Ok();
      assign.BindInteger(2, at.ContactId(e.first_ordinal() + i));
      return assign.Send();
    }));
    Of(at.tenant, e.campaign_id(), kRest).recipients -= contacts;
    if (arm != kNoArm) {
      Of(at.tenant, e.campaign_id(), arm).recipients += contacts;
    } else {
      Of(at.tenant, e.campaign_id(), kNoArm).skipped += contacts;
      skips_[{at.tenant.value(), e.campaign_id(), kNoArm, static_cast<int>(maily::campaigns::v1::CANCELLED)}] += contacts;
    }
    return Ok();
  }

  // The variant that the mail is made of; another one, if what is known of the contact has changed before a retry.
  Result<void> Tried(const EventAt& at, const sends::AttemptOpened& e) {
    if (schema::IsMessage(e.campaign_id()) || (e.locale().empty() && e.attempt() <= 1)) return Ok();
    if (Recipient* const known = Known(at.tenant, at.ContactId(e.ordinal()), e.campaign_id())) known->locale = e.locale();
    return sql::Do(*read_in_, at.tenant.value(), at.ContactId(e.ordinal()), e.campaign_id(), std::string_view(e.locale()));
  }

  // Calls `count` with what the contact was given, at the latest before Flush writes the sums.
  template <class Count>
  Result<void> WithArm(const EventAt& at, uint64_t campaign_id, uint64_t ordinal, Count count) {
    if (schema::IsMessage(campaign_id)) return Ok();  // is no campaign
    sql::BindAll(*arm_of_, at.tenant.value(), at.ContactId(ordinal), campaign_id);
    return arm_of_->SendReading([count](const sql::Statement* row) { count(ReachedIn(row)); });
  }
  template <class Event>
  Result<void> Count(const EventAt& at, const Event& e, int64_t Totals::* what, int64_t n) {
    return WithArm(
        at, e.campaign_id(), e.ordinal(),
        [this, tenant = at.tenant, campaign_id = e.campaign_id(), what, n](const Reached& who) { Add(tenant, campaign_id, who, what, n); });
  }

  Result<void> Skipped(const EventAt& at, const sends::SendSkipped& e) {
    const auto count = [this, tenant = at.tenant, campaign_id = e.campaign_id(),
                        reason = static_cast<int>(e.reason())](const Reached& who) {
      ++Of(tenant, campaign_id, who.arm).skipped;
      ++skips_[{tenant.value(), campaign_id, who.arm, reason}];
    };
    return WithArm(at, e.campaign_id(), e.ordinal(), count);
  }
  Result<void> Resolved(const EventAt& at, const sends::UnknownResolved& e) {
    const auto count = [this, tenant = at.tenant, campaign_id = e.campaign_id(), delivered = e.delivered()](const Reached& who) {
      Add(tenant, campaign_id, who, &Totals::unknown, -1);
      if (delivered) Add(tenant, campaign_id, who, &Totals::delivered, 1);
    };
    return WithArm(at, e.campaign_id(), e.ordinal(), count);
  }

  // The mail is at its receiver, or may be.
  template <class Event>
  Result<void> HandOver(const EventAt& at, const Event& e, int64_t Totals::* what) {
    if (schema::IsMessage(e.campaign_id())) return Ok();
    Recipient* const known = Known(at.tenant, at.ContactId(e.ordinal()), e.campaign_id());
    if (known != nullptr && known->assigned) known->handed_over = at.time;
    sql::BindAll(*hand_over_, at.tenant.value(), at.ContactId(e.ordinal()), e.campaign_id(), at.time.us);
    return hand_over_->SendReading([this, tenant = at.tenant, campaign_id = e.campaign_id(), what](const sql::Statement* row) {
      Add(tenant, campaign_id, ReachedIn(row), what, 1);
    });
  }

  // Step 1 of the rules.
  template <class Event>
  Result<Ruling> Judge(const EventAt& at, SignalKind kind, const Event& e) const {
    if (keyring_ == nullptr || e.user_agent().empty()) return ByAgent(kind, std::nullopt, e.agent());
    const auto agent = schema::Open(*keyring_, at.tenant, "user_agent", e.user_agent());
    if (agent) return ByAgent(kind, *agent, e.agent());
    if (agent.error().code != Code::kNotFound && agent.error().code != Code::kInvalid) return agent.error();
    return ByAgent(kind, std::nullopt, e.agent());
  }
  // Rows of one contact are neighbours: in the order of the table a page is looked for once.
  void Keep(const EventAt& at, int64_t contact_id, uint64_t campaign_id, SignalKind kind, const Ruling& ruling) {
    kept_.push_back({at.tenant.value(), contact_id, at.sequence(), campaign_id, kind, ruling});
  }
  Result<void> WriteKept() {
    std::ranges::sort(kept_, {}, [](const Kept& row) { return std::tuple(row.tenant, row.contact_id, row.sequence); });
    for (const Kept& row : kept_) {
      MAILY_TRY_VOID(sql::Do(*signal_, row.tenant, row.contact_id, row.sequence, row.campaign_id, static_cast<int>(row.kind),
                             static_cast<int>(row.ruling.by), row.ruling.rule));
    }
    kept_.clear();
    return Ok();
  }

  // Null: nothing is known of him here; what the tables say is right.
  Recipient* Known(TenantId tenant, int64_t contact_id, uint64_t campaign_id) {
    const auto found = recipients_.find({tenant.value(), contact_id, campaign_id});
    return found == recipients_.end() ? nullptr : &found->second;
  }
  Result<Recipient*> RecipientOf(TenantId tenant, int64_t contact_id, uint64_t campaign_id) {
    const auto [at, made] = recipients_.try_emplace({tenant.value(), contact_id, campaign_id});
    Recipient& recipient = at->second;
    if (!made) return &recipient;
    sql::Statement& row = *recipient_;
    sql::BindAll(row, tenant.value(), contact_id, campaign_id);
    const auto found = row.Step();
    if (found && *found) {
      recipient.assigned = true;
      recipient.assignment = {.campaign_id = static_cast<int64_t>(campaign_id),
                              .arm = row.integer(0),
                              .assigned_at = Instant{row.integer(1)},
                              .visited = row.integer(2) != 0};
      recipient.opens = row.integer(3);
      recipient.clicks = row.integer(4);
      if (row.type(5) != sql::Type::kNull) recipient.handed_over = Instant{row.integer(5)};
      if (row.type(6) != sql::Type::kNull) {
        recipient.reader = {.opens = row.integer(6),
                            .clicks = row.integer(7),
                            .visited = row.integer(8),
                            .burst = {.begun = Instant{row.integer(9)},
                                      .links = static_cast<uint64_t>(row.integer(10)),
                                      .sequence = row.integer(11),
                                      .human = row.integer(12),
                                      .unknown = row.integer(13)}};
      }
      recipient.locale = row.bytes(14);
    }
    row.Reset();
    if (!found) return found.error();
    return &recipient;
  }
  Result<void> WriteRecipients() {
    for (const auto& [key, recipient] : recipients_) {
      const auto [tenant, contact_id, campaign_id] = key;
      if (recipient.signalled) MAILY_TRY_VOID(sql::Do(*signalled_, tenant, contact_id, campaign_id, recipient.opens, recipient.clicks));
      if (!recipient.reader_changed) continue;
      const Reader& reader = recipient.reader;
      const Burst& burst = reader.burst;
      MAILY_TRY_VOID(sql::Do(*reader_, tenant, contact_id, campaign_id, reader.opens, reader.clicks, reader.visited, burst.begun.us,
                             static_cast<int64_t>(burst.links), burst.sequence, burst.human, burst.unknown));
    }
    recipients_.clear();
    return Ok();
  }

  // Those whom planning skipped have no assignment; their opens and clicks (of mail that others forwarded) count for no arm.
  Result<void> Opened(const EventAt& at, const engagements::Opened& e) {
    if (schema::IsMessage(e.campaign_id())) return Ok();
    const int64_t contact_id = at.ContactId(e.ordinal());
    MAILY_TRY(Ruling ruling, Judge(at, SignalKind::kOpen, e));
    MAILY_TRY(Recipient * recipient, RecipientOf(at.tenant, contact_id, e.campaign_id()));
    const int64_t arm = recipient->assigned ? recipient->assignment.arm : kNoArm;
    Totals& totals = Of(at.tenant, e.campaign_id(), arm);
    ++totals.opens;
    if (recipient->assigned) {
      if (++recipient->opens == 1) ++totals.opened;
      recipient->signalled = true;
    }
    ruling = ByTime(ruling, at.time, recipient->handed_over);
    Signals& signals = SignalsOf(at.tenant, e.campaign_id(), arm);
    ++signals.opens[At(ruling.by)];
    Keep(at, contact_id, e.campaign_id(), SignalKind::kOpen, ruling);
    if (!recipient->assigned || ruling.by != kHuman) return Ok();
    if (++recipient->reader.opens == 1) {
      ++signals.opened;
      ++In(at.tenant, e.campaign_id(), arm, recipient->locale).opened;
    }
    recipient->reader_changed = true;
    return Ok();
  }
  Result<void> Clicked(const EventAt& at, const engagements::Clicked& e) {
    if (schema::IsMessage(e.campaign_id())) return Ok();
    const int64_t contact_id = at.ContactId(e.ordinal());
    MAILY_TRY(Ruling ruling, Judge(at, SignalKind::kClick, e));
    MAILY_TRY(Recipient * recipient, RecipientOf(at.tenant, contact_id, e.campaign_id()));
    const int64_t arm = recipient->assigned ? recipient->assignment.arm : kNoArm;
    Totals& totals = Of(at.tenant, e.campaign_id(), arm);
    ++totals.clicks;
    if (recipient->assigned) {
      if (++recipient->clicks == 1) ++totals.clicked;
      recipient->signalled = true;
    }
    ruling = ByTime(ruling, at.time, recipient->handed_over);
    // A machine by what it says or when it comes is in no burst: a person may click beside it.
    if (recipient->assigned && ruling.by != ReadBy::kMachine) MAILY_TRY_VOID(ClickedByWhoever(at, e, contact_id, *recipient, ruling));
    ++SignalsOf(at.tenant, e.campaign_id(), arm).clicks[At(ruling.by)];
    Keep(at, contact_id, e.campaign_id(), SignalKind::kClick, ruling);
    return Ok();
  }
  // Step 3 of the rules, and what follows from it for the contact.
  Result<void> ClickedByWhoever(const EventAt& at, const engagements::Clicked& e, int64_t contact_id, Recipient& recipient,
                                Ruling& ruling) {
    const Assignment& assignment = recipient.assignment;
    Reader& reader = recipient.reader;
    recipient.reader_changed = true;
    Signals& signals = SignalsOf(at.tenant, e.campaign_id(), assignment.arm);
    Burst& burst = reader.burst;
    const int64_t burst_before = burst.sequence;
    if (burst.Join(at.time, e.link(), at.sequence())) {
      ruling = {ReadBy::kMachine, "burst"};
      MAILY_TRY_VOID(TakeBack(at, contact_id, e.campaign_id(), ruling, recipient, signals));
      return Ok();
    }
    if (burst.sequence != burst_before && reader.visited == kInBurst) reader.visited = kBefore;
    ++(ruling.by == kHuman ? burst.human : burst.unknown);
    if (ruling.by != kHuman) return Ok();
    if (++reader.clicks == 1) {
      ++signals.clicked;
      ++In(at.tenant, e.campaign_id(), assignment.arm, recipient.locale).clicked;
    }
    const bool visited = assignment.visited || reader.visited != kNo;
    if (!visited && CreditOf(assignment, Signal::kVisit, at.time, 0).visits > 0) {
      ++signals.visits;
      reader.visited = kInBurst;
    }
    return Ok();
  }
  // The clicks of the burst so far are a machine's.
  Result<void> TakeBack(const EventAt& at, int64_t contact_id, uint64_t campaign_id, const Ruling& ruling, Recipient& recipient,
                        Signals& signals) {
    Reader& reader = recipient.reader;
    Burst& burst = reader.burst;
    recipient.reader_changed = true;
    if (burst.human + burst.unknown == 0) return Ok();
    signals.clicks[At(ReadBy::kHuman)] -= burst.human;
    signals.clicks[At(ReadBy::kUnknown)] -= burst.unknown;
    signals.clicks[At(ReadBy::kMachine)] += burst.human + burst.unknown;
    reader.clicks -= burst.human;
    if (burst.human > 0 && reader.clicks == 0) {
      --signals.clicked;
      --In(at.tenant, campaign_id, recipient.assignment.arm, recipient.locale).clicked;
    }
    if (reader.visited == kInBurst) {
      --signals.visits;
      reader.visited = kNo;
    }
    burst.human = burst.unknown = 0;
    MAILY_TRY_VOID(WriteKept());
    return sql::Do(*rejudge_, at.tenant.value(), contact_id, burst.sequence, campaign_id, static_cast<int>(ruling.by), ruling.rule);
  }
  // Step 4 of the rules. Clicks that come later in the window join the burst.
  Result<void> Trapped(const EventAt& at, const engagements::HoneypotFollowed& e) {
    if (schema::IsMessage(e.campaign_id())) return Ok();
    const int64_t contact_id = at.ContactId(e.ordinal());
    MAILY_TRY(Recipient * recipient, RecipientOf(at.tenant, contact_id, e.campaign_id()));
    if (!recipient->assigned) return Ok();  // clicks of those count for nobody
    Reader& reader = recipient->reader;
    const int64_t burst_before = reader.burst.sequence;
    reader.burst.Trap(at.time, at.sequence());
    if (reader.burst.sequence != burst_before && reader.visited == kInBurst) reader.visited = kBefore;
    return TakeBack(at, contact_id, e.campaign_id(), {ReadBy::kMachine, "honeypot"}, *recipient,
                    SignalsOf(at.tenant, e.campaign_id(), recipient->assignment.arm));
  }
  static Assignment AssignmentIn(const sql::Statement& row) {
    return {.campaign_id = row.integer(0), .arm = row.integer(1), .assigned_at = Instant{row.integer(2)}, .visited = row.integer(3) != 0};
  }

  // Into assigned_.
  Result<void> ReadAssignments(TenantId tenant, int64_t contact_id) {
    assigned_.clear();
    sql::BindAll(*assignments_of_, tenant.value(), contact_id);
    while (true) {
      auto row = assignments_of_->Step();
      if (row && *row) {
        assigned_.push_back(AssignmentIn(*assignments_of_));
        continue;
      }
      assignments_of_->Reset();
      if (!row) return row.error();
      return Ok();
    }
  }

  Result<void> Recorded(const EventAt& at, const engagements::ContactEventRecorded& e) {
    const Signal signal = SignalOf(e.name());
    if (signal == Signal::kNone) return Ok();
    const int64_t contact_id = at.ContactId(e.ordinal());
    MAILY_TRY_VOID(ReadAssignments(at.tenant, contact_id));
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
    if (credit.conversions > 0) MAILY_TRY_VOID(sql::Do(*convert_, at.tenant.value(), assignment.campaign_id, contact_id, assignment.arm));
    if (credit.visits == 0) return Ok();
    MAILY_TRY_VOID(sql::Do(*visit_, at.tenant.value(), contact_id, assignment.campaign_id));
    if (Recipient* known = Known(at.tenant, contact_id, static_cast<uint64_t>(assignment.campaign_id))) {
      known->assignment.visited = true;
      if (std::exchange(known->reader.visited, kNo) == kNo) return Ok();
      known->reader_changed = true;
      --SignalsOf(at.tenant, static_cast<uint64_t>(assignment.campaign_id), assignment.arm).visits;
      return Ok();
    }
    sql::BindAll(*reader_visited_, at.tenant.value(), contact_id, assignment.campaign_id);
    return reader_visited_->SendReading([this, tenant = at.tenant, assignment](const sql::Statement* row) {
      if (row != nullptr) --SignalsOf(tenant, static_cast<uint64_t>(assignment.campaign_id), assignment.arm).visits;
    });
  }

  Signals& SignalsOf(TenantId tenant, uint64_t campaign_id, int64_t arm) { return signals_[{tenant.value(), campaign_id, arm}]; }

  keyring::Keyring* keyring_ = nullptr;
  sql::Statement* convert_ = nullptr;
  sql::Statement* assign_ = nullptr;
  sql::Statement* hand_over_ = nullptr;
  sql::Statement* signal_ = nullptr;
  sql::Statement* rejudge_ = nullptr;
  sql::Statement* reader_ = nullptr;
  sql::Statement* reader_visited_ = nullptr;
  sql::Statement* add_signals_ = nullptr;
  sql::Statement* arm_of_ = nullptr;
  sql::Statement* read_in_ = nullptr;
  sql::Statement* add_locales_ = nullptr;
  sql::Statement* assignments_of_ = nullptr;
  sql::Statement* recipient_ = nullptr;
  sql::Statement* signalled_ = nullptr;
  sql::Statement* visit_ = nullptr;
  sql::Statement* add_totals_ = nullptr;
  sql::Statement* add_skips_ = nullptr;
  std::map<std::tuple<uint32_t, uint64_t, int64_t>, Totals> totals_;                  // tenant, campaign, arm -> since the last flush
  std::map<std::tuple<uint32_t, uint64_t, int64_t, std::string>, Totals> languages_;  // and locale -> since the last flush
  std::map<std::tuple<uint32_t, uint64_t, int64_t, int>, int64_t> skips_;    // tenant, campaign, arm, reason -> since the last flush
  std::map<std::tuple<uint32_t, uint64_t, int64_t>, Signals> signals_;       // likewise
  std::map<std::tuple<uint32_t, int64_t, uint64_t>, Recipient> recipients_;  // tenant, contact, campaign, in the order of their table
  std::vector<Kept> kept_;                                                   // both since the last flush, so no more than its events
  std::vector<Assignment> assigned_;
};

}  // namespace

ReadModel CampaignTotalsReadModel() {
  return {.name = "campaign_totals",
          .version = 6 + kAttributionVersion + kSignalRulesVersion,
          .schema_sql = campaign_totals_sql::kSchema,
          .queries_sql = campaign_totals_sql::kQueries,
          .tables = {{"assignments"},
                     {"campaign_totals"},
                     {"campaign_locales", TableKind::kJudged},
                     {"campaign_skips"},
                     {"campaign_converted"},
                     {"campaign_signals", TableKind::kJudged},
                     {"signals", TableKind::kJudged},
                     {"reader_states", TableKind::kJudged},
                     {"signal_readers", TableKind::kConstant},
                     {"signal_filter", TableKind::kConstant}},
          .make = &CampaignTotalsFold::Make};
}

}  // namespace maily::projections
