// When mail goes, in the bodies of campaigns and settings: what both read and show.
#pragma once

#include <functional>

#include "api/body.h"
#include "api/call.h"
#include "api/read.h"
#include "maily/campaigns/v1/state.pb.h"
#include "maily/tenants/v1/commands.pb.h"

namespace maily::api {

// "quiet_hours": {"from": "22:00", "to": "08:00"}; both the same: there are none.
void ReadQuietHours(Members& members, const std::function<tenants::v1::QuietHours&()>& into);

// Settings: time_zone, quiet_hours, frequency_cap, overdue_minutes; and with their defaults.
void ReadTimingSettings(Members& members, tenants::v1::ChangeSettings& command);
void ShowTimingSettings(const Rows& settings, Json& body);

// Campaigns: throttle, quiet_hours, ttl_minutes; and schedule, held, throttle, quiet_hours, ttl_minutes, clocks.
void ReadTiming(Members& members, campaigns::v1::CampaignSpec& spec);
Result<void> ShowTiming(Call& call, const Parameter& which, Json& body);
void ReadPace(Members& members, campaigns::v1::Pace& pace);

}  // namespace maily::api
