// See evolve.h.
#include "processors/templates/evolve.h"

#include <set>
#include <string_view>

#include "maily/templates/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::templates {

void Evolve(task::Fold& fold, const v1::TemplateSaved& event) {
  v1::Template& saved = fold.table<v1::Template>().Edit(state::Key(fold.tenant(), event.template_id()));
  *saved.add_versions() = event.version();
  if (saved.versions_size() > kVersionsKept) saved.mutable_versions()->DeleteSubrange(0, saved.versions_size() - kVersionsKept);
  std::set<std::string_view> assets;  // one may be used in more than one way
  for (const v1::UsedAsset& used : event.version().assets()) assets.insert(used.asset());
  for (const std::string_view asset : assets) {
    v1::TemplateAsset& of = fold.table<v1::TemplateAsset>().Edit(state::Key(fold.tenant(), event.template_id(), asset));
    of.set_versions(of.versions() + 1);
  }
  if (event.version().number() > 1) return;
  fold.table<v1::TemplateName>().Edit(state::Key(fold.tenant(), event.version().name())).set_template_id(event.template_id());
  fold.table<v1::TemplateCounter>().Edit(state::Key(fold.tenant())).set_last_template_id(event.template_id());
}

void Evolve(task::Fold& fold, const v1::PartialPut& event) {
  v1::Partial& partial = fold.table<v1::Partial>().Edit(state::Key(fold.tenant(), event.name()));
  partial.set_version(event.version());
  partial.set_html(event.html());
  partial.set_text(event.text());
  partial.set_text_made(event.text_made());
  partial.set_archived(false);
  if (event.version() > 1) return;
  v1::PartialCounter& counter = fold.table<v1::PartialCounter>().Edit(state::Key(fold.tenant()));
  counter.set_partials(counter.partials() + 1);
}

void Evolve(task::Fold& fold, const v1::PartialArchived& event) {
  fold.table<v1::Partial>().Edit(state::Key(fold.tenant(), event.name())).set_archived(true);
}

}  // namespace maily::templates
