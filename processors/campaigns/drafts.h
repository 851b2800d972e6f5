// Drafts of campaigns: changed, deleted, copied, derived from what another came to, approved; and what all deciders of the home share.
//
//   A draft has a revision, from 1. Whoever changes or approves it names the one that he has seen. Once it runs, only its name changes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maily/campaigns/v1/commands.pb.h"
#include "maily/campaigns/v1/state.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "processors/campaigns/decide.h"
#include "processors/compliance/rules.h"
#include "streams/task/processor.h"

namespace maily::campaigns {

// "campaign_not_found"; "stale_revision"; "campaign_not_draft" (it runs, and more than its name is changed), "campaign_ended";
// "campaign_invalid" as of CreateCampaign. Answers campaign_id, revision, status.
void Decide(task::Context& context, const v1::EditCampaign& command);
// "campaign_not_found", "campaign_deleted" (it was a draft), "campaign_not_draft".
void Decide(task::Context& context, const v1::DeleteCampaign& command);
// "campaign_not_found", "campaign_invalid" (what it names is not there any more). Answers as CreateCampaign.
void Decide(task::Context& context, const v1::CloneCampaign& command);
// "campaign_not_found", "campaign_not_ended", "campaign_invalid".
void Decide(task::Context& context, const v1::ResendCampaign& command);
// "campaign_not_found", "campaign_not_draft", "stale_revision", "approval_by_author".
void Decide(task::Context& context, const v1::ApproveCampaign& command);

// ---- Shared ----

// Where something is wrong (JSON Pointer), and a sentence.
using Wrong = std::vector<std::pair<std::string, std::string>>;

std::string Joined(const std::vector<std::string>& sentences);
// All of them: together in the message, and each as a member "path#code" of the answer.
void RefuseFor(task::Context& context, const std::vector<compliance::Objection>& wrong);
// True: there is something wrong with it, and the command was refused with all of that.
// `before`: of a draft that is changed, what it was.
bool RefusesSpec(task::Context& context, const v1::CampaignSpec& spec, const v1::CampaignSpec& before = {});
// A draft that was looked at, with its answer. "too_many_campaigns".
void Create(task::Context& context, const v1::CampaignSpec& spec);
// Of whoever asks; empty where nobody has to approve.
std::string AuthorOf(const task::Context& context);

// What whoever asks for a launch saw.
struct Asked {
  bool empty_audience = false;
  bool live = false;
};
// What the rules of a launch are asked about. `spec` outlives it.
compliance::Launch AskOf(const task::Context& context, const v1::CampaignSpec& spec, const Asked& asked);
// With what the tenant's settings add to it.
v1::CampaignSpec SpecAtLaunch(const task::Context& context, const v1::CampaignSpec& spec);
// Why one more evergreen campaign cannot be launched; none: it can, or the campaign is none.
std::optional<compliance::Objection> TooManyEvergreens(const task::Context& context, const v1::CampaignSpec& spec);

inline uint32_t RevisionOf(const v1::Campaign& campaign) { return campaign.edits() + 1; }
// Where a second person has to approve: why a launch by `actor` is not approved ("approval_missing", "approval_void"). `audience`:
// contacts, 0 = nobody has counted.
std::optional<compliance::Objection> WhyNotApproved(const task::Context& context, uint64_t campaign_id, const v1::Campaign& campaign,
                                                    uint64_t audience);
// False, and the launch was refused.
bool IsApproved(task::Context& context, uint64_t campaign_id, const v1::Campaign& campaign, uint64_t audience);

// What is wrong with the lists and segments of a spec; list_id apart, which is looked at by the launch.
void CheckAudience(const task::Context& context, const v1::CampaignSpec& spec, Wrong& wrong);
// The same in one sentence; empty: nothing is.
std::string MissingInAudience(const task::Context& context, const v1::CampaignSpec& spec);

}  // namespace maily::campaigns
