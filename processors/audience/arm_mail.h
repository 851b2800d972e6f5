// What the mail of an arm is made of: the campaign's template, or one of its own. Pure; thread: any.
#pragma once

#include <vector>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "streams/base/ids.h"
#include "streams/state/table.h"

namespace maily::audience {

// Whether the arm has another template than the campaign.
inline bool HasOwnTemplate(const campaigns::v1::CampaignSpec& spec, const campaigns::v1::Arm& arm) {
  return arm.template_id() != 0 && arm.template_id() != spec.template_id();
}
// Those of all arms, in their order, each once.
std::vector<uint64_t> OwnTemplates(const campaigns::v1::CampaignSpec& spec);

// As a launch has pinned it.
struct ArmMail {
  const templates::v1::TemplateVersion* version = nullptr;  // as long as the state is not changed; null: it has not arrived here
  uint32_t first_link = 0;                                  // links of a campaign have one row of numbers: where those of the version begin
};
ArmMail MailOf(const campaigns::v1::CampaignRun& run, uint32_t arm, TenantId tenant, uint64_t campaign_id,
               const state::View<templates::v1::PinnedTemplate>& pinned);

}  // namespace maily::audience
