// Entrants of evergreen campaigns: who comes into the audience after it was planned.
//
// Evolve takes note, a bit each, of whoever may have come in: joined a list, entered a segment, left what is excluded, or was created. An
// index of the evergreen campaigns of the partition says which of them that concerns, so nothing else is looked at. A slice gives those who
// are in the audience a verdict by the rules of the plan, once ever: who has one is noted no more.
#pragma once

#include <string_view>

#include "maily/campaigns/v1/commands.pb.h"
#include "maily/campaigns/v1/events.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/lists/v1/events.pb.h"
#include "maily/segments/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::campaigns {

inline constexpr uint32_t kEvergreensMax = 100;  // of a tenant, that run or are paused
inline constexpr size_t kChecksMax = 4096;       // of segments, due and not decided: with more, a slice waits for them

// Work: looking at those who may have come in. Subject: as of kPlan.
inline constexpr task::WorkKind kTakeIn = 24;
// Runs once the audience is planned, and its test decided, while the campaign runs. Waits for whoever's segments are yet to be decided.
task::SliceEnd TakeIn(task::Context& context, std::string_view subject);

// ---- In the home ----
void Decide(task::Context& context, const v1::FinishCampaign& command);
void Evolve(task::Fold& fold, const v1::CampaignFinishing& event);

// ---- In each partition ----
void Decide(task::Context& context, const v1::CampaignFinishing& finishing);

// The campaign was opened: entrants are noted from here on.
void BeginEntry(task::Fold& fold, uint64_t campaign_id, const v1::CampaignSpec& spec);
// Its run has another state: entrants of one that is finishing are noted no more, those of one that is cancelled are forgotten.
void ChangeEntry(task::Fold& fold, const v1::RunStateChanged& event);
// What the slices wait for may have come.
void WakeEntry(task::Fold& fold, uint64_t campaign_id);
// They were looked at.
void Enter(task::Fold& fold, const v1::AudiencePlanned& event);

void Evolve(task::Fold& fold, const contacts::v1::ContactCreated& event);
void Evolve(task::Fold& fold, const lists::v1::MemberJoined& event);
void Evolve(task::Fold& fold, const lists::v1::MemberLeft& event);
void Evolve(task::Fold& fold, const segments::v1::MembershipsDecided& event);
void Evolve(task::Fold& fold, const segments::v1::SegmentPlanned& event);

}  // namespace maily::campaigns
