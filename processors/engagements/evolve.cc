// See evolve.h.
#include "processors/engagements/evolve.h"

#include "maily/engagements/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::engagements {
namespace {

v1::EngagementCounts& Counts(task::Fold& fold, uint64_t campaign_id) {
  return fold.table<v1::EngagementCounts>().Edit(state::Key(fold.tenant(), campaign_id));
}

}  // namespace

void Evolve(task::Fold& fold, const v1::Opened& event) {
  v1::EngagementCounts& counts = Counts(fold, event.campaign_id());
  counts.set_opens(counts.opens() + 1);
}

void Evolve(task::Fold& fold, const v1::Clicked& event) {
  v1::EngagementCounts& counts = Counts(fold, event.campaign_id());
  counts.set_clicks(counts.clicks() + 1);
}

void Evolve(task::Fold& fold, const v1::Unsubscribed& event) {
  if (event.campaign_id() == 0) return;  // of no campaign's mail
  v1::EngagementCounts& counts = Counts(fold, event.campaign_id());
  counts.set_unsubscribes(counts.unsubscribes() + 1);
}

void Evolve(task::Fold&, const v1::ContactEventRecorded&) {}
void Evolve(task::Fold&, const v1::HoneypotFollowed&) {}

}  // namespace maily::engagements
