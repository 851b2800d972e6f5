// A/B tests in the JSON of campaigns: their set-up, how far they are, and what they came to.
#pragma once

#include "api/body.h"
#include "api/call.h"
#include "api/read.h"
#include "maily/campaigns/v1/state.pb.h"

namespace maily::api {

// "test": {"sample_percent": 20, "metric": "clicks", "wait_minutes": 240, "enough": 500}, and "seed".
void ReadTest(Members& members, campaigns::v1::CampaignSpec& spec);
// `test` of a campaign, null where it has none: sampling, waiting, closing or decided, and the decision with a sentence.
Result<Json> TestJson(Call& call, const Parameter& which);
// Arms of a report, each with the rates of opening and clicking and their 95 % intervals, of all mails that were delivered.
Json WithRates(Json arms);

}  // namespace maily::api
