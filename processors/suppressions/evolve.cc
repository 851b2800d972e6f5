// See evolve.h.
#include "processors/suppressions/evolve.h"

#include "maily/suppressions/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::suppressions {

void Evolve(task::Fold& fold, const v1::SuppressionAdded& event) {
  v1::Suppression& suppression = fold.table<v1::Suppression>().Edit(state::Key(fold.tenant(), event.contact_key()));
  suppression.set_reason(event.reason());
  suppression.set_added_at_us(fold.now().us);
}

void Evolve(task::Fold& fold, const v1::SuppressionRemoved& event) {
  fold.table<v1::Suppression>().Erase(state::Key(fold.tenant(), event.contact_key()));
}

}  // namespace maily::suppressions
