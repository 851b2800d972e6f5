// Templates that arms of a campaign have of their own: looked at with its own one, and pinned by its launch.
//
// What a launch carries to every partition arrives as one command each: CampaignLaunched with the campaign's template, and before it, in
// the same decision, a TemplatePinned for each of the others. So whoever has the campaign has them.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "maily/campaigns/v1/events.pb.h"
#include "maily/campaigns/v1/state.pb.h"
#include "maily/templates/v1/events.pb.h"
#include "processors/campaigns/drafts.h"
#include "processors/compliance/rules.h"
#include "streams/task/processor.h"

namespace maily::campaigns {

inline constexpr size_t kArmTemplatesMax = 16;         // of one campaign, besides its own
inline constexpr size_t kPinnedBytesMax = 160 * 1024;  // of all of them: a launch is one decision (journal::kDecisionBytesMax)

// What is wrong with the templates that a spec names. `before`: what it named before; those may be archived by now.
void CheckTemplates(const task::Context& context, const v1::CampaignSpec& spec, const v1::CampaignSpec& before, Wrong& wrong);
// All of them, each once, as they are now: the campaign's, then those of arms in their order.
std::vector<compliance::UsedTemplate> TemplatesOf(const task::Context& context, const v1::CampaignSpec& spec);
// Those whose mails would be larger than `bytes_max`; 0: it is not said.
std::vector<compliance::Objection> TooLargeMails(const std::vector<compliance::UsedTemplate>& templates, uint64_t bytes_max);

// What a launch announces.
struct Launching {
  v1::CampaignLaunched launched;
  std::vector<templates::v1::TemplatePinned> pinned;
};
// Puts the versions in, of templates that are all there. `into.launched` has its spec.
void PinTemplates(const std::vector<compliance::UsedTemplate>& templates, Launching& into);
// Why it cannot be carried; none: it can.
std::optional<compliance::Objection> TooLarge(const Launching& launching);
void EmitLaunch(task::Context& context, const Launching& launching);

}  // namespace maily::campaigns
