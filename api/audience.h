// Audiences of campaigns: lists and segments as JSON, and how many contacts they come to, by read models.
#pragma once

#include <cstdint>
#include <vector>

#include "api/body.h"
#include "api/read.h"
#include "maily/campaigns/v1/state.pb.h"

namespace maily::api {

inline constexpr size_t kAudienceSamples = 20;

// list_ids, segment_ids, exclude_list_ids, exclude_segment_ids.
void ReadAudience(Members& members, campaigns::v1::CampaignSpec& spec);

struct AudienceCount {
  int64_t contacts = 0;
  std::vector<int64_t> samples = {};    // contact ids, ascending
  std::vector<uint64_t> applying = {};  // segments that are being put into force: they are counted as they are
};
// Of the lists and segments of a spec; nobody's opt-out is looked at. Blocking. 512 bytes for each 4,096 contacts. Members of a list or
// segment that is not there are none.
Result<AudienceCount> CountAudience(Call& call, const campaigns::v1::CampaignSpec& spec, size_t samples_max);

// What is seen of a campaign's audience before its launch.
struct Seen {
  bool empty = false;     // for certain
  uint64_t contacts = 0;  // 0 = nobody has counted: it needs no approval, or is a resend
};
Result<Seen> LookAtAudience(Call& call, uint64_t campaign_id);

}  // namespace maily::api
