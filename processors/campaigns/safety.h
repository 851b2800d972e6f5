// Safety stops: a running campaign pauses by itself when its mails do harm to the sender's name.
//
// The sums are those that the partitions last reported (sends/report.h): each partition reports again when it has a sixteenth more, so a
// rate is that of a moment ago, and what is under way still goes out. Of a site only partitions that met a refusal for the sender report
// replies.
#pragma once

#include <optional>
#include <string>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"

namespace maily::campaigns {

inline constexpr uint32_t kRenderErrorsBp = 500;
inline constexpr uint64_t kAfterRenderings = 200;

// The first that holds, of those that nobody has overridden:
//   "hard_bounces"  more of the answered sends went to addresses that are bad for good than hard_bounces_bp, from after_sends on
//   "complaints"    of the mails delivered complaints_bp or more were reported, from after_sends answered sends on
//   "render_errors" more than kRenderErrorsBp of the mails that were made or could not be failed for their contacts, from
//                   kAfterRenderings of them on
//   "policy"        a site gave X.7.x to more than policy_bp of its replies, from after_replies of them on; the first site by its name
std::optional<v1::SafetyStop> StopOf(const v1::Campaign& campaign, const tenants::v1::SafetyLimits& limits);

// "hard bounces: 55 of 520 sends (10.57 %), limit 5.00 %".
std::string Sentence(const v1::SafetyStop& stop);

}  // namespace maily::campaigns
