// Drafts of campaigns: their definition as JSON, and what the handlers of campaigns share.
#pragma once

#include "api/body.h"
#include "api/read.h"
#include "maily/campaigns/v1/state.pb.h"

namespace maily::api {

// The members of a campaign's definition. Where they are `required`, it is a new one.
void ReadSpec(Members& members, campaigns::v1::CampaignSpec& spec, bool required);
// revision, audience, resend_of, holdout_bp and approval of a campaign, into its JSON.
Result<void> AddDraft(Call& call, const Parameter& campaign, Json& body);
// A launch with ?dry_run=true: 202 with the URL that tells what it would do.
void DryLaunch(Call call, uint64_t campaign_id);

}  // namespace maily::api
