// See reach.h.
#include "processors/audience/reach.h"

#include <algorithm>

#include "processors/audience/bits.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/base/hash.h"
#include "streams/state/key.h"

namespace maily::audience {
namespace {

using campaigns::v1::CampaignSpec;

constexpr uint8_t kSendVerdict = 64;      // [format] of AudiencePlanned
constexpr uint8_t kHoldoutVerdict = 128;  // [format]
constexpr uint8_t kRestVerdict = 192;     // [format]

template <class T>
std::string BitsOf(const state::View<T>& view, TenantId tenant, uint64_t id, uint64_t ordinal) {
  const T* chunk = view.Find(state::Key(tenant, id, ChunkOf(ordinal)));
  return chunk == nullptr ? std::string() : chunk->bits();
}

bool IsInAny(const std::vector<std::string>& sets, uint64_t place) {
  return std::ranges::any_of(sets, [place](const std::string& bits) { return BitAt(bits, place); });
}

}  // namespace

std::vector<uint64_t> ListsOf(const CampaignSpec& spec) {
  std::vector<uint64_t> lists(spec.list_ids().begin(), spec.list_ids().end());
  if (spec.list_id() != 0) lists.push_back(spec.list_id());
  std::ranges::sort(lists);
  lists.erase(std::ranges::unique(lists).begin(), lists.end());
  return lists;
}

bool IsOnAny(const lists::v1::Subscriber* subscriber, const std::vector<uint64_t>& ascending) {
  if (subscriber == nullptr) return false;
  return std::ranges::any_of(subscriber->list_ids(), [&](uint64_t list_id) { return std::ranges::binary_search(ascending, list_id); });
}

Reach::Reach(const CampaignSpec& spec, TenantId tenant, const ReachViews& views, uint64_t first_ordinal)
    : lists_(ListsOf(spec)), excluded_lists_(spec.exclude_list_ids().begin(), spec.exclude_list_ids().end()) {
  std::ranges::sort(excluded_lists_);
  for (const uint64_t id : spec.segment_ids()) segments_.push_back(BitsOf(views.members, tenant, id, first_ordinal));
  for (const uint64_t id : spec.exclude_segment_ids()) {
    excluded_segments_.push_back(BitsOf(views.members, tenant, id, first_ordinal));
    lost_ = lost_ || views.runs.Find(state::Key(tenant, id)) == nullptr;
  }
  segments_named_ = !segments_.empty();
  mixed_ = segments_named_ && !lists_.empty();
  if (!spec.has_derived()) return;
  derived_ = spec.derived().as();
  const uint64_t first = spec.derived().campaign_id();
  if (const auto* chunk = views.sends.Find(state::Key(tenant, first, ChunkOf(first_ordinal))); chunk != nullptr) {
    first_verdicts_ = chunk->verdicts();
    first_statuses_ = chunk->statuses();
  }
  first_openers_ = BitsOf(views.openers, tenant, first, first_ordinal);
  first_by_list_ = BitsOf(views.by_list, tenant, first, first_ordinal);
}

bool Reach::IsDerived(uint64_t place) const {
  if (place >= first_statuses_.size() || place >= first_verdicts_.size()) return false;
  const auto status = static_cast<sends::v1::SendStatus>(static_cast<uint8_t>(first_statuses_[place]));
  const auto verdict = static_cast<uint8_t>(first_verdicts_[place]);
  if (derived_ == campaigns::v1::NON_OPENERS) return status == sends::v1::SENT && !BitAt(first_openers_, place);
  if (status == sends::v1::SKIPPED) {
    return (verdict >= kSendVerdict && verdict < kHoldoutVerdict) || verdict == kRestVerdict;  // at the attempt, or instead of it
  }
  return status == sends::v1::HARD_BOUNCED || status == sends::v1::EXPIRED;
}

Reached Reach::Of(uint64_t ordinal, const lists::v1::Subscriber* subscriber) const {
  const uint64_t place = PlaceOf(ordinal);
  if (lost_ || IsOnAny(subscriber, excluded_lists_) || IsInAny(excluded_segments_, place)) return Reached::kNot;
  const Reached by_list = IsOnAny(subscriber, lists_) ? Reached::kByList : Reached::kNot;
  if (derived_ != campaigns::v1::DERIVED_AS_UNSPECIFIED) {
    if (!IsDerived(place)) return Reached::kNot;
    const bool by_list_alone = !lists_.empty() && (!segments_named_ || BitAt(first_by_list_, place));
    return by_list_alone ? by_list : Reached::kOtherwise;
  }
  if (lists_.empty() && !segments_named_) return Reached::kOtherwise;
  return IsInAny(segments_, place) ? Reached::kOtherwise : by_list;
}

bool IsReady(const CampaignSpec& spec, TenantId tenant, const state::View<segments::v1::SegmentRun>& runs) {
  for (const auto* ids : {&spec.segment_ids(), &spec.exclude_segment_ids()}) {
    for (const uint64_t id : *ids) {
      const auto* run = runs.Find(state::Key(tenant, id));
      if (run != nullptr && run->next_version() != 0) return false;
    }
  }
  return true;
}

bool IsStillReached(const CampaignSpec& spec, TenantId tenant, uint64_t campaign_id, uint64_t ordinal,
                    const lists::v1::Subscriber* subscriber, const state::View<campaigns::v1::CampaignByList>& by_list) {
  const std::vector<uint64_t> lists = ListsOf(spec);
  if (lists.empty()) return true;
  if (!spec.segment_ids().empty()) {
    const auto* chunk = by_list.Find(state::Key(tenant, campaign_id, ChunkOf(ordinal)));
    if (chunk == nullptr || !BitAt(chunk->bits(), PlaceOf(ordinal))) return true;
  }
  return IsOnAny(subscriber, lists);
}

bool IsHeldOut(TenantId tenant, std::string_view contact_key, uint32_t holdout_bp) {
  if (holdout_bp == 0) return false;
  std::string bytes = "holdout";
  PutFixed<uint32_t>(bytes, tenant.value());
  bytes.append(contact_key);
  return Xxh3_64(bytes) % 10'000 < holdout_bp;
}

}  // namespace maily::audience
