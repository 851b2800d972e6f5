// See arm_mail.h.
#include "processors/audience/arm_mail.h"

#include <algorithm>

#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::audience {

std::vector<uint64_t> OwnTemplates(const campaigns::v1::CampaignSpec& spec) {
  std::vector<uint64_t> ids;
  for (const campaigns::v1::Arm& arm : spec.arms()) {
    if (HasOwnTemplate(spec, arm) && std::ranges::find(ids, arm.template_id()) == ids.end()) ids.push_back(arm.template_id());
  }
  return ids;
}

ArmMail MailOf(const campaigns::v1::CampaignRun& run, uint32_t arm, TenantId tenant, uint64_t campaign_id,
               const state::View<templates::v1::PinnedTemplate>& pinned) {
  const campaigns::v1::CampaignSpec& spec = run.spec();
  const auto place = static_cast<int>(arm);
  if (place >= spec.arms_size() || !HasOwnTemplate(spec, spec.arms(place))) return {.version = &run.template_version()};
  const auto* found = pinned.Find(state::Key(tenant, campaign_id, spec.arms(place).template_id()));
  return found == nullptr ? ArmMail{} : ArmMail{.version = &found->version(), .first_link = found->first_link()};
}

}  // namespace maily::audience
