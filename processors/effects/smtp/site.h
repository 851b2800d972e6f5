// What limits the mails to one site: the mail servers that one or many recipient domains share. Shared by all workers of a process.
//
// Limits are data (SitePolicy). Beside them a site says itself when it wants less: a 421, or a 4.7.x, stops it alone for a while, then one
// mail at a time probes it, and each mail that it takes lets more follow, until its limit is reached again. A site that refuses the sender
// (X.7.x, for good too) in more than a few of its last replies is slowed so, or suspended.
//
// Numbers of an hour and a day hold over all processes and restarts: mails begin against leases, which the partition of the site's key
// gives (processors/sites; site_leases.h asks it). A credit reserves one mail of what is leased; whether it may begin is said when it does.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "processors/effects/smtp/session.h"
#include "streams/base/ids.h"
#include "streams/base/time.h"

namespace maily::smtp {

inline constexpr uint32_t kRefusalsWindowMax = 10'000;

// 0 = no limit, where that is possible. Times of a day are UTC.
struct SitePolicy {
  uint32_t connections = 10;            // at once, from 1
  uint32_t mails_per_connection = 100;  // from 1
  double mails_per_second = 0;
  uint64_t mails_per_hour = 0;
  uint64_t mails_per_day = 0;
  Duration pause_min = Seconds(60);  // after the site asked for less; doubled each time
  Duration pause_max = Seconds(30 * 60);
  std::vector<uint64_t> warm_up = {};  // mails of the first day, the second, …: each from 1; empty: no plan
  uint32_t hold_percent = 5;           // of mails that are refused: above it the plan's step is held
  // Of the last `refusals_window` replies more than this part were X.7.x, for what the sender is: then the site is slowed, or suspended.
  enum class Then : uint8_t { kNothing, kSlow, kSuspend };
  Then refusals_then = Then::kSlow;
  uint32_t refusals_percent = 5;
  uint32_t refusals_window = 200;  // from 1, at most kRefusalsWindowMax

  // Mails begin only against a lease.
  bool leased() const { return mails_per_hour > 0 || mails_per_day > 0 || !warm_up.empty(); }
};

// Mails that may begin within `hour` (where the hour is limited) or its day, and before `until`.
struct SiteLease {
  uint64_t mails = 0;
  int64_t hour = 0;  // since 1970, UTC
  Instant until;
  bool used_up = false;  // of no mails: nothing is left of the number
};

// What became of mails to a site with a warm-up plan.
struct SiteTally {
  uint64_t delivered = 0;
  uint64_t slowed = 0;  // deferred with 421 or 4.7.x
  uint64_t bounced = 0;
};

// Replies with X.7.x among the last ones.
struct SiteRefusals {
  uint64_t refused = 0;
  uint64_t replies = 0;  // 0: the reply asked for less by itself
};

// X.7.x (RFC 3463 §3.8), for now or for good: for what the sender is. Not greylisting, which each mail meets.
bool IsRefusal(const Verdict& verdict);

// Something that changed how fast mails go to a site, with its cause.
struct SiteChange {
  // kRefused: as kSlowed, and the site is to be suspended everywhere.
  enum class Kind : uint8_t { kSlowed, kRecovered, kRefused };
  std::string site;
  Kind kind = Kind::kSlowed;
  uint16_t reply_code = 0;  // of kSlowed and kRefused: the reply that caused it
  std::string enhanced_code = {};
  std::string reply_text = {};  // as it came: it may name a recipient
  Duration pause = {};          // of kSlowed and kRefused
  SiteRefusals refusals = {};
  uint32_t refusals_percent = 0;  // the limit, and the window
  uint32_t refusals_window = 0;
};
std::string_view SiteChangeName(SiteChange::Kind kind);  // "slowed", …

// Whether mails begin at a site, as an operator or a rule has it.
enum class SiteGate : uint8_t {
  kOpen,
  kDraining,   // none begins; those under way go on
  kSuspended,  // none begins, connections end, and no final dot is handed over any more
};

// How a process that ran before left a site that had asked for less.
struct SitePace {
  Duration pause;       // the last one
  Duration paused_for;  // what is left of it; zero or less: it is over, and nobody said since that the site recovered
};

// Thread: any. No member calls out with its lock held.
class Site : public std::enable_shared_from_this<Site> {
 public:
  // `wants`: called when more leased mails are wanted, once until Lend; not for a site that no shared_ptr holds.
  using Wants = std::function<void(const std::shared_ptr<Site>&)>;
  Site(std::string name, const SitePolicy& policy, Wants wants = {});

  const std::string& name() const { return name_; }
  const SitePolicy& policy() const { return policy_; }

  // A connection may be opened; each that was is given back by Disconnected.
  bool TryConnect();
  void Disconnected();
  // True: somebody found none free lately, or mails do not begin there; connections that carry nothing are closed.
  bool WantsIdleClosed();

  // How many mails may be under way at once now, over all workers; 0 while it is suspended, drained or pauses.
  uint32_t Allowance(Duration now);
  // Nothing holds it back below its limit.
  bool AtFullPace(Duration now);
  // Up to `n` mails may be made ready within the rate and what is leased; gives how many. They are reserved until each has begun or was
  // given back.
  uint32_t Take(uint32_t n, Duration now, Instant wall);
  // They were not used: the rate has them again.
  void GiveBack(uint32_t n);
  // Reservations without regard to the rate. Reserve may go beyond what is leased: those mails do not begin.
  void Reserve(uint32_t n);
  void Unreserve(uint32_t n);
  // One, of a mail that nobody knew would go here. False: it may not begin now, by the rate, by what is leased, or while the site pauses.
  bool TryReserve(Duration now, Instant wall);
  // A reserved mail is about to begin, and counts from now on. False: nothing that is leased is left for it, or the site pauses. Ends its
  // reservation.
  bool Begin(Duration now, Instant wall);

  // The answer to `wants`; of no mails: none are wanted before `ask_again`.
  void Lend(const SiteLease& lease, Duration ask_again);
  // Leases that are over, or all, with what of them has not begun and does not any more.
  std::vector<SiteLease> TakeUnspent(Instant wall, bool all);
  bool holds_leases() const;
  // Its number of the hour or of the day is used up: nothing is leased, and nothing was to be had when it was last asked for.
  bool Spent(Duration now, Instant wall) const;
  SiteTally TakeTally();

  // What became of a mail. True, and `change` says how: the site is slower or as fast as it may be again from now on.
  // `tenant`: whose mail it was.
  bool Heard(const Verdict& verdict, Duration now, SiteChange& change, TenantId tenant = {});

  // False: it was so already, or a decision of a later revision is known.
  bool SetGate(SiteGate gate, uint64_t revision);
  SiteGate gate() const { return gate_; }
  bool suspended() const { return gate_ == SiteGate::kSuspended; }
  // It goes on from there, unless this process has heard something of the site itself.
  void TakeUp(const SitePace& pace, Duration now);

  struct Status {
    std::string site;
    SitePolicy policy;
    uint32_t connections = 0;
    uint32_t limit = 0;        // mails under way at once
    Duration paused_for = {};  // zero: it does not pause
    bool slowed = false;       // it probes, or pauses
    SiteGate gate = SiteGate::kOpen;
    uint64_t this_hour = 0, today = 0;                  // begun by this process
    uint64_t leased = 0;                                // that may begin now
    uint64_t delivered = 0, deferred = 0, bounced = 0;  // since the process began
    uint64_t refused = 0;                               // of the last two, with X.7.x
    SiteRefusals refusals = {};                         // among the last replies
    std::string last_reply = {};
  };
  Status Look(Duration now, Instant wall) const;

 private:
  uint32_t limit_max() const;
  void Roll(Instant wall);
  bool Good(const SiteLease& lease, Instant wall) const;
  uint64_t Leased(Instant wall) const;  // less what is reserved
  // True: `wants` is to be called, without the lock.
  bool MustAsk(Duration now);
  void Ask();
  // Counts it among the last replies. True: they break the rule. Not while one tenant alone is refused and others are taken: then it is
  // about that tenant's domain or mail, its campaign's safety stop is there for it, and others are not to be slower for it.
  bool Refuses(const Verdict& verdict, TenantId tenant);
  bool OneTenantAlone(TenantId tenant) const;
  void Slow(const Verdict& verdict, Duration now, SiteChange& change);

  const std::string name_;
  const SitePolicy policy_;
  const Wants wants_;
  mutable std::mutex mutex_;  // guards all below
  uint32_t connections_ = 0;
  uint32_t limit_;
  uint32_t taken_since_ = 0;  // mails that it took since limit_ was raised
  Duration paused_until_;
  Duration next_pause_;
  bool slowed_ = false;
  bool slowed_by_refusals_ = false;
  std::atomic<SiteGate> gate_ = SiteGate::kOpen;
  uint64_t revision_ = 0;
  bool starved_ = false;  // TryConnect failed since WantsIdleClosed was asked
  double tokens_ = 1;
  Duration filled_at_;
  int64_t hour_ = 0;  // since 1970
  uint64_t of_hour_ = 0, of_day_ = 0;
  std::deque<SiteLease> leases_;
  uint64_t lent_ = 0;  // by the last one
  uint64_t reserved_ = 0;
  bool asked_ = false;
  bool used_up_ = false;  // as of the last lease
  Duration ask_again_;
  SiteTally tally_;
  uint64_t delivered_ = 0, deferred_ = 0, bounced_ = 0, refused_ = 0;
  struct Reply {
    TenantId tenant;
    bool refused = false;  // X.7.x
  };
  std::deque<Reply> replies_;     // the last ones, oldest first
  uint64_t refused_of_last_ = 0;  // of these
  std::string last_reply_;
};

// All of a process, made when they are first asked for. At most `count_max`: then those that nobody uses go. Thread: any.
class Sites {
 public:
  using PolicyOf = std::function<SitePolicy(std::string_view site)>;
  explicit Sites(PolicyOf policy_of, size_t count_max = 10'000) : policy_of_(std::move(policy_of)), count_max_(count_max) {}

  // Of the sites that are made from now on; before the first one is.
  void OnWant(Site::Wants wants) { wants_ = std::move(wants); }
  // `changed` is called, on any thread, when something may begin that could not before, or has to end. For ever.
  void OnChange(std::function<void()> changed);

  std::shared_ptr<Site> At(const std::string& name);
  // What was decided of a site, as a partition heard it: late, early, and more than once.
  void SetGate(const std::string& name, SiteGate gate, uint64_t revision);
  void TakeUp(const std::string& name, const SitePace& pace, Duration now) { At(name)->TakeUp(pace, now); }
  void Lend(Site& site, const SiteLease& lease, Duration ask_again);
  // Null: there is none.
  std::shared_ptr<Site> Find(const std::string& name) const;
  std::vector<std::shared_ptr<Site>> All() const;

 private:
  const PolicyOf policy_of_;
  void Changed();

  const size_t count_max_;
  Site::Wants wants_;
  mutable std::mutex mutex_;  // guards all below
  std::map<std::string, std::shared_ptr<Site>> sites_;
  std::vector<std::function<void()>> changed_;
};

}  // namespace maily::smtp
