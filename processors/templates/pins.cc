// See pins.h.
#include "processors/templates/pins.h"

#include "maily/templates/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::templates {

void Decide(task::Context& context, const v1::TemplatePinned& pinned) {
  const std::string key = state::Key(context.tenant(), pinned.campaign_id(), pinned.template_id());
  if (context.view<v1::PinnedTemplate>().Find(key) != nullptr) return context.Unchanged();
  v1::PinnedTemplateHeld held;
  held.set_campaign_id(pinned.campaign_id());
  held.set_template_id(pinned.template_id());
  held.set_first_link(pinned.first_link());
  *held.mutable_version() = pinned.version();
  context.Emit(held);
}

void Evolve(task::Fold& /*fold*/, const v1::TemplatePinned& /*event*/) {}  // each partition holds it for itself
void Evolve(task::Fold& fold, const v1::PinnedTemplateHeld& event) {
  v1::PinnedTemplate& pinned = fold.table<v1::PinnedTemplate>().Edit(state::Key(fold.tenant(), event.campaign_id(), event.template_id()));
  *pinned.mutable_version() = event.version();
  pinned.set_first_link(event.first_link());
}

}  // namespace maily::templates
