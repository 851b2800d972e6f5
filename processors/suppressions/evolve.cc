// See evolve.h.
#include "processors/suppressions/evolve.h"

#include <algorithm>

#include "maily/messages/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "schemas/message_id.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::suppressions {
namespace {

v1::SuppressionHolds& HoldsOf(task::Fold& fold, const std::string& contact_key) {
  return fold.table<v1::SuppressionHolds>().Edit(state::Key(fold.tenant(), contact_key));
}

void HoldForGood(task::Fold& fold, const std::string& contact_key) {
  if (contact_key.empty()) return;
  v1::SuppressionHolds& holds = HoldsOf(fold, contact_key);
  holds.set_others(holds.others() + 1);
}

void HoldFor(task::Fold& fold, const std::string& contact_key, uint64_t campaign_id) {
  if (contact_key.empty()) return;
  v1::SuppressionHolds& holds = HoldsOf(fold, contact_key);
  if (std::ranges::find(holds.campaigns(), campaign_id) != holds.campaigns().end()) return;
  if (holds.campaigns_size() >= kCampaignsHeldMax) return holds.set_others(holds.others() + 1);
  holds.add_campaigns(campaign_id);
}

// Not what Maily learned from a refusal; the oldest events name no source.
bool IsOfSomebody(const v1::SuppressionAdded& event) {
  return event.source() != "bounce" && event.source() != "complaint" && !(event.source().empty() && event.reason() == "hard_bounce");
}

}  // namespace

void Evolve(task::Fold& fold, const v1::SuppressionAdded& event) {
  v1::Suppression& suppression = fold.table<v1::Suppression>().Edit(state::Key(fold.tenant(), event.contact_key()));
  suppression.set_reason(event.reason());
  suppression.set_added_at_us(fold.now().us);
  suppression.set_stream(event.stream());
  const std::string key = state::Key(fold.tenant(), event.contact_key());
  if (fold.table<v1::SoftBounces>().Find(key) != nullptr) fold.table<v1::SoftBounces>().Erase(key);
  if (IsOfSomebody(event)) HoldForGood(fold, event.contact_key());
}

void Evolve(task::Fold& fold, const v1::SuppressionUpheld& event) { HoldForGood(fold, event.contact_key()); }

void Evolve(task::Fold& fold, const v1::SoftBounceCounted& event) {
  v1::SoftBounces& bounces = fold.table<v1::SoftBounces>().Edit(state::Key(fold.tenant(), event.contact_key()));
  bounces.set_count(event.count());
  bounces.set_first_at_us(event.first_at_us());
  auto& delivered = *bounces.mutable_delivered();
  if (!schema::IsMessage(event.campaign_id())) {
    bounces.set_campaign_id(std::max(bounces.campaign_id(), event.campaign_id()));
    return delivered.Clear();
  }
  bounces.set_message_id(event.campaign_id());
  // Where campaigns stand is not known to who counts from a message on; the old place would let the same delivery begin every count anew.
  if (event.count() == 1) bounces.clear_campaign_id();
  delivered.erase(std::remove_if(delivered.begin(), delivered.end(), [&](uint64_t id) { return id < event.campaign_id(); }),
                  delivered.end());
}

namespace {

void GotThrough(task::Fold& fold, uint64_t mail) {
  if (!schema::IsMessage(mail)) return;
  const auto* message = fold.view<messages::v1::Message>().Find(state::Key(fold.tenant(), mail));
  if (message == nullptr) return;
  const std::string key = state::Key(fold.tenant(), message->contact_key());
  auto table = fold.table<v1::SoftBounces>();
  const v1::SoftBounces* known = table.Find(key);
  if (known == nullptr || mail <= known->message_id()) return;
  if (known->delivered_size() >= kDeliveredMax) return table.Erase(key);  // it takes mail: there is nothing to count
  table.Edit(key).add_delivered(mail);
}

// It had been handed over, and did not get there.
void Returned(task::Fold& fold, const std::string& contact_key, uint64_t mail) {
  if (contact_key.empty() || !schema::IsMessage(mail)) return;
  const std::string key = state::Key(fold.tenant(), contact_key);
  auto table = fold.table<v1::SoftBounces>();
  const v1::SoftBounces* known = table.Find(key);
  if (known == nullptr || std::ranges::find(known->delivered(), mail) == known->delivered().end()) return;
  auto& delivered = *table.Edit(key).mutable_delivered();
  delivered.erase(std::remove(delivered.begin(), delivered.end(), mail), delivered.end());
}

}  // namespace

void Evolve(task::Fold& fold, const sends::v1::AttemptDelivered& event) { GotThrough(fold, event.campaign_id()); }
void Evolve(task::Fold& fold, const sends::v1::UnknownResolved& event) {
  if (event.delivered()) GotThrough(fold, event.campaign_id());
}

void Evolve(task::Fold& fold, const v1::SuppressionRemoved& event) {
  const std::string key = state::Key(fold.tenant(), event.contact_key());
  fold.table<v1::Suppression>().Erase(key);
  if (fold.table<v1::SuppressionHolds>().Find(key) != nullptr) fold.table<v1::SuppressionHolds>().Erase(key);
}

void Evolve(task::Fold& fold, const v1::DomainSuppressionAdded& event) {
  const std::string key = state::Key(fold.tenant(), event.domain());
  auto counters = fold.table<v1::DomainSuppressionCounter>();
  if (fold.table<v1::DomainSuppression>().Find(key) == nullptr) {
    v1::DomainSuppressionCounter& counter = counters.Edit(state::Key(fold.tenant()));
    counter.set_domains(counter.domains() + 1);
  }
  v1::DomainSuppression& suppression = fold.table<v1::DomainSuppression>().Edit(key);
  suppression.set_stream(event.stream());
  suppression.set_domain_key(event.domain_key());
}

void Evolve(task::Fold& fold, const v1::DomainSuppressionRemoved& event) {
  fold.table<v1::DomainSuppression>().Erase(state::Key(fold.tenant(), event.domain()));
  v1::DomainSuppressionCounter& counter = fold.table<v1::DomainSuppressionCounter>().Edit(state::Key(fold.tenant()));
  counter.set_domains(counter.domains() - 1);
}

void Evolve(task::Fold& fold, const v1::SuppressedDomainChanged& event) {
  const std::string key = state::Key(fold.tenant(), event.domain_key());
  const std::string tenant = state::Key(fold.tenant());
  auto domains = fold.table<v1::SuppressedDomain>();
  auto counters = fold.table<v1::SuppressedDomainCounter>();
  const bool known = domains.Find(key) != nullptr;
  if (event.suppressed()) {
    domains.Edit(key).set_stream(event.stream());
    if (known) return;
    v1::SuppressedDomainCounter& counter = counters.Edit(tenant);
    counter.set_domains(counter.domains() + 1);
  } else if (known) {
    domains.Erase(key);
    v1::SuppressedDomainCounter& counter = counters.Edit(tenant);
    counter.set_domains(counter.domains() - 1);
    if (counter.domains() == 0) counters.Erase(tenant);
  }
}

void Evolve(task::Fold& fold, const sends::v1::AttemptBounced& event) {
  if (event.recipient_invalid()) HoldFor(fold, event.contact_key(), event.campaign_id());
}
void Evolve(task::Fold& fold, const sends::v1::BounceReceived& event) {
  Returned(fold, event.contact_key(), event.campaign_id());
  if (event.recipient_invalid()) HoldForGood(fold, event.contact_key());
}
void Evolve(task::Fold& fold, const sends::v1::ComplaintReceived& event) { HoldForGood(fold, event.contact_key()); }

void Evolve(task::Fold& fold, const sends::v1::BounceReclassified& event) {
  if (event.contact_key().empty() || event.was().recipient_invalid() == event.now().recipient_invalid()) return;
  if (event.now().recipient_invalid()) return HoldFor(fold, event.contact_key(), event.campaign_id());
  const std::string key = state::Key(fold.tenant(), event.contact_key());
  auto table = fold.table<v1::SuppressionHolds>();
  if (table.Find(key) == nullptr) return;
  auto& campaigns = *table.Edit(key).mutable_campaigns();
  campaigns.erase(std::remove(campaigns.begin(), campaigns.end(), event.campaign_id()), campaigns.end());
  const v1::SuppressionHolds* left = table.Find(key);
  if (left->campaigns().empty() && left->others() == 0) table.Erase(key);
}

}  // namespace maily::suppressions
