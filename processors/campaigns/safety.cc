// See safety.h.
#include "processors/campaigns/safety.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "schemas/safety.h"

namespace maily::campaigns {
namespace {

constexpr uint64_t kWholeBp = 10'000;

std::string PerCent(uint64_t bp) { return fmt::format("{}.{:02} %", bp / 100, bp % 100); }

v1::SafetyStop Stop(const char* reason, uint64_t count, uint64_t of, uint32_t limit_bp) {
  v1::SafetyStop stop;
  stop.set_reason(reason);
  stop.set_count(count);
  stop.set_of(of);
  stop.set_limit_bp(limit_bp);
  return stop;
}

}  // namespace

std::optional<v1::SafetyStop> StopOf(const v1::Campaign& campaign, const tenants::v1::SafetyLimits& limits) {
  const tenants::v1::SafetyLimits is = schema::Effective(limits);
  const auto watched = [&](const char* reason) { return std::ranges::find(campaign.overridden(), reason) == campaign.overridden().end(); };
  uint64_t delivered = 0;
  uint64_t answered = 0;
  uint64_t hard_bounced = 0;
  uint64_t complaints = 0;
  uint64_t render_errors = 0;
  std::map<std::string, v1::SiteReplies> sites;
  for (const v1::PartitionProgress& partition : campaign.partitions()) {
    const v1::CampaignCounts& n = partition.counts();
    delivered += n.delivered();
    answered += n.delivered() + n.bounced() + n.unknown() + n.failed();
    hard_bounced += n.hard_bounced();
    complaints += n.complaints();
    render_errors += n.render_errors();
    for (const v1::SiteReplies& one : partition.sites()) {
      v1::SiteReplies& site = sites[one.site()];
      site.set_replies(site.replies() + one.replies());
      site.set_policy(site.policy() + one.policy());
      site.set_code(one.code());
    }
  }
  if (answered >= is.after_sends()) {
    if (watched("hard_bounces") && hard_bounced * kWholeBp > uint64_t{is.hard_bounces_bp()} * answered)
      return Stop("hard_bounces", hard_bounced, answered, is.hard_bounces_bp());
    const bool may = is.complaints_bp() < schema::kNeverBp;
    if (watched("complaints") && may && delivered > 0 && complaints * kWholeBp >= uint64_t{is.complaints_bp()} * delivered)
      return Stop("complaints", complaints, delivered, is.complaints_bp());
  }
  const uint64_t made = answered + render_errors;
  if (watched("render_errors") && made >= kAfterRenderings && render_errors * kWholeBp > kRenderErrorsBp * made)
    return Stop("render_errors", render_errors, made, kRenderErrorsBp);
  if (!watched("policy")) return std::nullopt;
  for (const auto& [name, site] : sites) {
    if (site.replies() < is.after_replies() || site.policy() * kWholeBp <= uint64_t{is.policy_bp()} * site.replies()) continue;
    v1::SafetyStop stop = Stop("policy", site.policy(), site.replies(), is.policy_bp());
    stop.set_site(name);
    stop.set_code(site.code());
    return stop;
  }
  return std::nullopt;
}

std::string Sentence(const v1::SafetyStop& stop) {
  const std::string rate =
      fmt::format("({}), limit {}", PerCent(stop.of() == 0 ? 0 : stop.count() * kWholeBp / stop.of()), PerCent(stop.limit_bp()));
  if (stop.reason() == "hard_bounces") return fmt::format("hard bounces: {} of {} sends {}", stop.count(), stop.of(), rate);
  if (stop.reason() == "complaints") return fmt::format("complaints: {} of {} mails delivered {}", stop.count(), stop.of(), rate);
  if (stop.reason() == "render_errors")
    return fmt::format("render errors: the template failed for {} of {} contacts {}", stop.count(), stop.of(), rate);
  return fmt::format("refused for what the sender is ({}): {} of {} replies of {} {}", stop.code(), stop.count(), stop.of(), stop.site(),
                     rate);
}

}  // namespace maily::campaigns
