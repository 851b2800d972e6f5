// See site.h.
#include "processors/effects/smtp/site.h"

#include <algorithm>

namespace maily::smtp {
namespace {

constexpr uint32_t kMailsAhead = 2;  // of a connection: one on the wire, one being made
constexpr int64_t kHourUs = int64_t{3600} * 1'000'000;

// RFC 5321 §4.2.3, RFC 3463 §3.8: not this mail is unwelcome, but so many from here.
bool AsksForLess(const Verdict& verdict) {
  if (verdict.text.find("reylist") != std::string::npos || verdict.text.find("raylist") != std::string::npos) return false;  // each mail is
  return verdict.kind == Verdict::Kind::kDeferred &&
         (verdict.code == 421 || (verdict.code / 100 == 4 && verdict.enhanced.starts_with("4.7.")));
}

}  // namespace

std::string_view SiteChangeName(SiteChange::Kind kind) {
  switch (kind) {
    case SiteChange::Kind::kSlowed:
      return "slowed";
    case SiteChange::Kind::kRecovered:
      return "recovered";
    case SiteChange::Kind::kSuspended:
      return "suspended";
    case SiteChange::Kind::kResumed:
      return "resumed";
  }
  return "";
}

Site::Site(std::string name, const SitePolicy& policy)
    : name_(std::move(name)), policy_(policy), limit_(limit_max()), next_pause_(policy.pause_min) {}

uint32_t Site::limit_max() const { return policy_.connections * kMailsAhead; }

bool Site::TryConnect() {
  const std::lock_guard lock(mutex_);
  // While it is slow, no more connections than mails.
  if (suspended_ || connections_ >= std::min(policy_.connections, limit_)) {
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
  return std::exchange(starved_, false) || suspended_;
}

uint32_t Site::Allowance(Duration now) {
  const std::lock_guard lock(mutex_);
  return suspended_ || now < paused_until_ ? 0 : limit_;
}

bool Site::AtFullPace(Duration now) {
  const std::lock_guard lock(mutex_);
  return !suspended_ && now >= paused_until_ && limit_ == limit_max();
}

void Site::Roll(Instant wall) {
  const int64_t hour = wall.us / kHourUs;
  if (hour == hour_) return;
  if (hour / 24 != hour_ / 24) of_day_ = 0;
  of_hour_ = 0;
  hour_ = hour;
}

uint32_t Site::Take(uint32_t n, Duration now, Instant wall) {
  const std::lock_guard lock(mutex_);
  Roll(wall);
  uint64_t most = n;
  const auto within = [&](uint64_t limit, uint64_t used) { most = std::min(most, limit == 0 ? most : limit - std::min(limit, used)); };
  within(policy_.mails_per_hour, of_hour_);
  within(policy_.mails_per_day, of_day_);
  if (policy_.mails_per_second > 0) {
    const double seconds = static_cast<double>((now - filled_at_).us) / 1e6;
    tokens_ = std::min(1 + policy_.mails_per_second, tokens_ + seconds * policy_.mails_per_second);  // what is left of one is not lost
    filled_at_ = now;
    most = std::min(most, static_cast<uint64_t>(std::max(0.0, tokens_ + 1e-9)));
    tokens_ -= static_cast<double>(most);
  }
  of_hour_ += most;
  of_day_ += most;
  return static_cast<uint32_t>(most);
}

void Site::GiveBack(uint32_t n) {
  const std::lock_guard lock(mutex_);
  tokens_ += n;
  of_hour_ -= std::min<uint64_t>(n, of_hour_);
  of_day_ -= std::min<uint64_t>(n, of_day_);
}

bool Site::Heard(const Verdict& verdict, Duration now, SiteChange& change) {
  const std::lock_guard lock(mutex_);
  delivered_ += verdict.kind == Verdict::Kind::kDelivered;
  deferred_ += verdict.kind == Verdict::Kind::kDeferred;
  bounced_ += verdict.kind == Verdict::Kind::kBounced;
  if (verdict.code != 0) last_reply_ = verdict.text;
  if (AsksForLess(verdict)) {
    if (now < paused_until_) return false;  // of the same burst
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
    return true;
  }
  if (verdict.kind != Verdict::Kind::kDelivered || !slowed_ || now < paused_until_ || ++taken_since_ < limit_) return false;
  taken_since_ = 0;
  limit_ = std::min(limit_max(), limit_ * 2);
  if (limit_ < limit_max()) return false;
  slowed_ = false;
  next_pause_ = policy_.pause_min;
  change = {.site = name_, .kind = SiteChange::Kind::kRecovered};
  return true;
}

bool Site::Suspend() {
  const std::lock_guard lock(mutex_);
  return !std::exchange(suspended_, true);
}
bool Site::Resume() {
  const std::lock_guard lock(mutex_);
  return std::exchange(suspended_, false);
}
bool Site::suspended() const {
  const std::lock_guard lock(mutex_);
  return suspended_;
}

Site::Status Site::Look(Duration now, Instant wall) const {
  const std::lock_guard lock(mutex_);
  const bool same_hour = wall.us / kHourUs == hour_;
  const bool same_day = wall.us / kHourUs / 24 == hour_ / 24;
  return {.site = name_,
          .policy = policy_,
          .connections = connections_,
          .limit = limit_,
          .paused_for = now < paused_until_ ? paused_until_ - now : Duration{},
          .suspended = suspended_,
          .this_hour = same_hour ? of_hour_ : 0,
          .today = same_day ? of_day_ : 0,
          .delivered = delivered_,
          .deferred = deferred_,
          .bounced = bounced_,
          .last_reply = last_reply_};
}

std::shared_ptr<Site> Sites::At(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = sites_.find(name);
  if (found != sites_.end()) return found->second;
  if (sites_.size() >= count_max_) {
    // Those that only stand here. A suspended site is not forgotten: it would begin anew, as the others do.
    std::erase_if(sites_, [](const auto& entry) { return entry.second.use_count() == 1 && !entry.second->suspended(); });
  }
  return sites_.emplace(name, std::make_shared<Site>(name, policy_of_(name))).first->second;
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
