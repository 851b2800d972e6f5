// See evolve.h.
#include "processors/campaigns/evolve.h"

#include "maily/campaigns/v1/state.pb.h"
#include "processors/campaigns/entrants.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::campaigns {
namespace {

v1::Campaign& EditCampaign(task::Fold& fold, uint64_t campaign_id) {
  return fold.table<v1::Campaign>().Edit(state::Key(fold.tenant(), campaign_id));
}

// One evergreen campaign less runs, if it is one that did.
void EndEvergreen(task::Fold& fold, const v1::Campaign& campaign) {
  if (!campaign.spec().evergreen() || (campaign.status() != v1::LAUNCHED && campaign.status() != v1::STATUS_PAUSED)) return;
  v1::CampaignCounter& counter = fold.table<v1::CampaignCounter>().Edit(state::Key(fold.tenant()));
  counter.set_evergreens(counter.evergreens() - 1);
}
void End(task::Fold& fold, uint64_t campaign_id, v1::CampaignStatus status) {
  v1::Campaign& campaign = EditCampaign(fold, campaign_id);
  EndEvergreen(fold, campaign);
  campaign.set_status(status);
}

// It waits for its time no more.
void Unwait(task::Fold& fold, v1::Campaign& campaign, uint64_t campaign_id) {
  if (campaign.status() != v1::SCHEDULED) return;
  fold.DisarmTimer(Instant{campaign.start().at_us()}, kStartStep, PlanSubject(campaign_id));
  if (campaign.start_due()) fold.table<v1::DueStart>().Erase(state::Key(fold.tenant(), campaign_id));
  campaign.set_start_due(false);
}

}  // namespace

std::string PlanSubject(uint64_t campaign_id) {
  std::string subject;
  PutOrdered<uint64_t>(subject, campaign_id);
  return subject;
}

// ---- In the home ----

void Evolve(task::Fold& fold, const v1::CampaignCreated& event) {
  *EditCampaign(fold, event.campaign_id()).mutable_spec() = event.spec();
  fold.table<v1::CampaignCounter>().Edit(state::Key(fold.tenant())).set_last_campaign_id(event.campaign_id());
}

void Evolve(task::Fold& fold, const v1::CampaignLaunched& event) {
  v1::Campaign& campaign = EditCampaign(fold, event.campaign_id());
  Unwait(fold, campaign, event.campaign_id());
  campaign.set_status(v1::LAUNCHED);
  if (!campaign.spec().evergreen()) return;
  v1::CampaignCounter& counter = fold.table<v1::CampaignCounter>().Edit(state::Key(fold.tenant()));
  counter.set_evergreens(counter.evergreens() + 1);
}
void Evolve(task::Fold& fold, const v1::CampaignScheduled& event) {
  v1::Campaign& campaign = EditCampaign(fold, event.campaign_id());
  Unwait(fold, campaign, event.campaign_id());
  campaign.set_status(v1::SCHEDULED);
  *campaign.mutable_start() = event.start();
  fold.ArmTimer(Instant{event.start().at_us()}, kStartStep, PlanSubject(event.campaign_id()));
}
void Evolve(task::Fold& fold, const v1::CampaignUnscheduled& event) {
  v1::Campaign& campaign = EditCampaign(fold, event.campaign_id());
  Unwait(fold, campaign, event.campaign_id());
  campaign.set_status(v1::DRAFT);
  campaign.clear_start();
}
void Evolve(task::Fold& fold, const v1::CampaignStartDue& event) {
  EditCampaign(fold, event.campaign_id()).set_start_due(true);
  fold.table<v1::DueStart>().Edit(state::Key(fold.tenant(), event.campaign_id())).set_at_us(event.at_us());
}
void Evolve(task::Fold& fold, const v1::CampaignHeld& event) {
  v1::Campaign& campaign = EditCampaign(fold, event.campaign_id());
  Unwait(fold, campaign, event.campaign_id());
  campaign.set_status(v1::HELD);
}
void Evolve(task::Fold& fold, const v1::CampaignThrottled& event) {
  *EditCampaign(fold, event.campaign_id()).mutable_pace() = event.pace();
}
void Evolve(task::Fold& /*fold*/, const v1::SendingRulesAnnounced& /*event*/) {}  // what it repeats is the tenant's
void Evolve(task::Fold& fold, const v1::CampaignPaused& event) {
  v1::Campaign& campaign = EditCampaign(fold, event.campaign_id());
  campaign.set_status(v1::STATUS_PAUSED);
  if (event.has_stop()) *campaign.mutable_stop() = event.stop();
}
void Evolve(task::Fold& fold, const v1::CampaignResumed& event) {
  v1::Campaign& campaign = EditCampaign(fold, event.campaign_id());
  campaign.set_status(v1::LAUNCHED);
  campaign.clear_stop();
  if (!event.overridden().empty()) campaign.add_overridden(event.overridden());
}
void Evolve(task::Fold& fold, const v1::CampaignCancelled& event) {
  v1::Campaign& campaign = EditCampaign(fold, event.campaign_id());
  Unwait(fold, campaign, event.campaign_id());
  End(fold, event.campaign_id(), v1::STATUS_CANCELLED);
}
void Evolve(task::Fold& fold, const v1::CampaignCompleted& event) { End(fold, event.campaign_id(), v1::COMPLETED); }
void Evolve(task::Fold& fold, const v1::CampaignRefused& event) { End(fold, event.campaign_id(), v1::REFUSED); }

void Evolve(task::Fold& fold, const v1::ProgressTaken& event) {
  auto& partitions = *EditCampaign(fold, event.campaign_id()).mutable_partitions();
  const v1::CampaignProgressed& progress = event.progress();
  int at = 0;
  while (at < partitions.size() && partitions[at].partition() != progress.partition()) ++at;
  v1::PartitionProgress& partition = at < partitions.size() ? partitions[at] : *partitions.Add();
  partition.set_partition(progress.partition());
  *partition.mutable_counts() = progress.counts();
  partition.set_planned(progress.planned());
  partition.set_settled(progress.settled());
  partition.set_state(progress.state());
  *partition.mutable_sites() = progress.sites();
  partition.set_sampled(progress.sampled());
  partition.set_test_closed(progress.test_closed());
  *partition.mutable_arms() = progress.arms();
}

// ---- In each partition ----

void Evolve(task::Fold& fold, const v1::CampaignOpened& event) {
  v1::CampaignRun& run = fold.table<v1::CampaignRun>().Edit(state::Key(fold.tenant(), event.campaign_id()));
  *run.mutable_spec() = event.spec();
  *run.mutable_template_version() = event.template_version();
  run.set_postal_address(event.postal_address());
  run.set_company(event.company());
  run.set_last_ordinal(event.last_ordinal());
  run.set_trace(event.trace());
  run.set_state(v1::RUNNING);
  run.set_opened_at_us(fold.now().us);
  run.set_by_clock(event.by_clock());
  run.set_links(event.links());
  fold.AddWork(kPlan, PlanSubject(event.campaign_id()));
  BeginEntry(fold, event.campaign_id(), event.spec());
}

void Evolve(task::Fold& fold, const v1::AudiencePlanned& event) {
  if (!event.entrants().empty()) return Enter(fold, event);
  fold.table<v1::CampaignRun>()
      .Edit(state::Key(fold.tenant(), event.campaign_id()))
      .set_planned_to(event.first_ordinal() + event.verdicts().size() - 1);
}

void Evolve(task::Fold& fold, const v1::RunStateChanged& event) {
  v1::CampaignRun& run = fold.table<v1::CampaignRun>().Edit(state::Key(fold.tenant(), event.campaign_id()));
  run.set_state(event.state());
  run.set_finishing(event.finishing());
  if (event.state() == v1::CANCELLING) fold.RemoveWork(kPlan, PlanSubject(event.campaign_id()));
  if (run.spec().evergreen()) ChangeEntry(fold, event);
}

void Evolve(task::Fold& fold, const v1::CampaignProgressed& event) {
  if (!event.planned()) return;
  fold.RemoveWork(kPlan, PlanSubject(event.campaign_id()));
  WakeEntry(fold, event.campaign_id());
}

void Evolve(task::Fold& fold, const v1::RunThrottled& event) {
  *fold.table<v1::CampaignRun>().Edit(state::Key(fold.tenant(), event.campaign_id())).mutable_pace() = event.pace();
}

void Evolve(task::Fold& fold, const v1::SendingRulesSet& event) {
  v1::SendingRules& rules = fold.table<v1::SendingRules>().Edit(state::Key(fold.tenant()));
  rules.Clear();
  rules.set_time_zone(event.time_zone());
  if (event.has_quiet_hours()) *rules.mutable_quiet_hours() = event.quiet_hours();
  if (event.has_cap()) *rules.mutable_cap() = event.cap();
}

}  // namespace maily::campaigns
