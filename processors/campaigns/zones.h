// Who of a planned audience waits for which clock.
//
// Contacts whose clocks agree share a bucket, in each partition: those for whom the campaign is due at the same instant, whose offset is
// the same now, and whose next change of it within kAgreeFor is the same. So there are some forty, not one a zone, and one timer each.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>

#include "maily/campaigns/v1/events.pb.h"
#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "processors/compliance/timing.h"
#include "streams/task/processor.h"

namespace maily::campaigns {

inline constexpr Duration kAgreeFor = Days(8);
inline constexpr size_t kBucketsMax =
    250;  // of a campaign in a partition: they are bytes. Contacts of further ones go by the tenant's clock
// A wall time that is longer past than this when a contact's turn comes: it gets no mail. Where late ones are skipped: the second.
inline constexpr Duration kLateMax = Hours(24);
inline constexpr Duration kSkippedAfter = Seconds(15 * 60);

// Whether this campaign, launched now, waits for clocks: of each contact, or for the end of quiet hours.
bool GoesByClock(const task::Context& context, const v1::CampaignSpec& spec);

// What zones agree in, as text. `due`: when the campaign is due there; zero: at the start.
std::string AgreeIn(const schema::Zone& zone, Instant now, Instant due);

// The clocks of one slice of planning.
class Clocks {
 public:
  Clocks(const task::Context& context, uint64_t campaign_id, const v1::CampaignRun& run);
  // The bucket that a contact waits in; 0: it gets no mail, for this reason.
  struct Place {
    uint8_t bucket = 0;
    v1::SkipReason why = v1::SKIP_REASON_UNSPECIFIED;  // LATE, QUIET_HOURS
  };
  Place Of(const contacts::v1::Contact& contact);
  // Into which the new buckets, and how many had no zone of their own, are put.
  v1::ZonesPlanned& planned() { return planned_; }

 private:
  Place Of(const schema::Zone& zone);
  Place Find(const schema::Zone& zone);
  const task::Context& context_;
  const v1::CampaignRun& run_;
  const compliance::Quiet quiet_;
  const schema::Zone& tenants_;
  std::optional<schema::WallTime> wall_;                      // of a campaign that goes by each contact's own clock
  std::map<std::string, Place, std::less<>> by_zone_;         // as far as it was asked for
  std::map<std::string, uint8_t, std::less<>> by_agreement_;  // all
  v1::ZonesPlanned planned_;
};

}  // namespace maily::campaigns
