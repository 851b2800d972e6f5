// See row.h.
#include "processors/sends/row.h"

#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/sites/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "processors/sends/clocks.h"
#include "processors/sends/decide.h"
#include "processors/sends/evolve.h"
#include "processors/sends/foreign.h"
#include "processors/sends/rest.h"
#include "processors/sends/slices.h"
#include "processors/sends/test_tally.h"
#include "schemas/types.h"

namespace maily::sends {

task::Noun Row() {
  return task::Noun("sends", kEvolveVersion)
      .Owns<v1::SendChunk, v1::SendRun, v1::OpenAttempt, v1::RetryQueued, v1::SendLane, v1::SiteTally, v1::ReclassifiedBounce,
            v1::ZoneChunk, v1::ZoneBucket, v1::ZoneLane, v1::SendPace, v1::ContactMails, v1::TestTally, v1::TestPerson>()
      .Reads<campaigns::v1::CampaignRun, campaigns::v1::CampaignByList, campaigns::v1::CampaignEntrants, campaigns::v1::SendingRules,
             contacts::v1::Contact, contacts::v1::MergedContact, lists::v1::Subscriber, suppressions::v1::Suppression,
             suppressions::v1::SuppressedDomain, suppressions::v1::SuppressedDomainCounter, sites::v1::SiteFlush, sites::v1::SiteFlushes,
             messages::v1::Message, templates::v1::PinnedTemplate>()
      .Decides<v1::RecordAttempt>(Decide)
      .Decides<v1::ResolveUnknown>(Decide)
      .Decides<v1::RecordNotice>(Decide)
      .Decides<v1::ReclassifyBounce>(Decide)
      .Decides<v1::KeepNotice>(Decide)
      .Reacts<campaigns::v1::RunStateChanged>(React)
      .Reacts<campaigns::v1::RunTestClosed>(React)
      .Reacts<engagements::v1::Opened>(React)
      .Reacts<engagements::v1::Clicked>(React)
      .Reacts<engagements::v1::ContactEventRecorded>(React)
      .Evolves<campaigns::v1::AudiencePlanned>(Evolve)
      .Evolves<campaigns::v1::RunStateChanged>(Evolve)
      .Evolves<campaigns::v1::CampaignProgressed>(Evolve)
      .Evolves<campaigns::v1::ZonesPlanned>(Evolve)
      .Evolves<campaigns::v1::RunThrottled>(Evolve)
      .Evolves<v1::MailCounted>(Evolve)
      .Evolves<v1::ZoneClosed>(Evolve)
      .Evolves<v1::ZoneOpened>(Evolve)
      .Evolves<v1::PaceWaited>(Evolve)
      .Evolves<v1::SendPutOff>(Evolve)
      .Evolves<v1::AttemptOpened>(Evolve)
      .Evolves<v1::SendSkipped>(Evolve)
      .Evolves<v1::AttemptDelivered>(Evolve)
      .Evolves<v1::AttemptDeferred>(Evolve)
      .Evolves<v1::AttemptBounced>(Evolve)
      .Evolves<v1::AttemptUnknown>(Evolve)
      .Evolves<v1::UnknownResolved>(Evolve)
      .Evolves<v1::RetryDue>(Evolve)
      .Evolves<v1::SendsFlushed>(Evolve)
      .Evolves<v1::SendExpired>(Evolve)
      .Evolves<v1::BounceReceived>(Evolve)
      .Evolves<v1::ComplaintReceived>(Evolve)
      .Evolves<v1::AutoReplied>(Evolve)
      .Evolves<v1::BounceReclassified>(Evolve)
      .Evolves<v1::RestReleased>(Evolve)
      .Evolves<campaigns::v1::RunWinnerSet>(Evolve)
      .Evolves<engagements::v1::Opened>(Evolve)
      .Evolves<engagements::v1::Clicked>(Evolve)
      .Evolves<engagements::v1::HoneypotFollowed>(Evolve)
      .Evolves<engagements::v1::ContactEventRecorded>(Evolve)
      .Slices(kSend, "send the campaign", Send)
      .Timers(kRetryStep, "try a deferred mail again", Retry)
      .Timers(kZoneStep, "a clock shows the time that contacts wait for", OpenZone)
      .Timers(kPaceStep, "the pace lets the next mail go", PaceDue);
}

}  // namespace maily::sends
