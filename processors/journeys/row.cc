// See row.h.
#include "processors/journeys/row.h"

#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/journeys/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "maily/segments/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "processors/journeys/decide.h"
#include "processors/journeys/evolve.h"
#include "processors/journeys/react.h"
#include "processors/journeys/slices.h"
#include "schemas/types.h"

namespace maily::journeys {

task::Noun Row() {
  return task::Noun("journeys", kEvolveVersion)
      .Owns<v1::Journey, v1::JourneyCounter, v1::JourneyRun, v1::JourneyVersionHeld, v1::JourneyInstance, v1::JourneyPresence,
            v1::JourneyDue, v1::JourneyClock, v1::JourneyIndex>()
      .Reads<tenants::v1::Tenant, templates::v1::TemplateName, lists::v1::List, lists::v1::Subscriber, contacts::v1::Contact,
             contacts::v1::ContactRef, suppressions::v1::Suppression, segments::v1::Segment, segments::v1::SegmentMembers,
             messages::v1::MessageRun, messages::v1::Message, campaigns::v1::SendingRules, sends::v1::ContactMails>()
      .Decides<v1::DefineJourney>(Decide)
      .Decides<v1::ArchiveJourney>(Decide)
      .Decides<v1::PauseJourney>(Decide)
      .Decides<v1::ResumeJourney>(Decide)
      .Decides<v1::JourneyDefined>(Decide)
      .Decides<v1::JourneyArchived>(Decide)
      .Decides<v1::JourneyPaused>(Decide)
      .Decides<v1::JourneyResumed>(Decide)
      .Evolves<v1::JourneyDefined>(Evolve)
      .Evolves<v1::JourneyArchived>(Evolve)
      .Evolves<v1::JourneyPaused>(Evolve)
      .Evolves<v1::JourneyResumed>(Evolve)
      .Evolves<v1::JourneyOpened>(Evolve)
      .Evolves<v1::JourneyClosed>(Evolve)
      .Evolves<v1::JourneyHeld>(Evolve)
      .Evolves<v1::JourneysMoved>(Evolve)
      .Evolves<v1::JourneysDue>(Evolve)
      .Evolves<v1::ContactUpdateWanted>(Evolve)
      .Reacts<engagements::v1::ContactEventRecorded>(React)
      .Reacts<engagements::v1::Opened>(React)
      .Reacts<engagements::v1::Clicked>(React)
      .Reacts<engagements::v1::Unsubscribed>(React)
      .Reacts<suppressions::v1::SuppressionAdded>(React)
      .Reacts<contacts::v1::ContactErased>(React)
      .Reacts<contacts::v1::ContactMerged>(React)
      .Reacts<segments::v1::MembershipsDecided>(React)
      .Reacts<segments::v1::SegmentPlanned>(React)
      .Slices(kStepJourneys, "contacts in journeys go on", StepJourneys)
      .Slices(kSweepJourney, "look at everybody in a journey", SweepJourney)
      .Timers(kDueStep, "a wait in a journey is over", DueCome);
}

}  // namespace maily::journeys
