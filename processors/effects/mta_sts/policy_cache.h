// Which policy holds for mail to a domain: found, fetched, remembered and refreshed as RFC 8461 §3 and §5.1 say.
//
//   Lookup ─▶ TXT of _mta-sts.DOMAIN ─┬─ broken, none, or not well-formed ─────▶ the one that is remembered and not expired; else none
//                                     ├─ the id of the one that is remembered ─▶ that (and once a day it is fetched anew, meanwhile)
//                                     └─ another id ─▶ HTTPS ─┬─ good ─────────▶ the new one
//                                                             └─ else ─────────▶ the one that is remembered and not expired; else none
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "processors/effects/mta_sts/entry.h"
#include "streams/port/env.h"
#include "streams/port/fetch.h"
#include "streams/port/resolver.h"

namespace maily::mta_sts {

struct CacheOptions {
  // Domains with a policy or a failed fetch; the least recently looked up goes first, with its policy. Others take no memory here.
  size_t domains_max = 20'000;
  size_t bytes_max = 32 << 20;  // of them
  size_t lookups_waiting_max = 20'000;
  Duration retry_after = Seconds(300);  // §3.3: after a failed fetch, per id
  Duration refresh_after = Days(1);     // §3.3: before it expires
  // Both run on the cache's executor; they may be empty, and must not call the cache.
  std::function<void(const Entry&)> changed = {};  // a policy was fetched: to be kept, with EncodeEntry
  // No policy could be fetched though the DNS announces one. §3.3 wants the operator to hear it if there was one (`kept`), unless of mode
  // none.
  std::function<void(const std::string& domain, const std::string& reason, const Entry* kept)> failed = {};
};

// None: mail to the domain is sent as if there were no MTA-STS. Whether the mode is none, too, is the caller's to see.
// kRetry: too many look-ups or fetches wait here, so that it is not known: the mail waits, too.
using LookupDone = std::move_only_function<void(Result<std::optional<Entry>>)>;

// Thread: its executor, for all calls and callbacks; destroyed there, or once that has stopped.
class PolicyCache {
 public:
  // All outlive it. The resolver should remember what it was told: it is asked at each look-up, so that a new id is seen (§5.1, step 3).
  PolicyCache(Resolver& resolver, Fetch& fetch, Executor& executor, Clock& clock, CacheOptions options = {});
  ~PolicyCache();

  // What was kept. An expired one is dropped, and a moment of fetch that is yet to come counts as now.
  void Restore(Entry entry);

  // `done` runs once, never within the call, and not at all if the cache is destroyed before. It may wait for a fetch, so for the time-outs
  // of DNS and HTTPS; equal look-ups wait together. `domain`: what stands behind the @; what is no host name has no policy.
  void Lookup(std::string_view domain, LookupDone done);

  size_t domains() const { return domains_.size(); }

 private:
  struct Known {
    std::optional<Entry> entry;
    std::string failed_id;  // of the last fetch, if that failed
    Duration failed_at;     // of steady time
    size_t bytes = 0;
    std::list<std::string>::iterator use;
  };
  using Domains = std::map<std::string, Known>;

  void HeardRecord(const std::string& domain, const Result<DnsAnswer>& answer);
  void GetPolicy(const std::string& domain, const std::string& id, bool refresh);
  void HeardPolicy(const std::string& domain, const std::string& id, const Fetched& page);
  void Finish(const std::string& domain, bool busy = false);
  // The entry that is not expired.
  const Entry* Valid(const std::string& domain);
  bool FailedLately(const std::string& domain, const std::string& id) const;
  Known& Touch(const std::string& domain);
  void Forget(Domains::iterator at);
  void Bound(Known& changed);

  Resolver& resolver_;
  Fetch& fetch_;
  Executor& executor_;
  Clock& clock_;
  const CacheOptions options_;

  Domains domains_;
  std::list<std::string> uses_;  // the latest first
  size_t bytes_ = 0;
  std::map<std::string, std::vector<LookupDone>> waiting_;
  size_t lookups_waiting_ = 0;
  std::set<std::string> refreshing_;
  const std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // callbacks that outlive the cache find it gone
};

}  // namespace maily::mta_sts
