// May this mail go to this person now: nothing, or a reason. Asked when a campaign is planned, and again at every attempt.
//
// Pure; reads the state as decided so far.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "streams/base/ids.h"
#include "streams/state/table.h"

namespace maily::compliance {

// What counts about a person when the question is asked.
struct Standing {
  bool member = false;        // of the list that the campaign is for; true if it is for all contacts
  bool unsubscribed = false;  // opted out from all marketing
  bool suppressed = false;    // the address or its domain, for mails like this one
  bool unconfirmed = false;   // asked to confirm, and has not; never of a member of the list
};

// `subscriber`: null = a member of nothing who has not opted out. `list_id` 0 = all contacts.
bool IsMember(const lists::v1::Subscriber* subscriber, uint64_t list_id);
bool IsUnsubscribed(const lists::v1::Subscriber* subscriber);
// Whoever is on no list, and has yet to confirm that he wants to be on one, gets what goes to all contacts as little as what goes to it.
bool IsUnconfirmed(const lists::v1::Subscriber* subscriber, uint64_t list_id);

// Whether a suppression for the mails of `entry` stops one of `sent`. Asked for ALL: whether it stops every mail.
constexpr bool Covers(suppressions::v1::Stream entry, suppressions::v1::Stream sent) {
  return entry == suppressions::v1::ALL || entry == sent;
}
// Of which mails those of campaigns are.
inline constexpr suppressions::v1::Stream kCampaignStream = suppressions::v1::MARKETING;

// Whether a tenant suppresses a recipient's domain, for one decision. Of a tenant that suppresses none, the first question costs a look
// at one entry and the others nothing; the last answer is kept, since the recipients of a lane share their domain.
class DomainGate {
 public:
  DomainGate(const state::View<suppressions::v1::SuppressedDomain>& domains,
             const state::View<suppressions::v1::SuppressedDomainCounter>& counters, TenantId tenant, suppressions::v1::Stream sent)
      : domains_(domains), counters_(counters), tenant_(tenant), sent_(sent) {}
  // `domain_key` = schema::DomainKey of the domain; empty: not known, and not suppressed.
  bool Holds(std::string_view domain_key);

 private:
  const state::View<suppressions::v1::SuppressedDomain> domains_;
  const state::View<suppressions::v1::SuppressedDomainCounter> counters_;
  const TenantId tenant_;
  const suppressions::v1::Stream sent_;
  std::optional<bool> any_;
  std::string last_;
  bool last_holds_ = false;
};

bool IsSuppressed(const state::View<suppressions::v1::Suppression>& suppressions, TenantId tenant, std::string_view contact_key,
                  suppressions::v1::Stream sent);

// The domain is asked for by DomainGate.
Standing Look(const state::View<lists::v1::Subscriber>& subscribers, const state::View<suppressions::v1::Suppression>& suppressions,
              TenantId tenant, uint64_t ordinal, std::string_view contact_key, uint64_t list_id, suppressions::v1::Stream sent);

// SKIP_REASON_UNSPECIFIED: the mail may go. Whoever left the list since it was planned counts as unsubscribed.
campaigns::v1::SkipReason Gate(const Standing& standing);

}  // namespace maily::compliance
