// See policy_cache.h. Section numbers are those of RFC 8461.
#include "processors/effects/mta_sts/policy_cache.h"

#include <algorithm>

namespace maily::mta_sts {
namespace {

// §3.2: the media type, whatever its parameters.
bool IsPlainText(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  while (type.ends_with(' ') || type.ends_with('\t')) type.pop_back();
  std::ranges::transform(type, type.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  return type == "text/plain";
}

// §3.3: status 200 and no other, redirects among them.
Result<Policy> PolicyOf(const Fetched& page) {
  if (!page.answered()) return Fail(Code::kRetry, "{}: {}", FetchEndName(page.end), page.reason);
  if (page.status != 200) return Fail(Code::kRetry, "status {} in the place of 200", page.status);
  if (!IsPlainText(page.content_type)) return Fail(Code::kRetry, "the page is not text/plain");
  return ParsePolicy(page.body);
}

size_t BytesOf(const std::string& domain, const std::optional<Entry>& entry) {
  size_t bytes = 512 + 2 * domain.size();
  if (!entry) return bytes;
  bytes += entry->domain.size();
  for (const std::string& pattern : entry->policy.mx) bytes += sizeof(pattern) + pattern.size();
  return bytes;
}

}  // namespace

PolicyCache::PolicyCache(Resolver& resolver, Fetch& fetch, Executor& executor, Clock& clock, CacheOptions options)
    : resolver_(resolver), fetch_(fetch), executor_(executor), clock_(clock), options_(std::move(options)) {}
PolicyCache::~PolicyCache() = default;

void PolicyCache::Restore(Entry entry) {
  const Instant now = clock_.Now();
  entry.fetched_at = std::min(entry.fetched_at, now);
  if (entry.ExpiredAt(now)) return;
  Known& known = Touch(entry.domain);
  known.entry = std::move(entry);
  Bound(known);
}

void PolicyCache::Lookup(std::string_view domain, LookupDone done) {
  const auto answer = [this](LookupDone to, Result<std::optional<Entry>> result) {
    executor_.Post([alive = std::weak_ptr(alive_), to = std::move(to), result = std::move(result)]() mutable {
      if (!alive.expired()) to(std::move(result));
    });
  };
  const auto name = HostName(domain);
  if (!name) return answer(std::move(done), std::optional<Entry>());
  if (lookups_waiting_ >= options_.lookups_waiting_max) {
    return answer(std::move(done), Fail(Code::kRetry, "MTA-STS of {}: {} look-ups wait already", *name, lookups_waiting_));
  }
  ++lookups_waiting_;
  const auto [waiters, first] = waiting_.try_emplace(*name);
  waiters->second.push_back(std::move(done));
  if (!first) return;
  // A domain that leaves no room for the label has no such name: the resolver refuses it, and that is no record (§3.1).
  resolver_.Txt("_mta-sts." + *name, executor_, [this, alive = std::weak_ptr(alive_), name = *name](const Result<DnsAnswer>& heard) {
    if (!alive.expired()) HeardRecord(name, heard);
  });
}

void PolicyCache::HeardRecord(const std::string& domain, const Result<DnsAnswer>& answer) {
  const Result<std::string> id = answer ? ChooseId(answer->records) : Result<std::string>(answer.error());
  const Entry* const entry = Valid(domain);
  if (!id) return Finish(domain);  // §3.1, §5.1: its absence does not take away what is remembered
  if (entry != nullptr && entry->id == *id) {
    const bool old = clock_.Now() - entry->fetched_at >= options_.refresh_after;
    Finish(domain);
    if (old && !FailedLately(domain, *id) && refreshing_.insert(domain).second) GetPolicy(domain, *id, true);
    return;
  }
  if (FailedLately(domain, *id)) return Finish(domain);
  GetPolicy(domain, *id, false);
}

void PolicyCache::GetPolicy(const std::string& domain, const std::string& id, bool refresh) {
  const std::string url = "https://mta-sts." + domain + "/.well-known/mta-sts.txt";  // §3.3
  fetch_.Get(url, executor_, [this, alive = std::weak_ptr(alive_), domain, id, refresh](const Fetched& page) {
    if (alive.expired()) return;
    // That we are busy says nothing of the domain, and is no reason to send without its policy.
    const bool busy = page.end == FetchEnd::kBusy;
    if (!busy) HeardPolicy(domain, id, page);
    if (refresh) {
      refreshing_.erase(domain);
    } else {
      Finish(domain, busy);
    }
  });
}

void PolicyCache::HeardPolicy(const std::string& domain, const std::string& id, const Fetched& page) {
  auto policy = PolicyOf(page);
  Known& known = Touch(domain);
  if (!policy) {
    known.failed_id = id;
    known.failed_at = clock_.Steady();
    if (options_.failed) options_.failed(domain, policy.error().message, Valid(domain));
  } else {
    known.failed_id.clear();
    known.entry = Entry{.domain = domain, .id = id, .policy = std::move(*policy), .fetched_at = clock_.Now()};
    if (options_.changed) options_.changed(*known.entry);
  }
  Bound(known);
}

void PolicyCache::Finish(const std::string& domain, bool busy) {
  const auto found = waiting_.find(domain);
  if (found == waiting_.end()) return;
  std::vector<LookupDone> waiters = std::move(found->second);
  waiting_.erase(found);
  lookups_waiting_ -= waiters.size();
  const Entry* const valid = Valid(domain);
  Result<std::optional<Entry>> answer = std::optional<Entry>();
  if (valid != nullptr) {
    answer = std::optional(*valid);
    Touch(domain);
  } else if (busy) {
    answer = Fail(Code::kRetry, "MTA-STS of {}: too many policies are being fetched", domain);
  }
  for (LookupDone& waiter : waiters) {
    executor_.Post([alive = std::weak_ptr(alive_), waiter = std::move(waiter), answer]() mutable {
      if (!alive.expired()) waiter(std::move(answer));
    });
  }
}

const Entry* PolicyCache::Valid(const std::string& domain) {
  const auto found = domains_.find(domain);
  if (found == domains_.end() || !found->second.entry || found->second.entry->ExpiredAt(clock_.Now())) return nullptr;
  return &*found->second.entry;
}

bool PolicyCache::FailedLately(const std::string& domain, const std::string& id) const {
  const auto found = domains_.find(domain);
  return found != domains_.end() && found->second.failed_id == id && clock_.Steady() - found->second.failed_at < options_.retry_after;
}

PolicyCache::Known& PolicyCache::Touch(const std::string& domain) {
  const auto [at, fresh] = domains_.try_emplace(domain);
  if (fresh) {
    uses_.push_front(domain);
    at->second.use = uses_.begin();
  } else {
    uses_.splice(uses_.begin(), uses_, at->second.use);
  }
  return at->second;
}

void PolicyCache::Forget(Domains::iterator at) {
  bytes_ -= at->second.bytes;
  uses_.erase(at->second.use);
  domains_.erase(at);
}

void PolicyCache::Bound(Known& changed) {
  bytes_ -= changed.bytes;
  changed.bytes = BytesOf(*changed.use, changed.entry);
  bytes_ += changed.bytes;
  // The one that has just come stays: those who wait for it are answered from here.
  while (domains_.size() > 1 && (domains_.size() > options_.domains_max || bytes_ > options_.bytes_max))
    Forget(domains_.find(uses_.back()));
}

}  // namespace maily::mta_sts
