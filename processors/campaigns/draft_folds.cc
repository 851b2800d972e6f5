// See draft_folds.h.
#include "processors/campaigns/draft_folds.h"

#include "maily/campaigns/v1/state.pb.h"
#include "processors/audience/bits.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::campaigns {
namespace {

v1::Campaign& EditCampaign(task::Fold& fold, uint64_t campaign_id) {
  return fold.table<v1::Campaign>().Edit(state::Key(fold.tenant(), campaign_id));
}

template <class Event>
void Read(task::Fold& fold, const Event& event) {
  switch (event.agent()) {
    case engagements::v1::AGENT_DESKTOP:
    case engagements::v1::AGENT_MOBILE:
    case engagements::v1::AGENT_MAIL:
      break;
    default:
      return;
  }
  const uint64_t ordinal = event.ordinal();
  auto openers = fold.table<v1::CampaignOpeners>();
  const std::string key = state::Key(fold.tenant(), event.campaign_id(), audience::ChunkOf(ordinal));
  const v1::CampaignOpeners* chunk = openers.Find(key);
  if (chunk != nullptr && audience::BitAt(chunk->bits(), audience::PlaceOf(ordinal))) return;
  audience::SetBit(*openers.Edit(key).mutable_bits(), audience::PlaceOf(ordinal), true);
}

}  // namespace

void Evolve(task::Fold& fold, const v1::CampaignEdited& event) {
  v1::Campaign& campaign = EditCampaign(fold, event.campaign_id());
  *campaign.mutable_spec() = event.spec();
  campaign.set_edits(event.revision() - 1);
}

void Evolve(task::Fold& fold, const v1::CampaignDeleted& event) {
  v1::Campaign& campaign = EditCampaign(fold, event.campaign_id());
  campaign.Clear();
  campaign.set_deleted(true);
}

void Evolve(task::Fold& fold, const v1::CampaignApproved& event) {
  v1::Approval& approval = *EditCampaign(fold, event.campaign_id()).mutable_approval();
  approval.set_revision(event.revision());
  approval.set_by(event.by());
}

void Evolve(task::Fold& fold, const v1::AudienceReached& event) {
  const uint64_t first = event.first_ordinal();
  std::string& bits =
      *fold.table<v1::CampaignByList>().Edit(state::Key(fold.tenant(), event.campaign_id(), audience::ChunkOf(first))).mutable_bits();
  for (uint64_t i = 0; i < 8 * event.by_list().size(); ++i) {
    if (audience::BitAt(event.by_list(), i)) audience::SetBit(bits, audience::PlaceOf(first) + i, true);
  }
}

void Evolve(task::Fold& fold, const engagements::v1::Opened& event) { Read(fold, event); }
void Evolve(task::Fold& fold, const engagements::v1::Clicked& event) { Read(fold, event); }

}  // namespace maily::campaigns
