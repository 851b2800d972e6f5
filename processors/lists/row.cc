// See row.h.
#include "processors/lists/row.h"

#include "maily/consents/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "processors/lists/decide.h"
#include "processors/lists/evolve.h"
#include "schemas/types.h"

namespace maily::lists {

task::Noun Row() {
  return task::Noun("lists", kEvolveVersion)
      .Owns<v1::List, v1::ListCounter, v1::Subscriber>()
      .Reads<contacts::v1::ContactRef, consents::v1::Person>()
      .Decides<v1::CreateList>(Decide)
      .Decides<v1::ChangeList>(Decide)
      .Decides<v1::JoinList>(Decide)
      .Decides<v1::LeaveList>(Decide)
      .Decides<v1::Resubscribe>(Decide)
      .Decides<v1::StartImport>(Decide)
      .Decides<v1::EndImport>(Decide)
      .LooksUp<v1::JoinList, contacts::v1::ContactRef>()
      .LooksUp<v1::LeaveList, contacts::v1::ContactRef>()
      .LooksUp<v1::Resubscribe, contacts::v1::ContactRef>()
      .Reacts<contacts::v1::ContactCreated>(React)
      .Reacts<contacts::v1::ContactChanged>(React)
      .Reacts<contacts::v1::JoinUndone>(React)
      .Reacts<contacts::v1::ContactTakenOver>(React)
      .Reacts<consents::v1::ConsentGranted>(React)
      .Reacts<consents::v1::ConsentWithdrawn>(React)
      .Evolves<contacts::v1::ContactCreated>(Evolve)
      .Evolves<contacts::v1::ContactErased>(Evolve)
      .Evolves<contacts::v1::ContactMerged>(Evolve)
      .Evolves<v1::ListCreated>(Evolve)
      .Evolves<v1::ListChanged>(Evolve)
      .Evolves<v1::MemberJoined>(Evolve)
      .Evolves<v1::MemberLeft>(Evolve)
      .Evolves<v1::Resubscribed>(Evolve)
      .Evolves<v1::ImportStarted>(Evolve)
      .Evolves<v1::ImportEnded>(Evolve)
      .Evolves<engagements::v1::Unsubscribed>(Evolve)
      .Evolves<consents::v1::ConfirmationAsked>(Evolve)
      .Evolves<consents::v1::ConsentWithdrawn>(Evolve);
}

}  // namespace maily::lists
