// Who uses which template, in the tenant's home: folded from what happened to campaigns, forms of messages, journeys and forms of consents.
//
// A campaign uses those that it names as long as it is there, drafts too. Whatever was ever mailed of a template as a message went by a
// form of messages, which stays: so a template that a message was made of is in use for good.
#pragma once

#include <string>

#include "maily/campaigns/v1/events.pb.h"
#include "maily/consents/v1/events.pb.h"
#include "maily/journeys/v1/events.pb.h"
#include "maily/messages/v1/events.pb.h"
#include "maily/templates/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::templates {

inline constexpr size_t kUsersNamed = 10;

// "campaign 7, journey 2 and others"; empty: nobody does.
std::string UsersOf(const task::Context& context, uint64_t template_id);

void Evolve(task::Fold& fold, const campaigns::v1::CampaignCreated& event);
void Evolve(task::Fold& fold, const campaigns::v1::CampaignEdited& event);
void Evolve(task::Fold& fold, const campaigns::v1::CampaignDeleted& event);
void Evolve(task::Fold& fold, const messages::v1::MessageFormMade& event);
void Evolve(task::Fold& fold, const journeys::v1::JourneyDefined& event);
void Evolve(task::Fold& fold, const journeys::v1::JourneyArchived& event);
void Evolve(task::Fold& fold, const consents::v1::FormDefined& event);
void Evolve(task::Fold& fold, const consents::v1::FormArchived& event);

}  // namespace maily::templates
