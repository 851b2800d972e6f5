// See row.h.
#include "processors/engagements/row.h"

#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/engagements/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "processors/engagements/decide.h"
#include "processors/engagements/evolve.h"
#include "schemas/types.h"

namespace maily::engagements {

task::Noun Row() {
  return task::Noun("engagements", kEvolveVersion)
      .Owns<v1::EngagementCounts>()
      .Reads<campaigns::v1::CampaignRun, sends::v1::SendChunk, contacts::v1::ContactRef, contacts::v1::MergedContact, lists::v1::Subscriber,
             messages::v1::Message, messages::v1::HeldForm>()
      .Decides<v1::RecordOpen>(Decide)
      .Decides<v1::RecordClick>(Decide)
      .Decides<v1::RecordHoneypot>(Decide)
      .Decides<v1::RecordUnsubscribe>(Decide)
      .Decides<v1::RecordContactEvent>(Decide)
      .Unhurried<v1::RecordOpen, v1::RecordClick>()
      .LooksUp<v1::RecordContactEvent, contacts::v1::ContactRef>()
      .Reacts<consents::v1::ConsentWithdrawn>(React)
      .Evolves<v1::Opened>(Evolve)
      .Evolves<v1::Clicked>(Evolve)
      .Evolves<v1::Unsubscribed>(Evolve)
      .Evolves<v1::ContactEventRecorded>(Evolve)
      .Evolves<v1::HoneypotFollowed>(Evolve);
}

}  // namespace maily::engagements
