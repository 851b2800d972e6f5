// See evolve.h.
#include "processors/suppressions/evolve.h"

#include <algorithm>

#include "maily/suppressions/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::suppressions {

void Evolve(task::Fold& fold, const v1::SuppressionAdded& event) {
  v1::Suppression& suppression = fold.table<v1::Suppression>().Edit(state::Key(fold.tenant(), event.contact_key()));
  suppression.set_reason(event.reason());
  suppression.set_added_at_us(fold.now().us);
  const std::string key = state::Key(fold.tenant(), event.contact_key());
  if (fold.table<v1::SoftBounces>().Find(key) != nullptr) fold.table<v1::SoftBounces>().Erase(key);
}

void Evolve(task::Fold& fold, const v1::SoftBounceCounted& event) {
  v1::SoftBounces& bounces = fold.table<v1::SoftBounces>().Edit(state::Key(fold.tenant(), event.contact_key()));
  bounces.set_count(event.count());
  bounces.set_first_at_us(event.first_at_us());
  bounces.set_campaign_id(std::max(bounces.campaign_id(), event.campaign_id()));
}

void Evolve(task::Fold& fold, const v1::SuppressionRemoved& event) {
  fold.table<v1::Suppression>().Erase(state::Key(fold.tenant(), event.contact_key()));
}

}  // namespace maily::suppressions
