// See row.h.
#include "processors/campaigns/row.h"

#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/domains/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/segments/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "maily/tenants/v1/events.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "processors/campaigns/ab_test.h"
#include "processors/campaigns/decide.h"
#include "processors/campaigns/draft_folds.h"
#include "processors/campaigns/drafts.h"
#include "processors/campaigns/entrants.h"
#include "processors/campaigns/evolve.h"
#include "processors/campaigns/launch_preview.h"
#include "processors/campaigns/pace.h"
#include "processors/campaigns/schedule.h"
#include "processors/campaigns/slices.h"
#include "schemas/types.h"

namespace maily::campaigns {

task::Noun Row() {
  return task::Noun("campaigns", kEvolveVersion)
      .Owns<v1::Campaign, v1::CampaignCounter, v1::CampaignRun, v1::LaunchPreviewCounter, v1::LaunchPreviewRun, v1::CampaignOpeners,
            v1::CampaignByList, v1::SendingRules, v1::DueStart, v1::CampaignEntrants, v1::EvergreenIndex>()
      .Reads<tenants::v1::Tenant, domains::v1::Domain, templates::v1::Template, lists::v1::List, lists::v1::Subscriber,
             contacts::v1::Contact, contacts::v1::ContactCounter, suppressions::v1::Suppression, suppressions::v1::SuppressedDomain,
             suppressions::v1::SuppressedDomainCounter, sends::v1::SendRun, sends::v1::SendLane, sends::v1::SendChunk,
             sends::v1::ZoneBucket, segments::v1::Segment, segments::v1::SegmentRun, segments::v1::SegmentMembers,
             segments::v1::SegmentCheck, segments::v1::SegmentClock>()
      .Decides<v1::CreateCampaign>(Decide)
      .Decides<v1::LaunchCampaign>(Decide)
      .Decides<v1::PauseCampaign>(Decide)
      .Decides<v1::ResumeCampaign>(Decide)
      .Decides<v1::CancelCampaign>(Decide)
      .Decides<v1::EditCampaign>(Decide)
      .Decides<v1::DeleteCampaign>(Decide)
      .Decides<v1::CloneCampaign>(Decide)
      .Decides<v1::ResendCampaign>(Decide)
      .Decides<v1::ApproveCampaign>(Decide)
      .Decides<v1::PreviewLaunch>(Decide)
      .Decides<v1::LaunchPreviewRequested>(Decide)
      .Decides<v1::ScheduleCampaign>(Decide)
      .Decides<v1::UnscheduleCampaign>(Decide)
      .Decides<v1::ReleaseCampaign>(Decide)
      .Decides<v1::StartCampaign>(Decide)
      .Decides<v1::ThrottleCampaign>(Decide)
      .Decides<v1::CampaignProgressed>(Decide)
      .Decides<v1::CampaignLaunched>(Decide)
      .Decides<v1::CampaignPaused>(Decide)
      .Decides<v1::CampaignResumed>(Decide)
      .Decides<v1::CampaignCancelled>(Decide)
      .Decides<v1::CampaignThrottled>(Decide)
      .Decides<v1::SendingRulesAnnounced>(Decide)
      .Decides<v1::ChooseWinner>(Decide)
      .Decides<v1::FinishCampaign>(Decide)
      .Decides<v1::CampaignFinishing>(Decide)
      .Decides<v1::TestClosed>(Decide)
      .Decides<v1::WinnerChosen>(Decide)
      .Reacts<tenants::v1::SettingsChanged>(React)
      .Evolves<v1::CampaignCreated>(Evolve)
      .Evolves<v1::CampaignLaunched>(Evolve)
      .Evolves<v1::CampaignPaused>(Evolve)
      .Evolves<v1::CampaignResumed>(Evolve)
      .Evolves<v1::CampaignCancelled>(Evolve)
      .Evolves<v1::CampaignCompleted>(Evolve)
      .Evolves<v1::CampaignRefused>(Evolve)
      .Evolves<v1::ProgressTaken>(Evolve)
      .Evolves<v1::CampaignScheduled>(Evolve)
      .Evolves<v1::CampaignUnscheduled>(Evolve)
      .Evolves<v1::CampaignStartDue>(Evolve)
      .Evolves<v1::CampaignHeld>(Evolve)
      .Evolves<v1::CampaignThrottled>(Evolve)
      .Evolves<v1::SendingRulesAnnounced>(Evolve)
      .Evolves<v1::RunThrottled>(Evolve)
      .Evolves<v1::SendingRulesSet>(Evolve)
      .Evolves<v1::TestWaiting>(Evolve)
      .Evolves<v1::TestClosed>(Evolve)
      .Evolves<v1::WinnerChosen>(Evolve)
      .Evolves<v1::RunTestClosed>(Evolve)
      .Evolves<v1::RunWinnerSet>(Evolve)
      .Evolves<v1::CampaignFinishing>(Evolve)
      .Evolves<v1::CampaignOpened>(Evolve)
      .Evolves<v1::AudiencePlanned>(Evolve)
      .Evolves<v1::RunStateChanged>(Evolve)
      .Evolves<v1::CampaignProgressed>(Evolve)
      .Evolves<v1::CampaignEdited>(Evolve)
      .Evolves<v1::CampaignDeleted>(Evolve)
      .Evolves<v1::CampaignApproved>(Evolve)
      .Evolves<v1::AudienceReached>(Evolve)
      .Evolves<v1::LaunchPreviewRequested>(Evolve)
      .Evolves<v1::LaunchPreviewOpened>(Evolve)
      .Evolves<v1::LaunchPreviewCounted>(Evolve)
      .Evolves<contacts::v1::ContactCreated>(Evolve)
      .Evolves<lists::v1::MemberJoined>(Evolve)
      .Evolves<lists::v1::MemberLeft>(Evolve)
      .Evolves<segments::v1::MembershipsDecided>(Evolve)
      .Evolves<segments::v1::SegmentPlanned>(Evolve)
      .Evolves<engagements::v1::Opened>(Evolve)
      .Evolves<engagements::v1::Clicked>(Evolve)
      .Slices(kCountLaunch, "count what a launch would do", CountLaunch)
      .Slices(kPlan, "plan the audience", Plan)
      .Slices(kTakeIn, "take in who comes into an evergreen audience", TakeIn)
      .Timers(kStartStep, "start a scheduled campaign", StartDue)
      .Timers(kTestStep, "the wait of a test is over", TestDue);
}

}  // namespace maily::campaigns
