// Folds what happened to campaigns: Campaign in the tenant's home, CampaignRun in each partition.
#pragma once

#include "maily/campaigns/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::campaigns {

inline constexpr uint32_t kEvolveVersion = 2;

// Work: planning a campaign's audience. Subject: campaign_id (8 bytes, big-endian).
inline constexpr task::WorkKind kPlan = 1;
std::string PlanSubject(uint64_t campaign_id);
// Timer: a scheduled campaign is to start. Subject: as of kPlan.
inline constexpr task::TimerStep kStartStep = 60;

void Evolve(task::Fold& fold, const v1::CampaignCreated& event);
void Evolve(task::Fold& fold, const v1::CampaignLaunched& event);
void Evolve(task::Fold& fold, const v1::CampaignPaused& event);
void Evolve(task::Fold& fold, const v1::CampaignResumed& event);
void Evolve(task::Fold& fold, const v1::CampaignCancelled& event);
void Evolve(task::Fold& fold, const v1::CampaignCompleted& event);
void Evolve(task::Fold& fold, const v1::CampaignRefused& event);
void Evolve(task::Fold& fold, const v1::ProgressTaken& event);

void Evolve(task::Fold& fold, const v1::CampaignScheduled& event);
void Evolve(task::Fold& fold, const v1::CampaignUnscheduled& event);
void Evolve(task::Fold& fold, const v1::CampaignStartDue& event);
void Evolve(task::Fold& fold, const v1::CampaignHeld& event);
void Evolve(task::Fold& fold, const v1::CampaignThrottled& event);
void Evolve(task::Fold& fold, const v1::SendingRulesAnnounced& event);

void Evolve(task::Fold& fold, const v1::CampaignOpened& event);
void Evolve(task::Fold& fold, const v1::AudiencePlanned& event);
void Evolve(task::Fold& fold, const v1::RunStateChanged& event);
void Evolve(task::Fold& fold, const v1::CampaignProgressed& event);
void Evolve(task::Fold& fold, const v1::RunThrottled& event);
void Evolve(task::Fold& fold, const v1::SendingRulesSet& event);

}  // namespace maily::campaigns
