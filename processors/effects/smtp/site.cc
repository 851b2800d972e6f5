// See site.h.
#include "processors/effects/smtp/site.h"

#include <algorithm>

namespace maily::smtp {
namespace {

constexpr uint32_t kMailsAhead = 2;  // of a connection: one on the wire, one being made
constexpr int64_t kHourUs = int64_t{3600} * 1'000'000;
constexpr int64_t kHoursOfDay = 24;
constexpr size_t kLeasesMax = 16;       // at once; more are asked for only when these are nearly spent
constexpr uint64_t kOthersEnough = 10;  // replies to mails of other tenants that say whether it is one tenant alone that is refused
constexpr uint64_t kLowWater = 4;       // more are asked for when less than this part of the last lease is left

// RFC 5321 §4.2.3, RFC 3463 §3.8: not this mail is unwelcome, but so many from here.
bool IsGreylisting(const Verdict& verdict) {
  return verdict.text.find("reylist") != std::string::npos || verdict.text.find("raylist") != std::string::npos;  // each mail is
}

bool AsksForLess(const Verdict& verdict) {
  if (IsGreylisting(verdict)) return false;
  return verdict.kind == Verdict::Kind::kDeferred &&
         (verdict.code == 421 || (verdict.code / 100 == 4 && verdict.enhanced.starts_with("4.7.")));
}

}  // namespace

bool IsRefusal(const Verdict& verdict) {
  const bool answered = verdict.kind == Verdict::Kind::kDeferred || verdict.kind == Verdict::Kind::kBounced;
  return answered && verdict.code >= 400 && verdict.enhanced.size() >= 5 && verdict.enhanced.compare(1, 3, ".7.") == 0 &&
         !IsGreylisting(verdict);
}

std::string_view SiteChangeName(SiteChange::Kind kind) {
  switch (kind) {
    case SiteChange::Kind::kSlowed:
      return "slowed";
    case SiteChange::Kind::kRecovered:
      return "recovered";
    case SiteChange::Kind::kRefused:
      return "refused";
  }
  return "";
}

Site::Site(std::string name, const SitePolicy& policy, Wants wants)
    : name_(std::move(name)), policy_(policy), wants_(std::move(wants)), limit_(limit_max()), next_pause_(policy.pause_min) {}

uint32_t Site::limit_max() const { return policy_.connections * kMailsAhead; }

bool Site::TryConnect() {
  const std::lock_guard lock(mutex_);
  // While it is slow, no more connections than mails.
  if (suspended() || connections_ >= std::min(policy_.connections, limit_)) {
    starved_ = true;
    return false;
  }
  ++connections_;
  return true;
}

void Site::Disconnected() {
  const std::lock_guard lock(mutex_);
  --connections_;
}

bool Site::WantsIdleClosed() {
  const std::lock_guard lock(mutex_);
  return std::exchange(starved_, false) || gate_ != SiteGate::kOpen;
}

uint32_t Site::Allowance(Duration now) {
  const std::lock_guard lock(mutex_);
  return gate_ != SiteGate::kOpen || now < paused_until_ ? 0 : limit_;
}

bool Site::AtFullPace(Duration now) {
  const std::lock_guard lock(mutex_);
  return gate_ == SiteGate::kOpen && now >= paused_until_ && limit_ == limit_max();
}

void Site::Roll(Instant wall) {
  const int64_t hour = wall.us / kHourUs;
  if (hour == hour_) return;
  if (hour / kHoursOfDay != hour_ / kHoursOfDay) of_day_ = 0;
  of_hour_ = 0;
  hour_ = hour;
}

bool Site::Good(const SiteLease& lease, Instant wall) const {
  const int64_t hour = wall.us / kHourUs;
  return lease.mails > 0 && wall < lease.until &&
         (policy_.mails_per_hour > 0 ? hour == lease.hour : hour / kHoursOfDay == lease.hour / kHoursOfDay);
}

uint64_t Site::Leased(Instant wall) const {
  uint64_t mails = 0;
  for (const SiteLease& lease : leases_) mails += Good(lease, wall) ? lease.mails : 0;
  return mails - std::min(mails, reserved_);
}

bool Site::MustAsk(Duration now) {
  if (!wants_ || asked_ || now < ask_again_ || leases_.size() >= kLeasesMax) return false;
  return asked_ = true;
}

void Site::Ask() {
  if (const auto self = weak_from_this().lock()) wants_(self);
}

uint32_t Site::Take(uint32_t n, Duration now, Instant wall) {
  std::unique_lock lock(mutex_);
  uint64_t most = n;
  bool ask = false;
  if (policy_.leased()) {
    const uint64_t leased = Leased(wall);
    most = std::min(most, leased);
    ask = (leased < n || leased - most < lent_ / kLowWater) && MustAsk(now);
  }
  if (policy_.mails_per_second > 0) {
    const double seconds = static_cast<double>((now - filled_at_).us) / 1e6;
    tokens_ = std::min(1 + policy_.mails_per_second, tokens_ + seconds * policy_.mails_per_second);  // what is left of one is not lost
    filled_at_ = now;
    most = std::min(most, static_cast<uint64_t>(std::max(0.0, tokens_ + 1e-9)));
    tokens_ -= static_cast<double>(most);
  }
  reserved_ += most;
  lock.unlock();
  if (ask) Ask();
  return static_cast<uint32_t>(most);
}

void Site::GiveBack(uint32_t n) {
  const std::lock_guard lock(mutex_);
  tokens_ += n;
  reserved_ -= std::min<uint64_t>(n, reserved_);
}

void Site::Reserve(uint32_t n) {
  const std::lock_guard lock(mutex_);
  reserved_ += n;
}

void Site::Unreserve(uint32_t n) {
  const std::lock_guard lock(mutex_);
  reserved_ -= std::min<uint64_t>(n, reserved_);
}

bool Site::TryReserve(Duration now, Instant wall) { return Allowance(now) > 0 && Take(1, now, wall) == 1; }

bool Site::Begin(Duration now, Instant wall) {
  std::unique_lock lock(mutex_);
  Roll(wall);
  reserved_ -= std::min<uint64_t>(1, reserved_);
  if (now < paused_until_) return false;  // where it refuses the sender, each that began would be lost
  if (policy_.leased()) {
    const auto lease = std::ranges::find_if(leases_, [&](const SiteLease& one) { return Good(one, wall); });
    if (lease == leases_.end()) {
      const bool ask = MustAsk(now);
      lock.unlock();
      if (ask) Ask();
      return false;
    }
    if (--lease->mails == 0) leases_.erase(lease);
  }
  ++of_hour_;
  ++of_day_;
  return true;
}

void Site::Lend(const SiteLease& lease, Duration ask_again) {
  const std::lock_guard lock(mutex_);
  asked_ = false;
  ask_again_ = ask_again;
  used_up_ = lease.used_up;
  if (lease.mails == 0) return;
  lent_ = lease.mails;
  leases_.push_back(lease);
}

std::vector<SiteLease> Site::TakeUnspent(Instant wall, bool all) {
  const std::lock_guard lock(mutex_);
  std::vector<SiteLease> over;
  std::erase_if(leases_, [&](const SiteLease& lease) {
    if (!all && Good(lease, wall)) return false;
    over.push_back(lease);
    return true;
  });
  return over;
}

bool Site::holds_leases() const {
  const std::lock_guard lock(mutex_);
  return !leases_.empty();
}

bool Site::Spent(Duration now, Instant wall) const {
  const std::lock_guard lock(mutex_);
  return used_up_ && now < ask_again_ && std::ranges::none_of(leases_, [&](const SiteLease& lease) { return Good(lease, wall); });
}

SiteTally Site::TakeTally() {
  const std::lock_guard lock(mutex_);
  return std::exchange(tally_, {});
}

void Site::Slow(const Verdict& verdict, Duration now, SiteChange& change) {
  change = {.site = name_,
            .kind = SiteChange::Kind::kSlowed,
            .reply_code = verdict.code,
            .enhanced_code = verdict.enhanced,
            .reply_text = verdict.text,
            .pause = next_pause_};
  limit_ = 1;
  taken_since_ = 0;
  slowed_ = true;
  paused_until_ = now + next_pause_;
  next_pause_ = {std::min(policy_.pause_max.us, next_pause_.us * 2)};
}

bool Site::Refuses(const Verdict& verdict, TenantId tenant) {
  const bool answered = verdict.code != 0 && (verdict.kind == Verdict::Kind::kDelivered || verdict.kind == Verdict::Kind::kDeferred ||
                                              verdict.kind == Verdict::Kind::kBounced);
  if (!answered || policy_.refusals_then == SitePolicy::Then::kNothing) return false;
  const bool refusal = IsRefusal(verdict);
  if (replies_.size() >= policy_.refusals_window) {
    refused_of_last_ -= replies_.front().refused;
    replies_.pop_front();
  }
  replies_.push_back({tenant, refusal});
  refused_of_last_ += refusal;
  return refusal && refused_of_last_ * 100 > uint64_t{policy_.refusals_percent} * policy_.refusals_window && !OneTenantAlone(tenant);
}

bool Site::OneTenantAlone(TenantId tenant) const {
  uint64_t others = 0;
  uint64_t refused = 0;
  for (const Reply& reply : replies_) {
    others += reply.tenant != tenant;
    refused += reply.tenant != tenant && reply.refused;
  }
  return others >= kOthersEnough && refused * 100 <= uint64_t{policy_.refusals_percent} * others;
}

bool Site::Heard(const Verdict& verdict, Duration now, SiteChange& change, TenantId tenant) {
  const std::lock_guard lock(mutex_);
  delivered_ += verdict.kind == Verdict::Kind::kDelivered;
  deferred_ += verdict.kind == Verdict::Kind::kDeferred;
  bounced_ += verdict.kind == Verdict::Kind::kBounced;
  refused_ += IsRefusal(verdict);
  if (verdict.code != 0) last_reply_ = verdict.text;
  const bool asks_for_less = AsksForLess(verdict);
  if (!policy_.warm_up.empty()) {
    tally_.delivered += verdict.kind == Verdict::Kind::kDelivered;
    tally_.slowed += asks_for_less;
    tally_.bounced += verdict.kind == Verdict::Kind::kBounced;
  }
  const bool breaks = Refuses(verdict, tenant);
  // Each probe that is refused costs a mail: one is enough to wait again.
  const bool probe = slowed_by_refusals_ && IsRefusal(verdict) && policy_.refusals_then != SitePolicy::Then::kNothing;
  if (breaks) {
    const SiteRefusals refusals{.refused = refused_of_last_, .replies = replies_.size()};
    replies_.clear();
    refused_of_last_ = 0;
    const bool paused = now < paused_until_;
    if (paused && policy_.refusals_then == SitePolicy::Then::kSlow) return false;
    if (paused) next_pause_ = {std::max(policy_.pause_min.us, next_pause_.us / 2)};  // it is the same pause, said once more
    Slow(verdict, now, change);
    change.refusals = refusals;
    change.refusals_percent = policy_.refusals_percent;
    change.refusals_window = policy_.refusals_window;
    if (policy_.refusals_then == SitePolicy::Then::kSuspend) change.kind = SiteChange::Kind::kRefused;
    slowed_by_refusals_ = true;
    return true;
  }
  if (asks_for_less || probe) {
    if (now < paused_until_) return false;  // of the same burst
    Slow(verdict, now, change);
    return true;
  }
  if (verdict.kind != Verdict::Kind::kDelivered || !slowed_ || now < paused_until_ || ++taken_since_ < limit_) return false;
  taken_since_ = 0;
  limit_ = std::min(limit_max(), limit_ * 2);
  if (limit_ < limit_max()) return false;
  slowed_ = slowed_by_refusals_ = false;
  next_pause_ = policy_.pause_min;
  change = {.site = name_, .kind = SiteChange::Kind::kRecovered};
  return true;
}

bool Site::SetGate(SiteGate gate, uint64_t revision) {
  const std::lock_guard lock(mutex_);
  if (revision <= revision_) return false;
  revision_ = revision;
  return gate_.exchange(gate) != gate;
}

void Site::TakeUp(const SitePace& pace, Duration now) {
  const std::lock_guard lock(mutex_);
  if (slowed_ || delivered_ + deferred_ + bounced_ > 0) return;
  slowed_ = true;
  limit_ = 1;
  if (pace.paused_for.us > 0) paused_until_ = now + Duration{std::min(pace.paused_for.us, policy_.pause_max.us)};
  next_pause_ = {std::clamp(pace.pause.us * 2, policy_.pause_min.us, policy_.pause_max.us)};
}

Site::Status Site::Look(Duration now, Instant wall) const {
  const std::lock_guard lock(mutex_);
  const bool same_hour = wall.us / kHourUs == hour_;
  const bool same_day = wall.us / kHourUs / kHoursOfDay == hour_ / kHoursOfDay;
  return {.site = name_,
          .policy = policy_,
          .connections = connections_,
          .limit = limit_,
          .paused_for = now < paused_until_ ? paused_until_ - now : Duration{},
          .slowed = slowed_,
          .gate = gate_,
          .this_hour = same_hour ? of_hour_ : 0,
          .today = same_day ? of_day_ : 0,
          .leased = Leased(wall),
          .delivered = delivered_,
          .deferred = deferred_,
          .bounced = bounced_,
          .refused = refused_,
          .refusals = {.refused = refused_of_last_, .replies = replies_.size()},
          .last_reply = last_reply_};
}

void Sites::OnChange(std::function<void()> changed) {
  const std::lock_guard lock(mutex_);
  changed_.push_back(std::move(changed));
}

void Sites::Changed() {
  std::vector<std::function<void()>> all;
  {
    const std::lock_guard lock(mutex_);
    all = changed_;
  }
  for (const auto& changed : all) changed();
}

void Sites::SetGate(const std::string& name, SiteGate gate, uint64_t revision) {
  if (At(name)->SetGate(gate, revision)) Changed();
}

void Sites::Lend(Site& site, const SiteLease& lease, Duration ask_again) {
  site.Lend(lease, ask_again);
  if (lease.mails > 0) Changed();
}

std::shared_ptr<Site> Sites::At(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = sites_.find(name);
  if (found != sites_.end()) return found->second;
  if (sites_.size() >= count_max_) {
    // Those that only stand here. One where mails do not begin is not forgotten: it would begin anew, as the others do; nor one with
    // leases: their mails would be lost to the day.
    std::erase_if(sites_, [](const auto& entry) {
      return entry.second.use_count() == 1 && entry.second->gate() == SiteGate::kOpen && !entry.second->holds_leases();
    });
  }
  return sites_.emplace(name, std::make_shared<Site>(name, policy_of_(name), wants_)).first->second;
}

std::shared_ptr<Site> Sites::Find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = sites_.find(name);
  return found == sites_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Site>> Sites::All() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Site>> all;
  for (const auto& [name, site] : sites_) all.push_back(site);
  return all;
}

}  // namespace maily::smtp
