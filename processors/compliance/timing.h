// When marketing mail may go to a contact: quiet hours and caps, on the contact's own clock.
//
// Pure. Instants and days as in schemas/wall_time.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "schemas/wall_time.h"

namespace maily::compliance {

// The attribute that says in which zone a contact lives: a text that is not personal, an IANA name.
inline constexpr std::string_view kZoneAttribute = "time_zone";

// Its own zone; null: it has none, or one that nobody knows.
const schema::Zone* OwnZone(const contacts::v1::Contact& contact);
// The tenant's; UTC if it has none.
const schema::Zone& ZoneOf(const campaigns::v1::SendingRules* rules);

// Those of a tenant and of a campaign hold both; each may be null, or none.
class Quiet {
 public:
  Quiet(const campaigns::v1::SendingRules* rules, const campaigns::v1::CampaignSpec& spec);
  bool any() const { return tenant_ || campaign_; }
  // When they end that hold now in this zone; none: they do not hold. Hours that leave no minute of the day end after a day.
  std::optional<Instant> Until(const schema::Zone& zone, Instant now) const;
  // The first instant from `at` on at which they do not hold.
  Instant Open(const schema::Zone& zone, Instant at) const { return Until(zone, at).value_or(at); }

 private:
  std::optional<tenants::v1::QuietHours> tenant_;
  std::optional<tenants::v1::QuietHours> campaign_;
};

// What a campaign that quiet hours put off for longer than this is: stale.
inline constexpr Duration kTtl = Hours(72);
inline constexpr uint32_t kTtlMinutesMax = 30 * 24 * 60;
Duration TtlOf(const campaigns::v1::CampaignSpec& spec);

inline constexpr uint32_t kCapMax = 255;  // a byte a day; tenants are refused more

// Whether one more mail on this day would be more than the cap. `mails` null: there was none. A day before the newest that counted is taken
// for that one: a contact that travels west has no day twice.
bool CapReached(const tenants::v1::FrequencyCap& cap, const sends::v1::ContactMails* mails, int32_t day);
// Takes one of this day back, if that counts yet.
void UncountMail(sends::v1::ContactMails& mails, int32_t day);
// One more on this day.
void CountMail(sends::v1::ContactMails& mails, int32_t day);

}  // namespace maily::compliance
