// What SafetyLimits mean where they say nothing: the limits of safety stops by default.
#pragma once

#include <cstdint>

#include "maily/tenants/v1/state.pb.h"

namespace maily::schema {

inline constexpr uint32_t kNeverBp = 10'000;  // of a hundred per cent: no rate is above it

// More than 5 % of addresses that are bad for good: the list was not asked for, or is old; providers block the sender for it.
inline constexpr uint32_t kHardBouncesBp = 500;
// 0.3 % of complaints: what Gmail and Yahoo name as the rate that mail must stay below (sender guidelines, since February 2024).
inline constexpr uint32_t kComplaintsBp = 30;
inline constexpr uint32_t kAfterSends = 500;
// X.7.x (RFC 3463 §3.8): security or policy. A site that gives it to one mail in twenty refuses the sender.
inline constexpr uint32_t kPolicyBp = 500;
inline constexpr uint32_t kAfterReplies = 200;
inline constexpr uint32_t kAfterMax = 1'000'000;  // of the last two

// With the defaults in place of 0.
inline tenants::v1::SafetyLimits Effective(tenants::v1::SafetyLimits limits) {
  if (limits.hard_bounces_bp() == 0) limits.set_hard_bounces_bp(kHardBouncesBp);
  if (limits.complaints_bp() == 0) limits.set_complaints_bp(kComplaintsBp);
  if (limits.policy_bp() == 0) limits.set_policy_bp(kPolicyBp);
  if (limits.after_sends() == 0) limits.set_after_sends(kAfterSends);
  if (limits.after_replies() == 0) limits.set_after_replies(kAfterReplies);
  return limits;
}

}  // namespace maily::schema
