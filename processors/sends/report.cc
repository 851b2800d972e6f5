// See report.h.
#include "processors/sends/report.h"

#include <algorithm>
#include <vector>

#include "maily/campaigns/v1/events.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "processors/sends/slices.h"
#include "schemas/message_id.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::sends {
namespace {

const v1::SendRun& RunOf(const task::Context& context, uint64_t campaign_id) {
  static const v1::SendRun kNew;
  const auto* run = context.view<v1::SendRun>().Find(state::Key(context.tenant(), campaign_id));
  return run == nullptr ? kNew : *run;
}

// The sites with most refusals for the sender, in the order of their names where these are equal.
void AddSites(const task::Context& context, campaigns::v1::CampaignProgressed& progressed) {
  const std::string prefix = state::Key(context.tenant(), progressed.campaign_id());
  std::vector<campaigns::v1::SiteReplies> sites;
  context.view<v1::SiteTally>().Scan(prefix, {}, [&](std::string_view key, const v1::SiteTally& tally) {
    if (tally.policy() == 0) return true;
    campaigns::v1::SiteReplies& site = sites.emplace_back();
    site.set_site(std::string(key.substr(prefix.size())));
    site.set_replies(tally.replies());
    site.set_policy(tally.policy());
    site.set_code(tally.code());
    return true;
  });
  std::ranges::stable_sort(sites, [](const auto& a, const auto& b) { return a.policy() > b.policy(); });
  if (sites.size() > kSitesReportedMax) sites.resize(kSitesReportedMax);
  for (auto& site : sites) *progressed.add_sites() = std::move(site);
}

// Of a test that is not decided.
void AddTest(const task::Context& context, campaigns::v1::CampaignProgressed& progressed) {
  const std::string key = state::Key(context.tenant(), progressed.campaign_id());
  const auto* run = context.view<campaigns::v1::CampaignRun>().Find(key);
  if (run == nullptr || !run->spec().has_test() || run->winner() != 0) return;
  progressed.set_sampled(IsSampled(context, progressed.campaign_id()));
  progressed.set_test_closed(run->test_closed());
  if (const auto* tally = context.view<v1::TestTally>().Find(key); tally != nullptr) *progressed.mutable_arms() = tally->arms();
}

bool IsNews(uint64_t now, uint64_t reported, uint64_t least) { return now >= reported + std::max(least, reported / 16); }

}  // namespace

void Report(task::Context& context, uint64_t campaign_id, campaigns::v1::RunState state) {
  const v1::SendRun& run = RunOf(context, campaign_id);
  campaigns::v1::CampaignProgressed progressed;
  progressed.set_campaign_id(campaign_id);
  progressed.set_partition(context.partition().value());
  *progressed.mutable_counts() = run.counts();
  progressed.set_planned(run.planned());
  progressed.set_settled(IsSettled(context, campaign_id));
  progressed.set_idle(!progressed.settled() && IsIdle(context, campaign_id));
  progressed.set_state(state);
  if (run.policy() > 0) AddSites(context, progressed);
  AddTest(context, progressed);
  context.Emit(progressed);
}

void ReportNews(task::Context& context, uint64_t campaign_id, News news) {
  if (schema::IsMessage(campaign_id)) return;
  const v1::SendRun& run = RunOf(context, campaign_id);
  const campaigns::v1::CampaignCounts& n = run.counts();
  const v1::Reported& was = run.reported();
  const bool enough = IsNews(n.delivered() + n.bounced() + n.unknown() + n.failed(), was.answered(), 8) ||
                      IsNews(n.hard_bounced(), was.hard_bounced(), 4) || IsNews(n.render_errors(), was.render_errors(), 8) ||
                      IsNews(n.complaints(), was.complaints(), 1) || IsNews(run.policy(), was.policy(), 4);
  if (!enough) return;
  const auto* of = context.view<campaigns::v1::CampaignRun>().Find(state::Key(context.tenant(), campaign_id));
  if (of == nullptr || (news == News::kResult && IsIdle(context, campaign_id))) return;
  Report(context, campaign_id, of->state());
}

}  // namespace maily::sends
