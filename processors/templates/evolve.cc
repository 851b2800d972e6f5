// See evolve.h.
#include "processors/templates/evolve.h"

#include "maily/templates/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::templates {

void Evolve(task::Fold& fold, const v1::TemplateSaved& event) {
  v1::Template& saved = fold.table<v1::Template>().Edit(state::Key(fold.tenant(), event.template_id()));
  *saved.add_versions() = event.version();
  if (saved.versions_size() > kVersionsKept) saved.mutable_versions()->DeleteSubrange(0, saved.versions_size() - kVersionsKept);
  if (event.version().number() > 1) return;
  fold.table<v1::TemplateName>().Edit(state::Key(fold.tenant(), event.version().name())).set_template_id(event.template_id());
  fold.table<v1::TemplateCounter>().Edit(state::Key(fold.tenant())).set_last_template_id(event.template_id());
}

}  // namespace maily::templates
