// See delivery.h; the numbers in the body are those of its steps.
#include "processors/effects/smtp/delivery.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "maily/sends/v1/commands.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/sites/v1/events.pb.h"
#include "maily/sites/v1/state.pb.h"
#include "processors/effects/lag.h"
#include "processors/effects/smtp/granter.h"
#include "processors/effects/smtp/lease.h"
#include "processors/effects/smtp/maker.h"
#include "processors/effects/smtp/redact.h"
#include "processors/effects/smtp/servers.h"
#include "schemas/codec.h"
#include "schemas/keys.h"
#include "schemas/message_id.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/observe/logging.h"
#include "streams/observe/metrics.h"
#include "streams/state/key.h"
#include "streams/state/table.h"

namespace maily::smtp {
namespace {

using sends::v1::AttemptOpened;
using sends::v1::AttemptResult;
using sends::v1::OpenAttempt;
using sends::v1::RecordAttempt;

constexpr std::string_view kActor = "effect:smtp";
constexpr size_t kUnreportedMax = 1024;  // results not durable yet: beyond it no credit is granted
constexpr int64_t kGatherFrom = 4;       // so many attempts under way: results wait for the next turn, to share a record
constexpr Duration kReportDelayMin = Milliseconds(100);
constexpr Duration kReportDelayMax = Seconds(5);

AttemptResult ResultOf(Verdict::Kind kind) {
  switch (kind) {
    case Verdict::Kind::kDelivered:
      return sends::v1::DELIVERED;
    case Verdict::Kind::kBounced:
      return sends::v1::BOUNCED;
    case Verdict::Kind::kUnknown:
      return sends::v1::RESULT_UNKNOWN;
    case Verdict::Kind::kLate:
      return sends::v1::NEVER_SENT;
    case Verdict::Kind::kNotTried:
    case Verdict::Kind::kDeferred:
      break;
  }
  return sends::v1::DEFERRED;
}

// Where an attempt came from; its report carries it on.
struct Origin {
  AttemptKey key;
  TraceId trace;
  CommandId correlation;
  std::string credits;      // whose credit it spent: its tenant's at the relay, that of a domain's key, or that of all others (empty)
  effects::Lag::Open open;  // until its result is durable
  std::shared_ptr<Site> reserved = nullptr;  // where its mail is reserved at first
};

// One leadership of one partition: shared by what it left on its way.
struct Standing {
  bool leading = false;
  state::Cache* cache = nullptr;  // while leading
  size_t recovering = 0;          // reports that credits wait for
  Lease lease;
  size_t mails = 0;        // under way
  bool renewing = false;   // a timer is set
  CommandId renewal;       // the last command that was sent to prove the lease,
  Duration renewal_since;  // and when
};

}  // namespace

namespace {

std::shared_ptr<Site> RelaySite(const SharedOptions& options) {
  return std::make_shared<Site>(std::string(kSite), SitePolicy{.connections = static_cast<uint32_t>(options.connections),
                                                               .mails_per_connection = options.mails_per_connection});
}

}  // namespace

// Of one worker.
class Shared : public std::enable_shared_from_this<Shared> {
 public:
  Shared(const SharedOptions& options_in, Dialer& dialer, AttemptSlots& slots_in, Executor& executor_in, Clock& clock_in,
         Entropy& entropy_in, command::Sender& sender_in, keyring::Keyring& keyring_in)
      : options(options_in),
        slots(slots_in),
        executor(executor_in),
        clock(clock_in),
        entropy(entropy_in),
        sender(sender_in),
        keyring(keyring_in),
        maker(options_in.tracking_base_url, options_in.returns, keyring_in, options_in.tails),
        relay_(options_in.mx != nullptr ? nullptr : RelaySite(options_in)),
        granter(GranterFor(slots_in, false), executor_in, clock_in),
        messages(GranterFor(slots_in, true), executor_in, clock_in) {
    if (options.mx != nullptr) {
      router_.emplace(*options.mx->resolver, executor, entropy);
      servers_.emplace(options, dialer, executor, clock);
      if (options.mx->sts.fetch != nullptr)
        policies_ = std::make_unique<Policies>(options.mx->sts, *options.mx->resolver, executor, clock, options.mx->workers);
    } else {
      relay_pool_ = std::make_unique<Pool>(PoolFor(options, *relay_), dialer, executor, clock);
    }
    Policies::NameMetrics();
    auto& metrics = observe::Metrics::Process();
    for (int result = 1; result <= sends::v1::AttemptResult_MAX; ++result) {  // 0 is no result
      std::string name = sends::v1::AttemptResult_Name(static_cast<AttemptResult>(result));
      for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      attempts_.push_back(metrics.AddCounter("maily_smtp_attempts_total", "Attempts to send a mail, by result.", {{"result", name}}));
    }
    for (const auto kind : {SiteChange::Kind::kSlowed, SiteChange::Kind::kRecovered, SiteChange::Kind::kRefused}) {
      site_changes_.push_back(metrics.AddCounter("maily_site_changes_total",
                                                 "Sites that were slowed, recovered, or refused the sender, by what.",
                                                 {{"change", std::string(SiteChangeName(kind))}}));
    }
    refusals_ =
        metrics.AddCounter("maily_smtp_policy_refusals_total", "Replies X.7.x (RFC 3463: security or policy): for what the sender is.");
    seconds_ = metrics.AddHistogram("maily_smtp_attempt_seconds", "From an accepted attempt to its result.");
    unreported_gauge_ = metrics.AddGauge("maily_smtp_unreported_results", "Results whose command is not durable yet.");
  }

  // Of campaigns, or of messages, which go first.
  Granter::Options GranterFor(AttemptSlots& of, bool of_messages) {
    Granter::Options how{.budget = static_cast<int64_t>(options.connections) * options.credits_per_connection,
                         .workers = options.mx != nullptr ? options.mx->workers : 1,
                         .per_domain = options.mx != nullptr,
                         .opener = of.opener(),
                         .may = [this] { return unreported_ < kUnreportedMax && !draining_; },
                         .everywhere = relay_,
                         .weight_of = options.weight_of};
    how.messages = of_messages;
    if (!of_messages) how.yields = [this](const Site& site) { return messages.WantsAt(site); };
    return how;
  }
  // Both hear what the partition wants.
  void Join(PartitionId partition, task::Credits& credits) {
    messages.Join(partition, credits);
    granter.Join(partition, credits);
    credits.OnWanted([weak = weak_from_this(), partition](std::string_view name) {
      const auto self = weak.lock();
      if (!self) return;
      self->messages.Want(partition, name);
      self->granter.Want(partition, name);
    });
  }
  void Leave(PartitionId partition) {
    messages.Leave(partition);
    granter.Leave(partition);
  }
  Granter& GranterOf(const Origin& origin) { return schema::IsMessage(origin.key.campaign_id) ? messages : granter; }
  // What one has learnt of a domain both know. False: as Granter::Learn.
  bool Learn(const std::string& credits, const Granter::Ways& ways) {
    const bool known = messages.Learn(credits, ways);
    return granter.Learn(credits, ways) && known;
  }
  void PostDistribute() {
    messages.PostDistribute();
    granter.PostDistribute();
  }
  void Distribute() {
    messages.Distribute();
    granter.Distribute();
  }
  int64_t in_flight() const { return messages.in_flight() + granter.in_flight(); }

  // Why the relay counts as down. Thread: any.
  std::string Trouble() const {
    const std::string why = relay_pool_ ? relay_pool_->trouble() : std::string();
    return why.empty() ? why : fmt::format("the relay {} is down: {}", options.relay.ToString(), why);
  }

  // --- one attempt ---
  // 3. The mail is made, and finds its way.
  void Begin(const Origin& origin, Epoch epoch, const AttemptOpened& opened, Instant first_opened_at,
             const std::shared_ptr<Standing>& standing, Result<Tail> tail = Tail());
  // 5. The result is appended, again and again until it is durable. `slot`: freed then (6). `durable`: called then.
  void Report(const Origin& origin, RecordAttempt record, std::optional<size_t> slot, Job durable);
  void Count(AttemptResult result, Duration since) {
    attempts_[static_cast<size_t>(result) - 1].Add();
    seconds_.Observe(clock.Steady() - since);
  }

  void Drain(Job done) {
    draining_ = true;
    drained_ = std::move(done);
    SendGathered();
    pools_to_drain_ = 1;
    const auto drained = [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      --self->pools_to_drain_;
      self->CheckDrained();
    };
    EachPool([&](Pool& pool) {
      ++pools_to_drain_;
      pool.Drain(drained);
    });
    drained();
  }
  // Mails of a partition that have not begun are dropped; `drop` is told of each.
  void Drop(PartitionId partition, const std::function<void(const Origin&)>& drop);
  void Pump() {
    EachPool([](Pool& pool) { pool.Pump(); });
  }
  // A mail is at its end; at `site`, or nowhere. `rcpt_to`: whom no log and event may name.
  void Ended(const Origin& origin, Site* site, const Verdict* verdict, std::string_view rcpt_to = {});
  // Sites may take more, or less, than before.
  void SitesChanged() {
    PostDistribute();
    Pump();
  }

  // CHECK: a policy was found.
  Policies& policies() {
    MAILY_CHECK(policies_ != nullptr, "a policy of nobody");
    return *policies_;
  }

  const SharedOptions options;
  AttemptSlots& slots;
  Executor& executor;
  Clock& clock;
  Entropy& entropy;
  command::Sender& sender;
  keyring::Keyring& keyring;
  Maker maker;

 private:
  const std::shared_ptr<Site> relay_;  // where there is one

 public:
  Granter granter;
  // Has a budget of its own, as large: no mail of a campaign is in its way, nor is it in theirs.
  Granter messages;

 private:
  struct Pending {
    Origin origin;
    std::string payload;
    std::optional<size_t> slot;
    Job durable;
    CommandId id;
    Instant at;
    Duration delay = kReportDelayMin;
  };
  void EachPool(const std::function<void(Pool&)>& visit) {
    if (relay_pool_) visit(*relay_pool_);
    if (servers_) servers_->Each(visit);
  }
  // An attempt that waits for images and attachments to be read: counted as under way, so that its lease goes on.
  struct Unmade {
    Unmade(Origin origin_in, Epoch epoch_in, const AttemptOpened& opened_in, Instant first_in, std::shared_ptr<Standing> standing_in)
        : origin(std::move(origin_in)), epoch(epoch_in), opened(opened_in), first_opened_at(first_in), standing(std::move(standing_in)) {
      ++standing->mails;
    }
    ~Unmade() { --standing->mails; }
    const Origin origin;
    const Epoch epoch;
    const AttemptOpened opened;
    const Instant first_opened_at;
    const std::shared_ptr<Standing> standing;
  };
  // By the DNS.
  void FindWay(std::unique_ptr<Mail> mail, const std::string& domain);
  void Found(uint64_t id, const std::string& domain, Router::Found found);
  void Go(uint64_t id, Policies::Found found);
  // The mail that has found its way, or not; null: the partition is led elsewhere, or nothing begins any more.
  std::unique_ptr<Mail> TakeLooking(uint64_t id);
  // Of these ways of its credits; none: the servers' site is the only one.
  void GoTo(std::unique_ptr<Mail> mail, Servers::One* servers, const Granter::Ways& ways = {});
  // Which of these a mail takes: the one that it is reserved at, else the first that has something left.
  size_t WayOf(const Origin& origin, const Granter::Ways& ways);
  // What was gathered: one record for each partition.
  void SendGathered();
  void Send(const std::shared_ptr<Pending>& pending, command::More more = command::More::kNone);
  void CheckDrained() {
    if (drained_ && pools_to_drain_ == 0 && unreported_ == 0) std::exchange(drained_, nullptr)();
  }

  std::unique_ptr<Pool> relay_pool_;    // of the relay, that takes all
  std::optional<Router> router_;        // else by the recipient's domain
  std::unique_ptr<Policies> policies_;  // of domains; null: they are not asked for
  std::optional<Servers> servers_;
  std::map<uint64_t, std::unique_ptr<Mail>> looking_;  // mails that wait for the DNS
  uint64_t last_looking_ = 0;
  std::map<uint64_t, std::unique_ptr<Unmade>> unmade_;  // attempts that wait for their tail; bounded by credits
  uint64_t last_unmade_ = 0;
  std::map<PartitionId, std::vector<std::shared_ptr<Pending>>> gathered_;  // results that leave with the next turn
  bool gathering_ = false;                                                 // a timer is set
  size_t unreported_ = 0;
  bool draining_ = false;
  size_t pools_to_drain_ = 1;
  Job drained_;
  std::vector<observe::Counter> attempts_;      // by result, from 1
  std::vector<observe::Counter> site_changes_;  // by kind
  observe::Counter refusals_;
  observe::Histogram seconds_;
  observe::Gauge unreported_gauge_;
};

namespace {

// 4. On its way through the pool.
class AttemptMail : public Mail {
 public:
  // The pool is a part of `shared`, so it outlives its mails.
  AttemptMail(Shared& shared, const Origin& origin, Epoch epoch, std::shared_ptr<Standing> standing, Made made)
      : shared_(shared),
        origin_(origin),
        epoch_(epoch),
        standing_(std::move(standing)),
        made_(std::move(made)),
        since_(shared_.clock.Steady()),
        reserved_(origin.reserved) {
    ++standing_->mails;
  }
  ~AttemptMail() override {
    --standing_->mails;
    if (reserved_) reserved_->Unreserve(1);
  }

  const Origin& origin() const { return origin_; }
  const std::shared_ptr<Site>& site() const { return site_; }
  const std::string& mail_from() const override { return made_.mail_from; }
  const std::string& rcpt_to() const override { return made_.rcpt_to; }
  const std::string& data() const override { return made_.data; }
  std::string_view tail() const override { return made_.tail ? std::string_view(*made_.tail) : std::string_view(); }

  bool urgent() const override { return schema::IsMessage(origin_.key.campaign_id); }
  // Of a suspended site neither a mail nor its final dot begins.
  bool InTime() override { return !late_ && !site_->suspended() && standing_->lease.Holds(shared_.clock.Steady()); }
  bool Begin() override {
    if (!slot_) slot_ = shared_.slots.Open(origin_.key, epoch_);
    if (!slot_) return false;
    if (!std::exchange(counted_, true)) {
      reserved_ = nullptr;
      late_ = !site_->Begin(shared_.clock.Steady(), shared_.clock.Now());
    }
    return !late_;
  }
  void DotSent() override { shared_.slots.DotSent(*slot_); }

  void Under(Sts policy) { policy_ = std::move(policy); }
  // It is reserved at this site, and nowhere else. False: the site takes no more at present.
  bool Reserve(const std::shared_ptr<Site>& site) {
    if (reserved_ == site) return true;
    if (reserved_) reserved_->Unreserve(1);
    reserved_ = site->TryReserve(shared_.clock.Steady(), shared_.clock.Now()) ? site : nullptr;
    return reserved_ != nullptr;
  }
  // Where it goes: before it is submitted to a pool.
  void GoTo(std::shared_ptr<Site> site) { site_ = std::move(site); }

  void Done(const Verdict& heard) override {
    Verdict verdict = heard;
    RecordAttempt record;
    if (policy_) {
      *record.mutable_mta_sts() = shared_.policies().Tell(*policy_, verdict);
      record.mutable_mta_sts()->set_failure(RedactReply(record.mta_sts().failure(), made_.rcpt_to));
    }
    const AttemptResult result = ResultOf(verdict.kind);
    // A dot without an answer stays as it is in the slot: a restart calls it unknown too.
    if (slot_ && result != sends::v1::RESULT_UNKNOWN) {
      shared_.slots.Replied(*slot_, {.result = static_cast<uint8_t>(result),
                                     .code = verdict.code,
                                     .stage = static_cast<uint8_t>(verdict.stage),
                                     .enhanced = verdict.enhanced});
    }
    shared_.Count(result, since_);
    record.set_result(result);
    if (result == sends::v1::DELIVERED || result == sends::v1::RESULT_UNKNOWN) record.set_mail_sha256(MailDigest(made_));
    record.set_reply_code(verdict.code);
    record.set_enhanced_code(verdict.enhanced);
    record.set_reply_text(RedactReply(verdict.text, made_.rcpt_to));
    record.set_stage(std::string(StageName(verdict.stage)));
    record.set_peer(!verdict.peer.empty() || site_ == nullptr ? verdict.peer : shared_.options.mx ? "" : shared_.options.relay.ToString());
    if (site_) record.set_site(site_->name());
    if (verdict.tls) {
      sends::v1::Tls& tls = *record.mutable_tls();
      tls.set_version(verdict.tls->version);
      tls.set_cipher(verdict.tls->cipher);
      tls.set_verified(verdict.tls->verified);
      tls.set_why_not(verdict.tls->why_not);
    }
    shared_.Report(origin_, std::move(record), slot_, nullptr);
    shared_.Ended(origin_, site_.get(), &verdict, made_.rcpt_to);
  }

 private:
  Shared& shared_;
  const Origin origin_;
  const Epoch epoch_;
  const std::shared_ptr<Standing> standing_;
  const Made made_;
  const Duration since_;
  Sts policy_;
  std::shared_ptr<Site> site_;      // null: nowhere yet
  std::shared_ptr<Site> reserved_;  // null: it has begun, or nothing is reserved
  std::optional<size_t> slot_;
  bool counted_ = false;  // it has begun, as far as the site is concerned
  bool late_ = false;     // nothing that is leased was left when it was to begin
};

// Reports what is open in the state and what this process's slots know of; gives what was opened elsewhere. `waits`: called for each
// report, gives what is called when that is durable.
std::vector<AttemptKey> ReportOwn(Shared& shared, PartitionId partition, state::Cache& cache, effects::Lag* lag,
                                  const std::function<Job()>& waits) {
  std::vector<std::pair<AttemptKey, uint64_t>> open;  // and its opener
  state::View<OpenAttempt>(cache).Scan({}, {}, [&](std::string_view key, const OpenAttempt& attempt) {
    if (attempt.status() != sends::v1::OPEN) return true;
    Cursor cursor(key);
    AttemptKey at{.tenant = TenantId(cursor.Ordered<uint32_t>()), .partition = partition};
    at.campaign_id = cursor.Ordered<uint64_t>();
    at.ordinal = cursor.Ordered<uint64_t>();
    at.attempt = attempt.attempt();
    MAILY_CHECK(cursor.ok(), "an open attempt has a key of {} bytes", key.size());
    open.emplace_back(at, attempt.opener());
    return true;
  });
  AttemptSlots& slots = shared.slots;
  std::set<AttemptKey> keys;
  for (const auto& [key, opener] : open) keys.insert(key);
  slots.ForgetLeftovers(partition, keys);
  size_t unknown = 0, never = 0, reported = 0;
  std::vector<AttemptKey> elsewhere;
  for (const auto& [key, opener] : open) {
    RecordAttempt record;
    const AttemptSlots::Found found = slots.Find(key, opener);
    switch (found.last) {
      case AttemptSlots::Last::kUnderWay:
        continue;
      case AttemptSlots::Last::kElsewhere:
        elsewhere.push_back(key);
        continue;
      case AttemptSlots::Last::kUnknown:
        ++unknown;
        record.set_result(sends::v1::RESULT_UNKNOWN);
        record.set_stage("dot");
        record.set_reply_text("the program ended after the mail was handed over and before the reply");
        break;
      case AttemptSlots::Last::kReplied:
        record.set_result(static_cast<AttemptResult>(found.result.result));
        record.set_reply_code(found.result.code);
        record.set_enhanced_code(found.result.enhanced);
        record.set_stage(std::string(StageName(static_cast<Stage>(found.result.stage))));
        record.set_reply_text("the reply's text was lost when the program ended");
        record.set_peer(shared.options.relay.ToString());
        break;
      case AttemptSlots::Last::kNeverSent:
        ++never;
        record.set_result(sends::v1::NEVER_SENT);
        break;
    }
    ++reported;
    shared.Report({.key = key, .trace = {}, .correlation = {}, .credits = {}, .open = lag != nullptr ? lag->Begin() : effects::Lag::Open()},
                  std::move(record), std::nullopt, [durable = waits(), key = key, &slots]() mutable {
                    slots.ForgetLeftover(key);
                    if (durable) durable();
                  });
  }
  if (reported > 0) {
    observe::Log(observe::Level::kInfo, "open attempts are settled",
                 {{"partition", partition}, {"open", reported}, {"never_sent", never}, {"unknown", unknown}});
  }
  return elsewhere;
}

// By what name its credit was wanted, the mark of messages apart.
std::string CreditsOf(TenantId tenant, const AttemptOpened& opened) {
  if (!opened.site().empty()) return schema::RelayCredits(tenant);
  return opened.lane() == 0 ? std::string() : opened.domain_key();
}

// The effect of one partition.
class Delivery : public effects::Effect {
 public:
  Delivery(std::shared_ptr<Shared> shared, PartitionId partition)
      : shared_(std::move(shared)),
        partition_(partition),
        lag_(shared_->clock, "smtp", partition),
        standing_(std::make_shared<Standing>()) {}
  ~Delivery() override { Drop(); }

  void Lead(const effects::Leadership& leadership) override {
    epoch_ = leadership.epoch;
    standing_->cache = leadership.cache;
    standing_->leading = true;
    state::View<sites::v1::SiteSuspension>(*leadership.cache)
        .Scan({}, {}, [&](std::string_view key, const sites::v1::SiteSuspension& known) {
          SetGate(std::string(key.substr(sizeof(uint32_t))), known);  // behind the tenant: none
          return true;
        });
    state::View<sites::v1::SitePace>(*leadership.cache).Scan({}, {}, [&](std::string_view key, const sites::v1::SitePace& known) {
      if (known.slowed()) TakeUp(std::string(key.substr(sizeof(uint32_t))), known);
      return true;
    });
    Recover(*leadership.credits);
  }

  void Accepted(const journal::AcceptedFrame& frame) override {
    // Between its claim and this process's hearing of it, the next owner's frames are read here, too: they are that one's to carry out.
    if (!standing_->leading || frame.after.epoch != epoch_) return;
    for (const journal::Decision& decision : frame.decisions) {
      if (decision.cause.kind == journal::CauseKind::kCommand && decision.cause.command_id == standing_->renewal) {
        standing_->lease.Proved(standing_->renewal_since);
      }
      for (const journal::Event& event : decision.events) {
        if (event.type == TypeNumberOf<sites::v1::SiteSuspensionSet>()) {
          sites::v1::SiteSuspensionSet set;
          if (schema::DecodeInto(set, event.payload)) SetGate(set.site(), set);
          continue;
        }
        if (event.type != TypeNumberOf<AttemptOpened>()) continue;
        AttemptOpened opened;
        if (auto read = schema::DecodeInto(opened, event.payload); !read) {
          observe::Log(observe::Level::kError, "an attempt cannot be read", {{"partition", partition_}, {"error", read.error()}});
          continue;
        }
        Open(decision, opened, frame.time);
      }
    }
  }

  // 2. An attempt was opened.
  void Open(const journal::Decision& decision, const AttemptOpened& opened, Instant frame_time) {
    Origin origin{{decision.tenant, partition_, opened.campaign_id(), opened.ordinal(), opened.attempt()},
                  decision.trace,
                  decision.correlation,
                  CreditsOf(decision.tenant, opened),
                  lag_.Begin()};
    Instant first_opened_at = frame_time;
    if (opened.attempt() > 1) {
      const auto* open =
          state::View<OpenAttempt>(*standing_->cache).Find(state::Key(decision.tenant, opened.campaign_id(), opened.ordinal()));
      if (open != nullptr && open->first_opened_at_us() != 0) first_opened_at = {open->first_opened_at_us()};
    }
    origin.reserved = shared_->GranterOf(origin).Opened(partition_, origin.credits, decision.tenant);
    standing_->lease.Proved({opened.granted_at_us()});
    shared_->Begin(origin, epoch_, opened, first_opened_at, standing_);
    if (!std::exchange(standing_->renewing, true)) RenewSoon(shared_, partition_, standing_);
  }

  void Stop() override {
    // Nobody else knows that they never began.
    for (const Origin& origin : Drop()) {
      RecordAttempt record;
      record.set_result(sends::v1::NEVER_SENT);
      shared_->Report(origin, std::move(record), std::nullopt, nullptr);
    }
  }

 private:
  // What every process is told by each partition that it leads.
  template <class Set>
  void SetGate(const std::string& site, const Set& set) {
    const SiteGate gate = set.suspended() ? SiteGate::kSuspended : set.draining() ? SiteGate::kDraining : SiteGate::kOpen;
    if (shared_->options.mx) shared_->options.mx->sites->SetGate(site, gate, set.revision());
  }
  // A process that ran before, or leads elsewhere, was asked for less there.
  void TakeUp(const std::string& site, const sites::v1::SitePace& pace) {
    if (!shared_->options.mx) return;
    const Duration left = Instant{pace.pause_ends_at_us()} - shared_->clock.Now();
    shared_->options.mx->sites->TakeUp(site, {.pause = {pace.pause_us()}, .paused_for = left}, shared_->clock.Steady());
  }

  // Leads no more; gives the mails that had not begun.
  std::vector<Origin> Drop() {
    std::vector<Origin> dropped;
    if (!std::exchange(standing_->leading, false)) return dropped;
    standing_->cache = nullptr;
    shared_->Leave(partition_);
    shared_->Drop(partition_, [&](const Origin& origin) { dropped.push_back(origin); });
    return dropped;
  }

  // Sends what proves the lease, now and then, while mails are under way.
  static void RenewSoon(const std::shared_ptr<Shared>& shared, PartitionId partition, const std::shared_ptr<Standing>& standing) {
    if (shared->options.tick == 0) return;
    shared->executor.After(kLeaseRenew, [weak = std::weak_ptr(shared), partition, weak_standing = std::weak_ptr(standing)] {
      const auto self = weak.lock();
      const auto at = weak_standing.lock();
      if (!self || !at) return;
      at->renewing = at->leading && at->mails > 0;
      if (!at->renewing) return;
      if (at->lease.WantsProof(self->clock.Steady())) {
        command::Command command;
        command.id = self->entropy.NextId<CommandId>();
        command.type = self->options.tick;
        command.actor = kActor;
        command.occurred_at = self->clock.Now();
        at->renewal = command.id;
        at->renewal_since = self->clock.Steady();
        self->sender.Send(partition, command, Sync::kSoon, [](const Result<CommandAt>&) {});  // sent again the next time
      }
      RenewSoon(self, partition, at);
    });
  }

  // Settles what was open when the last leader ended, then asks for work.
  void Recover(task::Credits& credits) {
    standing_->recovering = 1;  // this function itself
    const auto done = [weak = std::weak_ptr(standing_), weak_shared = std::weak_ptr(shared_), partition = partition_, &credits] {
      const auto standing = weak.lock();
      const auto shared = weak_shared.lock();
      if (!standing || !shared || --standing->recovering > 0 || !standing->leading) return;
      shared->Join(partition, credits);
    };
    std::vector<AttemptKey> elsewhere = ReportOwn(*shared_, partition_, *standing_->cache, &lag_, [this, &done]() -> Job {
      ++standing_->recovering;
      return done;
    });
    if (!elsewhere.empty()) {
      observe::Log(observe::Level::kInfo, "attempts of another process are waited for",
                   {{"partition", partition_}, {"open", elsewhere.size()}, {"seconds", (kLease + kLeaseMargin).us / 1'000'000}});
      shared_->executor.After(kLease + kLeaseMargin, [weak = std::weak_ptr(shared_), standing = std::weak_ptr(standing_),
                                                      partition = partition_, keys = std::move(elsewhere)] {
        const auto shared = weak.lock();
        const auto at = standing.lock();
        if (shared && at && at->leading) GiveUp(*shared, partition, *at->cache, keys);
      });
    }
    done();
  }

  // Their lease is over, and their openers have not told.
  static void GiveUp(Shared& shared, PartitionId partition, state::Cache& cache, const std::vector<AttemptKey>& keys) {
    size_t unknown = 0;
    for (const AttemptKey& key : keys) {
      const auto* open = state::View<OpenAttempt>(cache).Find(state::Key(key.tenant, key.campaign_id, key.ordinal));
      if (open == nullptr || open->status() != sends::v1::OPEN || open->attempt() != key.attempt) continue;
      ++unknown;
      RecordAttempt record;
      record.set_result(sends::v1::RESULT_UNKNOWN);
      record.set_given_up(true);
      record.set_stage("dot");
      record.set_reply_text("the process or boot that opened it does not tell what became of it");
      shared.Report({.key = key, .trace = {}, .correlation = {}, .credits = {}, .open = {}}, std::move(record), std::nullopt, nullptr);
    }
    if (unknown > 0) {
      observe::Log(observe::Level::kWarn, "attempts of another process are unknown", {{"partition", partition}, {"unknown", unknown}});
    }
  }

  const std::shared_ptr<Shared> shared_;
  const PartitionId partition_;
  effects::Lag lag_;
  const std::shared_ptr<Standing> standing_;  // also of mails and reports that are still on their way
  Epoch epoch_;
};

}  // namespace

void Shared::Begin(const Origin& origin, Epoch epoch, const AttemptOpened& opened, Instant first_opened_at,
                   const std::shared_ptr<Standing>& standing, Result<Tail> tail) {
  if (tail && !*tail) {
    if (const mime::Plan* plan = maker.Lacks(origin.key.tenant, origin.key.campaign_id, opened.arm(), *standing->cache)) {
      const uint64_t id = ++last_unmade_;
      unmade_.emplace(id, std::make_unique<Unmade>(origin, epoch, opened, first_opened_at, standing));
      return options.tails->Load(origin.key.tenant, *plan, executor, [weak = weak_from_this(), id](Result<Tail> loaded) {
        const auto self = weak.lock();
        if (!self || self->draining_) return;  // it has not begun, and does not any more
        const auto node = self->unmade_.extract(id);
        if (node.empty()) return;
        const Unmade& one = *node.mapped();
        self->Begin(one.origin, one.epoch, one.opened, one.first_opened_at, one.standing, std::move(loaded));
      });
    }
  }
  Made made;
  const Result<void> can = tail
                               ? maker.Make(origin.key.tenant, origin.key.partition, opened, first_opened_at, *standing->cache, made, *tail)
                               : Result<void>(tail.error());
  if (can) {
    const std::string domain = made.rcpt_to.substr(made.rcpt_to.rfind('@') + 1);
    auto mail = std::make_unique<AttemptMail>(*this, origin, epoch, standing, std::move(made));
    if (router_) return FindWay(std::move(mail), domain);
    mail->Reserve(relay_);
    mail->GoTo(relay_);
    GranterOf(origin).Begun(origin.credits, *relay_);
    relay_pool_->Submit(std::move(mail));
    return;
  }
  if (origin.reserved) origin.reserved->Unreserve(1);
  RecordAttempt record;
  switch (can.error().code) {
    case Code::kNotFound:
      record.set_result(sends::v1::ADDRESS_GONE);
      break;
    case Code::kInvalid:
      record.set_result(sends::v1::NOT_RENDERED);
      break;
    default:
      record.set_result(sends::v1::DEFERRED);
      break;
  }
  record.set_reply_text(RedactReply(can.error().message, made.rcpt_to));
  Count(record.result(), clock.Steady());
  Report(origin, std::move(record), std::nullopt, nullptr);
  // Posted: a long row of mails that cannot be made must not nest grants in grants.
  executor.Post([weak = weak_from_this(), origin] {
    if (const auto self = weak.lock()) self->Ended(origin, nullptr, nullptr);
  });
}

void Shared::Ended(const Origin& origin, Site* site, const Verdict* verdict, std::string_view rcpt_to) {
  SiteChange change;
  if (options.mx && site != nullptr && verdict != nullptr && site->Heard(*verdict, clock.Steady(), change, origin.key.tenant)) {
    change.reply_text = RedactReply(change.reply_text, rcpt_to);
    observe::Log(observe::Level::kInfo,
                 change.kind == SiteChange::Kind::kRecovered ? "a site takes mail as before"
                 : change.kind == SiteChange::Kind::kRefused ? "a site refuses the sender, and is suspended"
                                                             : "a site is slowed down",
                 {{"site", change.site},
                  {"code", change.reply_code},
                  {"enhanced", change.enhanced_code},
                  {"reply", change.reply_text},
                  {"refused", change.refusals.refused},
                  {"replies", change.refusals.replies},
                  {"pause", change.pause}});
    site_changes_[static_cast<size_t>(change.kind)].Add();
    if (options.mx->changed) options.mx->changed(change);
  }
  if (verdict != nullptr && IsRefusal(*verdict)) refusals_.Add();
  GranterOf(origin).Ended(origin.credits, site);
}

void Shared::Drop(PartitionId partition, const std::function<void(const Origin&)>& drop) {
  std::vector<std::pair<Origin, std::shared_ptr<Site>>> dropped;
  const auto is_of = [&](const Mail& mail) {
    const auto& attempt = static_cast<const AttemptMail&>(mail);
    if (attempt.origin().key.partition != partition) return false;
    dropped.emplace_back(attempt.origin(), attempt.site());
    return true;
  };
  EachPool([&](Pool& pool) { pool.Drop(is_of); });
  std::erase_if(looking_, [&](const auto& entry) { return is_of(*entry.second); });
  std::erase_if(unmade_, [&](const auto& entry) {
    const Origin& origin = entry.second->origin;
    if (origin.key.partition != partition) return false;
    if (origin.reserved) origin.reserved->Unreserve(1);
    dropped.emplace_back(origin, nullptr);
    return true;
  });
  for (const auto& [origin, site] : dropped) drop(origin);
  for (const auto& [origin, site] : dropped) Ended(origin, site.get(), nullptr);
}

void Shared::FindWay(std::unique_ptr<Mail> mail, const std::string& domain) {
  const TenantId tenant = static_cast<const AttemptMail&>(*mail).origin().key.tenant;
  const RouteRule* const rule = RuleOf(options.mx->routes, tenant, domain);
  if (rule != nullptr && rule->via) return GoTo(std::move(mail), servers_->Of(rule->via));
  const uint64_t id = ++last_looking_;
  looking_.emplace(id, std::move(mail));
  router_->Find(domain, [weak = weak_from_this(), id, domain](Router::Found found) {
    if (const auto self = weak.lock()) self->Found(id, domain, std::move(found));
  });
}

std::unique_ptr<Mail> Shared::TakeLooking(uint64_t id) {
  if (draining_) return nullptr;  // it has not begun, and does not any more
  auto node = looking_.extract(id);
  return node.empty() ? nullptr : std::move(node.mapped());
}

void Shared::Found(uint64_t id, const std::string& domain, Router::Found found) {
  if (found.ok() && policies_ != nullptr) {
    return policies_->Apply(domain, std::move(found.route), [weak = weak_from_this(), id](Policies::Found allowed) {
      if (const auto self = weak.lock()) self->Go(id, std::move(allowed));
    });
  }
  if (found.ok()) return Go(id, {.route = std::move(found.route)});
  const std::unique_ptr<Mail> mail = TakeLooking(id);
  if (mail == nullptr) return;
  const std::string& credits = static_cast<AttemptMail&>(*mail).origin().credits;
  if (!credits.empty() && found.verdict.kind == Verdict::Kind::kBounced) Learn(credits, {});
  mail->Done(found.verdict);
}

void Shared::Go(uint64_t id, Policies::Found found) {
  std::unique_ptr<Mail> mail = TakeLooking(id);
  if (mail == nullptr) return;
  static_cast<AttemptMail&>(*mail).Under(found.policy);
  if (!found.ok()) return mail->Done(found.verdict);
  const Origin& origin = static_cast<AttemptMail&>(*mail).origin();
  const std::string_view domain = std::string_view(mail->rcpt_to()).substr(mail->rcpt_to().rfind('@') + 1);
  const RouteRule* const rule = RuleOf(options.mx->routes, origin.key.tenant, domain);
  const SourcePool* const pool = rule != nullptr && rule->from ? rule->from.get() : options.mx->from.get();
  if (pool == nullptr) return GoTo(std::move(mail), servers_->Of(found.route, found.policy, nullptr));
  const Sources sources = SourcesFor(pool, origin.key.tenant, domain);
  Granter::Ways ways;
  for (const auto& source : sources) ways.push_back(options.mx->sites->At(SiteFrom(found.route.site, source.get())));
  const size_t way = WayOf(origin, ways);
  GoTo(std::move(mail), servers_->Of(found.route, found.policy, sources[way].get()), ways);
}

size_t Shared::WayOf(const Origin& origin, const Granter::Ways& ways) {
  const auto place_of = [&](const std::shared_ptr<Site>& site) {
    return static_cast<size_t>(std::ranges::find(ways, site) - ways.begin());
  };
  if (const size_t reserved = place_of(origin.reserved); reserved < ways.size()) return reserved;
  const Duration now = clock.Steady();
  const Instant wall = clock.Now();
  const auto way = std::ranges::find_if(ways, [&](const auto& site) { return !site->Spent(now, wall); });
  return way == ways.end() ? 0 : static_cast<size_t>(way - ways.begin());
}

void Shared::GoTo(std::unique_ptr<Mail> mail, Servers::One* servers, const Granter::Ways& ways) {
  if (servers == nullptr) return mail->Done({.kind = Verdict::Kind::kDeferred, .text = "too many mail servers are in use at once"});
  auto& attempt = static_cast<AttemptMail&>(*mail);
  const std::string& credits = attempt.origin().credits;
  const bool known = !credits.empty() && Learn(credits, ways.empty() ? Granter::Ways{servers->site} : ways);
  const SiteGate gate = servers->site->gate();
  if (gate != SiteGate::kOpen || !attempt.Reserve(servers->site)) {
    // Where credits are the site's, it opens again when there is one; else it is put off.
    return mail->Done({.kind = known ? Verdict::Kind::kLate : Verdict::Kind::kDeferred,
                       .text = gate == SiteGate::kSuspended ? "the site is suspended"
                               : gate == SiteGate::kDraining
                                   ? "the site is drained: no mail begins there"
                                   : "the site takes no more mails at present: by its limits, or because it asked for fewer"});
  }
  attempt.GoTo(servers->site);
  GranterOf(attempt.origin()).Begun(credits, *servers->site);
  servers->pool->Submit(std::move(mail));
}

void Shared::Report(const Origin& origin, RecordAttempt record, std::optional<size_t> slot, Job durable) {
  record.set_campaign_id(origin.key.campaign_id);
  record.set_ordinal(origin.key.ordinal);
  record.set_attempt(origin.key.attempt);
  ++unreported_;
  unreported_gauge_.Add(1);
  gathered_[origin.key.partition].push_back(std::make_shared<Pending>(Pending{.origin = origin,
                                                                              .payload = schema::Encode(record),
                                                                              .slot = slot,
                                                                              .durable = std::move(durable),
                                                                              .id = entropy.NextId<CommandId>(),
                                                                              .at = clock.Now()}));
  if (in_flight() < kGatherFrom || draining_) return SendGathered();
  if (std::exchange(gathering_, true)) return;
  executor.After(ToNextTurn(clock.Steady()), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->SendGathered();
  });
}

void Shared::SendGathered() {
  gathering_ = false;
  for (auto& [partition, results] : std::exchange(gathered_, {})) {
    for (const auto& pending : results) Send(pending, pending == results.back() ? command::More::kNone : command::More::kFollows);
  }
}

void Shared::Send(const std::shared_ptr<Pending>& pending, command::More more) {
  command::Command command;
  command.id = pending->id;
  command.type = TypeNumberOf<RecordAttempt>();
  command.tenant = pending->origin.key.tenant;
  command.actor = kActor;
  command.occurred_at = pending->at;
  command.trace = pending->origin.trace;
  command.correlation = pending->origin.correlation;
  command.payload = pending->payload;
  // kNow: until it is durable only the slot knows it, and a loss of power makes it unknown.
  sender.Send(
      pending->origin.key.partition, command, Sync::kNow,
      [weak = weak_from_this(), pending](Result<CommandAt> sent) {
        const auto self = weak.lock();
        if (!self) return;
        self->executor.Post([weak, pending, sent = std::move(sent)] {
          const auto on_executor = weak.lock();
          if (!on_executor) return;
          if (!sent) {
            observe::Log(observe::Level::kWarn, "a result is not durable yet",
                         {{"partition", pending->origin.key.partition}, {"error", sent.error()}});
            on_executor->executor.After(pending->delay, [weak, pending] {
              if (const auto later = weak.lock()) later->Send(pending);
            });
            pending->delay = std::min(kReportDelayMax, pending->delay * 2);
            return;
          }
          // 6. Durable.
          const bool was_full = pending->slot && on_executor->slots.free_count() == 0;
          if (pending->slot) on_executor->slots.Free(*pending->slot);
          if (pending->durable) pending->durable();
          on_executor->unreported_gauge_.Add(-1);
          if (on_executor->unreported_-- == kUnreportedMax) on_executor->Distribute();
          if (was_full) on_executor->Pump();
          on_executor->CheckDrained();
        });
      },
      more);
}

std::shared_ptr<Shared> MakeShared(const SharedOptions& options, Dialer& dialer, AttemptSlots& slots, Executor& executor, Clock& clock,
                                   Entropy& entropy, command::Sender& sender, keyring::Keyring& keyring) {
  auto shared = std::make_shared<Shared>(options, dialer, slots, executor, clock, entropy, sender, keyring);
  if (options.mx) {
    options.mx->sites->OnChange([weak = std::weak_ptr(shared), &executor] {
      executor.Post([weak] {
        if (const auto self = weak.lock()) self->SitesChanged();
      });
    });
  }
  return shared;
}

void Drain(const std::shared_ptr<Shared>& shared, Job done) {
  shared->executor.Post([shared, done = std::move(done)]() mutable { shared->Drain(std::move(done)); });
}

std::string Trouble(const Shared& shared) { return shared.Trouble(); }

void ReportOpened(const std::shared_ptr<Shared>& shared, PartitionId partition, state::Cache& cache) {
  ReportOwn(*shared, partition, cache, nullptr, [] { return Job(); });
}

std::unique_ptr<effects::Effect> MakeDelivery(std::shared_ptr<Shared> shared, PartitionId partition) {
  return std::make_unique<Delivery>(std::move(shared), partition);
}

}  // namespace maily::smtp
