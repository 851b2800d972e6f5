// What a launch would do, counted without doing it: every rule's verdict in the home, and in each partition the verdicts of the plan, by
// the same code over the same state, slice by slice. A launch that nothing has come between gives the same numbers.
#pragma once

#include <string_view>

#include "maily/campaigns/v1/commands.pb.h"
#include "maily/campaigns/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::campaigns {

// Work: the contacts of a partition are counted. Subject: preview_id, 8 bytes, big-endian.
inline constexpr task::WorkKind kCountLaunch = 23;

// In the home. Answers preview_id. "campaign_not_found", "campaign_not_draft".
void Decide(task::Context& context, const v1::PreviewLaunch& command);
// In each partition. A second copy changes nothing.
void Decide(task::Context& context, const v1::LaunchPreviewRequested& requested);

task::SliceEnd CountLaunch(task::Context& context, std::string_view subject);

void Evolve(task::Fold& fold, const v1::LaunchPreviewRequested& event);
void Evolve(task::Fold& fold, const v1::LaunchPreviewOpened& event);
void Evolve(task::Fold& fold, const v1::LaunchPreviewCounted& event);

}  // namespace maily::campaigns
