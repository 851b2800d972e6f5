// What limits the mails to one site: the mail servers that one or many recipient domains share. Shared by all workers of a process.
//
// Limits are data (SitePolicy). Beside them a site says itself when it wants less: a 421, or a 4.7.x, stops it alone for a while, then one
// mail at a time probes it, and each mail that it takes lets more follow, until its limit is reached again.
#pragma once

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
#include "streams/base/time.h"

namespace maily::smtp {

// 0 = no limit, where that is possible. Times of a day are UTC.
struct SitePolicy {
  uint32_t connections = 10;            // at once, from 1
  uint32_t mails_per_connection = 100;  // from 1
  double mails_per_second = 0;
  uint64_t mails_per_hour = 0;
  uint64_t mails_per_day = 0;
  Duration pause_min = Seconds(60);  // after the site asked for less; doubled each time
  Duration pause_max = Seconds(30 * 60);
};

// Something that changed how fast mails go to a site, with its cause.
struct SiteChange {
  enum class Kind : uint8_t { kSlowed, kRecovered, kSuspended, kResumed };
  std::string site;
  Kind kind = Kind::kSlowed;
  uint16_t reply_code = 0;  // of kSlowed: the reply that caused it
  std::string enhanced_code = {};
  std::string reply_text = {};  // as it came: it may name a recipient
  Duration pause = {};          // of kSlowed
};
std::string_view SiteChangeName(SiteChange::Kind kind);  // "slowed", …

// Thread: any.
class Site {
 public:
  Site(std::string name, const SitePolicy& policy);

  const std::string& name() const { return name_; }
  const SitePolicy& policy() const { return policy_; }

  // A connection may be opened; each that was is given back by Disconnected.
  bool TryConnect();
  void Disconnected();
  // True: somebody found none free lately, or it is suspended; connections that carry nothing are closed.
  bool WantsIdleClosed();

  // How many mails may be under way at once now, over all workers; 0 while it is suspended or pauses.
  uint32_t Allowance(Duration now);
  // Nothing holds it back below its limit.
  bool AtFullPace(Duration now);
  // Up to `n` mails may begin within the limits of rate, hour and day; gives how many. Those that do not begin are given back.
  uint32_t Take(uint32_t n, Duration now, Instant wall);
  void GiveBack(uint32_t n);

  // What became of a mail. True, and `change` says how: the site is slower or as fast as it may be again from now on.
  bool Heard(const Verdict& verdict, Duration now, SiteChange& change);

  // Nothing begins at a suspended site, and its connections end. False: it was so already.
  bool Suspend();
  bool Resume();
  bool suspended() const;

  struct Status {
    std::string site;
    SitePolicy policy;
    uint32_t connections = 0;
    uint32_t limit = 0;        // mails under way at once
    Duration paused_for = {};  // zero: it does not pause
    bool suspended = false;
    uint64_t this_hour = 0, today = 0;
    uint64_t delivered = 0, deferred = 0, bounced = 0;  // since the process began
    std::string last_reply = {};
  };
  Status Look(Duration now, Instant wall) const;

 private:
  uint32_t limit_max() const;
  void Roll(Instant wall);

  const std::string name_;
  const SitePolicy policy_;
  mutable std::mutex mutex_;  // guards all below
  uint32_t connections_ = 0;
  uint32_t limit_;
  uint32_t taken_since_ = 0;  // mails that it took since limit_ was raised
  Duration paused_until_;
  Duration next_pause_;
  bool slowed_ = false;
  bool suspended_ = false;
  bool starved_ = false;  // TryConnect failed since WantsIdleClosed was asked
  double tokens_ = 1;
  Duration filled_at_;
  int64_t hour_ = 0;  // since 1970
  uint64_t of_hour_ = 0, of_day_ = 0;
  uint64_t delivered_ = 0, deferred_ = 0, bounced_ = 0;
  std::string last_reply_;
};

// All of a process, made when they are first asked for. At most `count_max`: then those that nobody uses go. Thread: any.
class Sites {
 public:
  using PolicyOf = std::function<SitePolicy(std::string_view site)>;
  explicit Sites(PolicyOf policy_of, size_t count_max = 10'000) : policy_of_(std::move(policy_of)), count_max_(count_max) {}

  std::shared_ptr<Site> At(const std::string& name);
  // Null: there is none.
  std::shared_ptr<Site> Find(const std::string& name) const;
  std::vector<std::shared_ptr<Site>> All() const;

 private:
  const PolicyOf policy_of_;
  const size_t count_max_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Site>> sites_;  // guarded by it
};

}  // namespace maily::smtp
