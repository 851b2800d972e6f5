// May this mail go to this person now: nothing, or a reason. Asked when a campaign is planned, and again at every attempt.
//
// Pure; reads the state as decided so far.
#pragma once

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
  bool suppressed = false;
};

// `subscriber`: null = a member of nothing who has not opted out. `list_id` 0 = all contacts.
bool IsMember(const lists::v1::Subscriber* subscriber, uint64_t list_id);
bool IsUnsubscribed(const lists::v1::Subscriber* subscriber);

Standing Look(const state::View<lists::v1::Subscriber>& subscribers, const state::View<suppressions::v1::Suppression>& suppressions,
              TenantId tenant, uint64_t ordinal, std::string_view contact_key, uint64_t list_id);

// SKIP_REASON_UNSPECIFIED: the mail may go. Whoever left the list since it was planned counts as unsubscribed.
campaigns::v1::SkipReason Gate(const Standing& standing);

}  // namespace maily::compliance
