// Folds what happened to lists, memberships and consent; also the opt-outs that come as engagements.
#pragma once

#include "maily/consents/v1/events.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "maily/lists/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::lists {

inline constexpr uint32_t kEvolveVersion = 1;

void Evolve(task::Fold& fold, const v1::ListCreated& event);
void Evolve(task::Fold& fold, const v1::ListChanged& event);
void Evolve(task::Fold& fold, const contacts::v1::ContactCreated& event);  // a new contact is on no list
void Evolve(task::Fold& fold, const contacts::v1::ContactErased& event);   // nor is one who was erased
void Evolve(task::Fold& fold, const contacts::v1::ContactMerged& event);   // nor one who was merged: the other one is
void Evolve(task::Fold& fold, const v1::MemberJoined& event);
void Evolve(task::Fold& fold, const v1::MemberLeft& event);
void Evolve(task::Fold& fold, const v1::Resubscribed& event);
// Nothing is remembered of imports.
void Evolve(task::Fold& fold, const v1::ImportStarted& event);
void Evolve(task::Fold& fold, const v1::ImportEnded& event);
void Evolve(task::Fold& fold, const engagements::v1::Unsubscribed& event);
// Memberships that wait for a confirmation.
void Evolve(task::Fold& fold, const consents::v1::ConfirmationAsked& event);
void Evolve(task::Fold& fold, const consents::v1::ConsentWithdrawn& event);

}  // namespace maily::lists
