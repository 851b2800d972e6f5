// See decide.h.
#include "processors/sites/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "maily/sites/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::sites {
namespace {

using journal::Outcome;

constexpr TenantId kPlatform{0};
constexpr size_t kNameBytesMax = 253;   // RFC 1035 §2.3.4
constexpr size_t kSourceBytesMax = 63;  // app/sources.h
constexpr int64_t kHourUs = int64_t{3600} * 1'000'000;
constexpr int64_t kHoursOfDay = 24;
constexpr uint64_t kNone = std::numeric_limits<uint64_t>::max();

bool IsName(std::string_view name, size_t bytes_max) {
  return !name.empty() && name.size() <= bytes_max && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
}

// A host name in lower case, as the DNS gives it; with "@source" as it is reached from there (processors/effects/smtp/source.h).
bool IsSite(std::string_view name) {
  const size_t at = name.find('@');
  return IsName(name.substr(0, at), kNameBytesMax) && (at == std::string_view::npos || IsName(name.substr(at + 1), kSourceBytesMax));
}

bool Accepts(task::Context& context, const std::string& site, size_t text_bytes, size_t text_bytes_max) {
  if (IsSite(site) && text_bytes <= text_bytes_max) return true;
  context.Refuse(Outcome::kInvalid, "invalid_site",
                 fmt::format("\"{}\" is no name of a site like mx.example.com, or its text has more than {} bytes", site, text_bytes_max));
  return false;
}

// Default values: nothing is known of it.
v1::Site SiteOf(const task::Context& context, const std::string& name) {
  const v1::Site* site = context.view<v1::Site>().Find(state::Key(kPlatform, name));
  return site == nullptr ? v1::Site() : *site;
}

uint64_t Refused(const v1::SiteTally& tally) { return tally.slowed() + tally.bounced(); }
uint64_t Total(const v1::SiteTally& tally) { return tally.delivered() + Refused(tally); }

void Tell(task::Context& context, const std::string& site, const v1::SiteTally& tally) {
  if (Total(tally) == 0) return;
  v1::SiteTallied tallied;
  tallied.set_site(site);
  *tallied.mutable_tally() = tally;
  context.Emit(tallied);
}

// Opens the day of the plan, if it is not open yet.
void BeginDay(task::Context& context, const std::string& name, const v1::SiteLimits& limits, int64_t day) {
  const v1::Site site = SiteOf(context, name);
  const auto steps = static_cast<uint32_t>(limits.warm_up_size());
  if (site.warm_up_day() == day || site.warm_up_step() >= steps) return;
  v1::SiteDayBegan began;
  began.set_site(name);
  began.set_day(day);
  if (site.warm_up_day() == 0) {
    began.set_cause("the first day of the plan");
  } else {
    const uint64_t mails = site.hour() / kHoursOfDay == site.warm_up_day() ? site.of_day() : 0;
    const uint64_t most = limits.warm_up(static_cast<int>(site.warm_up_step()));
    const uint64_t refused = Refused(site.tally());
    began.set_mails_before(mails);
    *began.mutable_tally_before() = site.tally();
    began.set_held(true);
    if (refused * 100 > uint64_t{limits.hold_percent()} * Total(site.tally())) {
      began.set_cause(fmt::format("{} of {} mails were refused, more than {} %", refused, Total(site.tally()), limits.hold_percent()));
    } else if (mails * 2 < most) {
      began.set_cause(fmt::format("{} of {} mails were sent, less than half", mails, most));
    } else {
      began.set_held(false);
      began.set_cause(fmt::format("{} of {} mails were sent, {} were refused", mails, most, refused));
    }
  }
  began.set_step(site.warm_up_step() + (site.warm_up_day() == 0 || began.held() ? 0 : 1));
  began.set_mails_max(began.step() < steps ? limits.warm_up(static_cast<int>(began.step())) : 0);
  context.Emit(began);
}

// What is left of an hour and a day.
struct Left {
  uint64_t mails = kNone;
  int64_t until_us = 0;           // at most; of a limit that is reached: its end
  const char* reached = nullptr;  // the limit that leaves nothing
  uint64_t reached_mails = 0;

  void Within(const char* limit, uint64_t most, uint64_t used, int64_t end_us) {
    if (most == 0) return;
    mails = std::min(mails, most - std::min(most, used));
    if (used < most) {
      if (reached == nullptr) until_us = std::min(until_us, end_us);
      return;
    }
    until_us = reached == nullptr ? end_us : std::max(until_us, end_us);  // one that ends later holds longer
    reached = limit;
    reached_mails = most;
  }
};

enum class Gate { kOpen, kDraining, kSuspended };

template <class Announced>
void SetGate(task::Context& context, const Announced& announced, Gate gate) {
  const auto* known = context.view<v1::SiteSuspension>().Find(state::Key(kPlatform, announced.site()));
  if (known != nullptr && known->revision() >= announced.revision()) return context.Unchanged();
  v1::SiteSuspensionSet set;
  set.set_site(announced.site());
  set.set_suspended(gate == Gate::kSuspended);
  set.set_draining(gate == Gate::kDraining);
  set.set_reason(announced.reason());
  set.set_revision(announced.revision());
  context.Emit(set);
}

// Tells every partition, for processes that begin.
void Announce(task::Context& context, const std::string& site, int64_t pause_us) {
  v1::SitePaced paced;
  paced.set_site(site);
  paced.set_slowed(pause_us > 0);
  paced.set_revision(SiteOf(context, site).paces() + 1);
  if (paced.slowed()) {
    paced.set_pause_us(pause_us);
    paced.set_pause_ends_at_us(context.now().us + pause_us);
  }
  context.Emit(paced);
}

}  // namespace

// ---- In the partition of the site's key ----

void Decide(task::Context& context, const v1::SlowSite& command) {
  if (!Accepts(context, command.site(), command.reply_text().size() + command.enhanced_code().size(), kReplyBytesMax)) return;
  v1::SiteSlowed slowed;
  slowed.set_site(command.site());
  slowed.set_reply_code(command.reply_code());
  slowed.set_enhanced_code(command.enhanced_code());
  slowed.set_reply_text(command.reply_text());
  slowed.set_pause_us(command.pause_us());
  if (command.has_refusals()) *slowed.mutable_refusals() = command.refusals();
  context.Emit(slowed);
  Announce(context, command.site(), std::clamp<int64_t>(command.pause_us(), 1, kPauseMax.us));
}

void Decide(task::Context& context, const v1::RecoverSite& command) {
  if (!Accepts(context, command.site(), 0, 0)) return;
  v1::SiteRecovered recovered;
  recovered.set_site(command.site());
  context.Emit(recovered);
  Announce(context, command.site(), 0);
}

void Decide(task::Context& context, const v1::SuspendSite& command) {
  if (!Accepts(context, command.site(), command.reason().size(), kReasonBytesMax)) return;
  const v1::Site site = SiteOf(context, command.site());
  if (site.suspended()) return context.Unchanged();
  v1::SiteSuspended suspended;
  suspended.set_site(command.site());
  suspended.set_reason(command.reason());
  suspended.set_revision(site.revision() + 1);
  if (command.has_refusals()) *suspended.mutable_refusals() = command.refusals();
  context.Emit(suspended);
}

void Decide(task::Context& context, const v1::DrainSite& command) {
  if (!Accepts(context, command.site(), command.reason().size(), kReasonBytesMax)) return;
  const v1::Site site = SiteOf(context, command.site());
  if (site.draining()) return context.Unchanged();
  if (site.suspended()) {
    return context.Refuse(Outcome::kConflict, "site_suspended",
                          fmt::format("{} is suspended: nothing is under way there that could end; resume it first", command.site()));
  }
  v1::SiteDrained drained;
  drained.set_site(command.site());
  drained.set_reason(command.reason());
  drained.set_revision(site.revision() + 1);
  context.Emit(drained);
}

void Decide(task::Context& context, const v1::FlushSite& command) {
  if (!Accepts(context, command.site(), command.reason().size(), kReasonBytesMax)) return;
  v1::SiteFlushed flushed;
  flushed.set_site(command.site());
  flushed.set_reason(command.reason());
  flushed.set_number(SiteOf(context, command.site()).flushes() + 1);
  context.Emit(flushed);
  context.Answer("flush", uint64_t{flushed.number()});
}

void Decide(task::Context& context, const v1::ResumeSite& command) {
  if (!Accepts(context, command.site(), command.reason().size(), kReasonBytesMax)) return;
  const v1::Site site = SiteOf(context, command.site());
  if (!site.suspended() && !site.draining()) return context.Unchanged();
  v1::SiteResumed resumed;
  resumed.set_site(command.site());
  resumed.set_reason(command.reason());
  resumed.set_revision(site.revision() + 1);
  context.Emit(resumed);
}

void Decide(task::Context& context, const v1::LeaseSite& command) {
  const v1::SiteLimits& limits = command.limits();
  if (!Accepts(context, command.site(), 0, 0)) return;
  if (limits.warm_up_size() > kWarmUpDaysMax || std::ranges::any_of(limits.warm_up(), [](uint64_t mails) { return mails == 0; })) {
    return context.Refuse(Outcome::kInvalid, "invalid_site",
                          fmt::format("a warm-up plan has at most {} days, each of one mail at least", kWarmUpDaysMax));
  }
  const int64_t hour = context.now().us / kHourUs;
  const int64_t day = hour / kHoursOfDay;
  Tell(context, command.site(), command.tally());
  if (!limits.warm_up().empty()) BeginDay(context, command.site(), limits, day);

  const v1::Site site = SiteOf(context, command.site());
  const uint64_t of_hour = site.hour() == hour ? site.of_hour() : 0;
  const uint64_t of_day = site.hour() / kHoursOfDay == day ? site.of_day() : 0;
  const int64_t end_of_day = (day + 1) * kHoursOfDay * kHourUs;
  Left left{.until_us = (context.now() + kLeaseTime).us};
  left.Within("mails_per_hour", limits.mails_per_hour(), of_hour, (hour + 1) * kHourUs);
  left.Within("mails_per_day", limits.mails_per_day(), of_day, end_of_day);
  if (static_cast<int>(site.warm_up_step()) < limits.warm_up_size())
    left.Within("warm_up", limits.warm_up(static_cast<int>(site.warm_up_step())), of_day, end_of_day);
  if (left.reached != nullptr) {
    if (site.limit_until_us() != left.until_us) {
      v1::SiteLimitReached reached;
      reached.set_site(command.site());
      reached.set_limit(left.reached);
      reached.set_mails(left.reached_mails);
      reached.set_until_us(left.until_us);
      context.Emit(reached);
    } else if (context.event_count() == 0) {
      context.Unchanged();
    }
    context.Answer("mails", uint64_t{0});
  } else {
    v1::SiteLeased leased;
    leased.set_site(command.site());
    leased.set_hour(hour);
    leased.set_mails(std::clamp<uint64_t>(left.mails / kLeasePart, 1, kLeaseMailsMax));
    leased.set_until_us(left.until_us);
    context.Emit(leased);
    context.Answer("mails", uint64_t{leased.mails()});
  }
  context.Answer("hour", static_cast<uint64_t>(hour));
  context.Answer("until_us", static_cast<uint64_t>(left.until_us));
}

void Decide(task::Context& context, const v1::ReturnSiteLease& command) {
  if (!Accepts(context, command.site(), 0, 0)) return;
  Tell(context, command.site(), command.tally());
  const v1::Site site = SiteOf(context, command.site());
  const bool of_this_day = site.hour() / kHoursOfDay == command.hour() / kHoursOfDay;
  const uint64_t mails = of_this_day ? std::min<uint64_t>(command.mails(), site.of_day()) : 0;
  if (mails == 0) {
    if (context.event_count() == 0) context.Unchanged();
    return;
  }
  v1::SiteLeaseReturned returned;
  returned.set_site(command.site());
  returned.set_hour(command.hour());
  returned.set_mails(mails);
  context.Emit(returned);
}

// ---- In each partition ----

void Decide(task::Context& context, const v1::SiteSuspended& suspended) { SetGate(context, suspended, Gate::kSuspended); }
void Decide(task::Context& context, const v1::SiteDrained& drained) { SetGate(context, drained, Gate::kDraining); }
void Decide(task::Context& context, const v1::SiteResumed& resumed) { SetGate(context, resumed, Gate::kOpen); }

void Decide(task::Context& context, const v1::SiteFlushed& flushed) {
  const auto* known = context.view<v1::SiteFlush>().Find(state::Key(kPlatform, flushed.site()));
  if (known != nullptr && known->number() >= flushed.number()) return context.Unchanged();
  const auto* all = context.view<v1::SiteFlushes>().Find(state::Key(kPlatform));
  v1::SiteFlushSet set;
  set.set_site(flushed.site());
  set.set_number(flushed.number());
  set.set_order((all == nullptr ? 0 : all->newest()) + 1);
  context.Emit(set);
}

void Decide(task::Context& context, const v1::SitePaced& paced) {
  const auto* known = context.view<v1::SitePace>().Find(state::Key(kPlatform, paced.site()));
  if (known != nullptr && known->revision() >= paced.revision()) return context.Unchanged();
  v1::SitePaceSet set;
  set.set_site(paced.site());
  set.set_slowed(paced.slowed());
  set.set_revision(paced.revision());
  set.set_pause_us(paced.pause_us());
  set.set_pause_ends_at_us(paced.pause_ends_at_us());
  context.Emit(set);
}

}  // namespace maily::sites
