// Who is in a campaign's audience: on one of its lists or in one of its segments, and in nothing that it excludes; or, of a resend, which
// recipients of the first campaign. Reached by several ways, a contact is in it once.
//
// Pure; reads the state as decided so far. Memberships of segments are those of the moment of the question: a version that is still being
// put into force is waited for (IsReady).
#pragma once

#include <cstdint>
#include <vector>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/segments/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "streams/base/ids.h"
#include "streams/state/table.h"

namespace maily::audience {

inline constexpr int kAudienceIdsMax = 100;  // of each of its four kinds

// The lists that lead into it, ascending.
std::vector<uint64_t> ListsOf(const campaigns::v1::CampaignSpec& spec);
bool IsOnAny(const lists::v1::Subscriber* subscriber, const std::vector<uint64_t>& ascending);

enum class Reached : uint8_t { kNot, kByList, kOtherwise };

// What is read of the state.
struct ReachViews {
  state::View<segments::v1::SegmentRun> runs;
  state::View<segments::v1::SegmentMembers> members;
  state::View<sends::v1::SendChunk> sends;
  state::View<campaigns::v1::CampaignOpeners> openers;
  state::View<campaigns::v1::CampaignByList> by_list;
};

// Of the contacts of one chunk of 4,096. Copies what it reads.
class Reach {
 public:
  Reach(const campaigns::v1::CampaignSpec& spec, TenantId tenant, const ReachViews& views, uint64_t first_ordinal);
  // `subscriber`: null = on no list.
  Reached Of(uint64_t ordinal, const lists::v1::Subscriber* subscriber) const;
  // Whether who is in it by lists alone has to be remembered.
  bool IsMixed() const { return mixed_; }

 private:
  bool IsDerived(uint64_t place) const;

  std::vector<uint64_t> lists_;
  std::vector<uint64_t> excluded_lists_;
  std::vector<std::string> segments_;           // bits
  std::vector<std::string> excluded_segments_;  // bits
  bool lost_ = false;                           // a segment that is excluded is not there any more: nobody is in the audience
  bool segments_named_ = false;
  bool mixed_ = false;
  campaigns::v1::DerivedAs derived_ = campaigns::v1::DERIVED_AS_UNSPECIFIED;
  std::string first_verdicts_;
  std::string first_statuses_;
  std::string first_openers_;
  std::string first_by_list_;
};

// Every segment that it names is in force for all contacts of the partition, in its newest version.
bool IsReady(const campaigns::v1::CampaignSpec& spec, TenantId tenant, const state::View<segments::v1::SegmentRun>& runs);

// At an attempt: whether who was planned is in the audience still. Who left its lists is not, unless a segment has led to him.
bool IsStillReached(const campaigns::v1::CampaignSpec& spec, TenantId tenant, uint64_t campaign_id, uint64_t ordinal,
                    const lists::v1::Subscriber* subscriber, const state::View<campaigns::v1::CampaignByList>& by_list);

// Whether a contact is among the tenant's holdout: of the same share always the same people, and of a larger one these too.
bool IsHeldOut(TenantId tenant, std::string_view contact_key, uint32_t holdout_bp);

}  // namespace maily::audience
