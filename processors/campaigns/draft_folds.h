// Folds what happens to drafts; who is in an audience by lists alone; and who is known to have opened or clicked, for resends.
#pragma once

#include "maily/campaigns/v1/events.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::campaigns {

void Evolve(task::Fold& fold, const v1::CampaignEdited& event);
void Evolve(task::Fold& fold, const v1::CampaignDeleted& event);
void Evolve(task::Fold& fold, const v1::CampaignApproved& event);
void Evolve(task::Fold& fold, const v1::AudienceReached& event);
// A person's, by the class of the program: what a machine or a mail provider fetches says nothing of a reader.
void Evolve(task::Fold& fold, const engagements::v1::Opened& event);
void Evolve(task::Fold& fold, const engagements::v1::Clicked& event);

}  // namespace maily::campaigns
