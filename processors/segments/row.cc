// See row.h.
#include "processors/segments/row.h"

#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/segments/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "processors/segments/decide.h"
#include "processors/segments/evolve.h"
#include "processors/segments/slices.h"
#include "schemas/types.h"

namespace maily::segments {

task::Noun Row() {
  return task::Noun("segments", kEvolveVersion)
      .Owns<v1::Segment, v1::SegmentCounter, v1::SegmentRun, v1::SegmentMembers, v1::Signal, v1::SegmentIndex, v1::SegmentCheck,
            v1::SegmentWatch, v1::SegmentClock, v1::PreviewRun>()
      .Reads<tenants::v1::Tenant, lists::v1::List, lists::v1::Subscriber, campaigns::v1::Campaign, campaigns::v1::EvergreenIndex,
             contacts::v1::Contact, contacts::v1::ContactRef, contacts::v1::ContactCounter, suppressions::v1::Suppression,
             sends::v1::SendChunk>()
      .Decides<v1::DefineSegment>(Decide)
      .Decides<v1::ArchiveSegment>(Decide)
      .Decides<v1::PreviewSegment>(Decide)
      .Decides<v1::SegmentDefined>(Decide)
      .Decides<v1::SegmentArchived>(Decide)
      .Decides<v1::SegmentPreviewRequested>(Decide)
      .Evolves<v1::SegmentDefined>(Evolve)
      .Evolves<v1::SegmentArchived>(Evolve)
      .Evolves<v1::SegmentPreviewRequested>(Evolve)
      .Evolves<v1::SegmentOpened>(Evolve)
      .Evolves<v1::SegmentPlanned>(Evolve)
      .Evolves<v1::MembershipsDecided>(Evolve)
      .Evolves<v1::SegmentClosed>(Evolve)
      .Evolves<v1::ChecksDue>(Evolve)
      .Evolves<v1::PreviewOpened>(Evolve)
      .Evolves<v1::PreviewCounted>(Evolve)
      .Evolves<contacts::v1::ContactCreated>(Evolve)
      .Evolves<contacts::v1::ContactChanged>(Evolve)
      .Evolves<contacts::v1::ContactAddressChanged>(Evolve)
      .Evolves<contacts::v1::ContactErased>(Evolve)
      .Evolves<contacts::v1::ContactMerged>(Evolve)
      .Evolves<lists::v1::MemberJoined>(Evolve)
      .Evolves<lists::v1::MemberLeft>(Evolve)
      .Evolves<lists::v1::Resubscribed>(Evolve)
      .Evolves<engagements::v1::Unsubscribed>(Evolve)
      .Evolves<suppressions::v1::SuppressionAdded>(Evolve)
      .Evolves<suppressions::v1::SuppressionRemoved>(Evolve)
      .Evolves<engagements::v1::Opened>(Evolve)
      .Evolves<engagements::v1::Clicked>(Evolve)
      .Evolves<engagements::v1::ContactEventRecorded>(Evolve)
      .Evolves<sends::v1::AttemptDelivered>(Evolve)
      .Evolves<sends::v1::UnknownResolved>(Evolve)
      .Slices(kPlanSegment, "put a segment's version into force", PlanSegment)
      .Slices(kCountPreview, "count whom an expression selects", CountPreview)
      .Slices(kDecideChecks, "decide memberships again", DecideChecks)
      .Timers(kCheckStep, "decide memberships that time changes", ChecksCome);
}

}  // namespace maily::segments
