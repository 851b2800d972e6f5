// See pipeline.h.
#include "processors/pipeline.h"

#include "maily/campaigns/v1/events.pb.h"
#include "maily/consents/v1/commands.pb.h"
#include "maily/consents/v1/events.pb.h"
#include "maily/contacts/v1/commands.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/domains/v1/events.pb.h"
#include "maily/engagements/v1/commands.pb.h"
#include "maily/journeys/v1/events.pb.h"
#include "maily/lists/v1/commands.pb.h"
#include "maily/messages/v1/events.pb.h"
#include "maily/segments/v1/events.pb.h"
#include "maily/sites/v1/events.pb.h"
#include "maily/suppressions/v1/events.pb.h"
#include "maily/templates/v1/events.pb.h"
#include "processors/assets/row.h"
#include "processors/campaigns/row.h"
#include "processors/consents/row.h"
#include "processors/contacts/address_change.h"
#include "processors/contacts/row.h"
#include "processors/destinations.h"
#include "processors/domains/row.h"
#include "processors/engagements/row.h"
#include "processors/journeys/row.h"
#include "processors/lists/row.h"
#include "processors/messages/row.h"
#include "processors/segments/row.h"
#include "processors/sends/row.h"
#include "processors/sites/row.h"
#include "processors/suppressions/row.h"
#include "processors/templates/row.h"
#include "processors/tenants/row.h"
#include "schemas/keys.h"
#include "schemas/types.h"

namespace maily {

using task::CarryTo;

task::Pipeline MakePipeline() {
  return task::Pipeline(
      {
          tenants::Row(),
          domains::Row(),
          sites::Row(),
          contacts::Row(),
          consents::Row(),
          lists::Row(),
          suppressions::Row(),
          assets::Row(),
          templates::Row(),
          campaigns::Row(),
          sends::Row(),
          messages::Row(),
          engagements::Row(),
          segments::Row(),
          journeys::Row(),
      },
      {
          {TypeNumberOf<campaigns::v1::CampaignLaunched>(), CarryTo::kAll},
          {TypeNumberOf<campaigns::v1::CampaignPaused>(), CarryTo::kAll},
          {TypeNumberOf<campaigns::v1::CampaignResumed>(), CarryTo::kAll},
          {TypeNumberOf<campaigns::v1::CampaignCancelled>(), CarryTo::kAll},
          {TypeNumberOf<campaigns::v1::CampaignFinishing>(), CarryTo::kAll},
          {TypeNumberOf<campaigns::v1::LaunchPreviewRequested>(), CarryTo::kAll},
          {TypeNumberOf<campaigns::v1::CampaignThrottled>(), CarryTo::kAll},
          {TypeNumberOf<campaigns::v1::TestClosed>(), CarryTo::kAll},
          {TypeNumberOf<campaigns::v1::WinnerChosen>(), CarryTo::kAll},
          {TypeNumberOf<campaigns::v1::SendingRulesAnnounced>(), CarryTo::kAll},
          {TypeNumberOf<campaigns::v1::CampaignProgressed>(), CarryTo::kHome},
          {TypeNumberOf<contacts::v1::AddressAsked>(), CarryTo::kNamed, ToAddress},
          {TypeNumberOf<contacts::v1::AddressReserved>(), CarryTo::kNamed, ToReserver},
          {TypeNumberOf<contacts::v1::AddressDenied>(), CarryTo::kNamed, ToDenied},
          {TypeNumberOf<contacts::v1::AddressReleased>(), CarryTo::kNamed, ToReleased},
          {TypeNumberOf<contacts::v1::AddressForgotten>(), CarryTo::kNamed, ToForgotten},
          {TypeNumberOf<contacts::v1::CommandForwarded>(), CarryTo::kNamed, ToOwner},
          {TypeNumberOf<contacts::v1::MergeAsked>(), CarryTo::kNamed, ToAsked},
          {TypeNumberOf<contacts::v1::MergeAgreed>(), CarryTo::kNamed, ToAsker},
          {TypeNumberOf<contacts::v1::MergeDenied>(), CarryTo::kNamed, ToDeniedMerge},
          {TypeNumberOf<contacts::v1::MergeGivenUp>(), CarryTo::kNamed, ToGivenUp},
          {TypeNumberOf<contacts::v1::ContactHandedOver>(), CarryTo::kNamed, ToTaker},
          {TypeNumberOf<contacts::v1::AddressClaimed>(), CarryTo::kNamed, ToClaimed},
          {TypeNumberOf<contacts::v1::AddressPassedOn>(), CarryTo::kNamed, ToClaimer},
          {TypeNumberOf<contacts::v1::MergedForgotten>(), CarryTo::kNamed, ToMerged},
          {TypeNumberOf<contacts::v1::ContactKeysDestroyed>(), CarryTo::kNamed, ToMergedOf},
          {TypeNumberOf<consents::v1::OptOutPassedOn>(), CarryTo::kNamed, ToOptedOut},
          {TypeNumberOf<domains::v1::DomainAdded>(), CarryTo::kAll},
          {TypeNumberOf<domains::v1::DomainKeysActivated>(), CarryTo::kAll},
          {TypeNumberOf<domains::v1::DomainRemoved>(), CarryTo::kAll},
          {TypeNumberOf<journeys::v1::JourneyDefined>(), CarryTo::kAll},
          {TypeNumberOf<journeys::v1::JourneyArchived>(), CarryTo::kAll},
          {TypeNumberOf<journeys::v1::JourneyPaused>(), CarryTo::kAll},
          {TypeNumberOf<journeys::v1::JourneyResumed>(), CarryTo::kAll},
          {TypeNumberOf<messages::v1::MessageFormMade>(), CarryTo::kAll},
          {TypeNumberOf<segments::v1::SegmentDefined>(), CarryTo::kAll},
          {TypeNumberOf<segments::v1::SegmentArchived>(), CarryTo::kAll},
          {TypeNumberOf<segments::v1::SegmentPreviewRequested>(), CarryTo::kAll},
          {TypeNumberOf<sites::v1::SiteSuspended>(), CarryTo::kAll},
          {TypeNumberOf<sites::v1::SiteResumed>(), CarryTo::kAll},
          {TypeNumberOf<sites::v1::SiteDrained>(), CarryTo::kAll},
          {TypeNumberOf<sites::v1::SiteFlushed>(), CarryTo::kAll},
          {TypeNumberOf<sites::v1::SitePaced>(), CarryTo::kAll},
          {TypeNumberOf<suppressions::v1::DomainSuppressionAdded>(), CarryTo::kAll},
          {TypeNumberOf<suppressions::v1::DomainSuppressionRemoved>(), CarryTo::kAll},
          {TypeNumberOf<suppressions::v1::SuppressionAdded>(), CarryTo::kNamed, ToOther},
          {TypeNumberOf<suppressions::v1::SuppressionRemoved>(), CarryTo::kNamed, ToOtherRemoved},
          {TypeNumberOf<templates::v1::TemplatePinned>(), CarryTo::kAll},
      },
      schema::HomeOf,
      // What is asked of a contact by its address. A message is to the address itself, and a suppression is of it.
      {.noun = "contacts",
       .commands = {TypeNumberOf<contacts::v1::UpsertContact>(), TypeNumberOf<lists::v1::JoinList>(), TypeNumberOf<lists::v1::LeaveList>(),
                    TypeNumberOf<lists::v1::Resubscribe>(), TypeNumberOf<consents::v1::RecordConsent>(),
                    TypeNumberOf<engagements::v1::RecordContactEvent>()},
       .forward = contacts::ForwardToOwner});
}

}  // namespace maily
