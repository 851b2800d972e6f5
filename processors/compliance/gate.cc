// See gate.h.
#include "processors/compliance/gate.h"

#include <algorithm>

#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::compliance {

bool IsMember(const lists::v1::Subscriber* subscriber, uint64_t list_id) {
  if (list_id == 0) return true;
  return subscriber != nullptr && std::binary_search(subscriber->list_ids().begin(), subscriber->list_ids().end(), list_id);
}

bool IsUnsubscribed(const lists::v1::Subscriber* subscriber) { return subscriber != nullptr && subscriber->unsubscribed_at_us() != 0; }

bool IsUnconfirmed(const lists::v1::Subscriber* subscriber, uint64_t list_id) {
  if (subscriber == nullptr || subscriber->pending_list_ids().empty()) return false;
  if (list_id == 0) return subscriber->list_ids().empty();
  return std::binary_search(subscriber->pending_list_ids().begin(), subscriber->pending_list_ids().end(), list_id);
}

bool DomainGate::Holds(std::string_view domain_key) {
  if (!any_) any_ = counters_.Find(state::Key(tenant_)) != nullptr;
  if (!*any_ || domain_key.empty()) return false;
  if (domain_key == last_) return last_holds_;
  const auto* entry = domains_.Find(state::Key(tenant_, domain_key));
  last_holds_ = entry != nullptr && Covers(entry->stream(), sent_);
  last_ = domain_key;
  return last_holds_;
}

bool IsSuppressed(const state::View<suppressions::v1::Suppression>& suppressions, TenantId tenant, std::string_view contact_key,
                  suppressions::v1::Stream sent) {
  const auto* entry = suppressions.Find(state::Key(tenant, contact_key));
  return entry != nullptr && Covers(entry->stream(), sent);
}

Standing Look(const state::View<lists::v1::Subscriber>& subscribers, const state::View<suppressions::v1::Suppression>& suppressions,
              TenantId tenant, uint64_t ordinal, std::string_view contact_key, uint64_t list_id, suppressions::v1::Stream sent) {
  const lists::v1::Subscriber* subscriber = subscribers.Find(state::Key(tenant, ordinal));
  return {.member = IsMember(subscriber, list_id),
          .unsubscribed = IsUnsubscribed(subscriber),
          .suppressed = IsSuppressed(suppressions, tenant, contact_key, sent),
          .unconfirmed = IsUnconfirmed(subscriber, list_id)};
}

campaigns::v1::SkipReason Gate(const Standing& standing) {
  if (standing.unsubscribed) return campaigns::v1::UNSUBSCRIBED;
  if (standing.unconfirmed) return campaigns::v1::UNCONFIRMED;
  if (!standing.member) return campaigns::v1::UNSUBSCRIBED;
  if (standing.suppressed) return campaigns::v1::SUPPRESSED;
  return campaigns::v1::SKIP_REASON_UNSPECIFIED;
}

}  // namespace maily::compliance
