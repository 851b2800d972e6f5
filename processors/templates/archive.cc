// See archive.h.
#include "processors/templates/archive.h"

#include <fmt/format.h>

#include "maily/templates/v1/state.pb.h"
#include "processors/templates/uses.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::templates {
namespace {

using journal::Outcome;

// Null: there is none, and the command was refused.
const v1::Template* TemplateOrRefuse(task::Context& context, uint64_t template_id) {
  const auto* found = context.view<v1::Template>().Find(state::Key(context.tenant(), template_id));
  if (found == nullptr) context.Refuse(Outcome::kNotFound, "template_not_found", fmt::format("there is no template {}", template_id));
  return found;
}

enum class To { kArchived, kInUse };

void Move(task::Context& context, uint64_t template_id, To to) {
  const v1::Template* found = TemplateOrRefuse(context, template_id);
  if (found == nullptr) return;
  context.Answer("template_id", template_id);
  if (found->archived() == (to == To::kArchived)) return context.Unchanged();
  v1::TemplateArchived archived;
  archived.set_template_id(template_id);
  archived.set_restored(to == To::kInUse);
  context.Emit(archived);
}

}  // namespace

void Decide(task::Context& context, const v1::ArchiveTemplate& command) { Move(context, command.template_id(), To::kArchived); }
void Decide(task::Context& context, const v1::RestoreTemplate& command) { Move(context, command.template_id(), To::kInUse); }

void Decide(task::Context& context, const v1::DeleteTemplate& command) {
  const v1::Template* found = TemplateOrRefuse(context, command.template_id());
  if (found == nullptr) return;
  if (const std::string users = UsersOf(context, command.template_id()); !users.empty()) {
    return context.Refuse(Outcome::kConflict, "template_in_use",
                          fmt::format("template {0} is used by {1}: archive it instead (maily template archive {0}), and nothing new can "
                                      "be made of it",
                                      command.template_id(), users));
  }
  v1::TemplateDeleted deleted;
  deleted.set_template_id(command.template_id());
  deleted.set_name(found->versions(found->versions_size() - 1).name());
  context.Emit(deleted);
}

void Evolve(task::Fold& fold, const v1::TemplateArchived& event) {
  fold.table<v1::Template>().Edit(state::Key(fold.tenant(), event.template_id())).set_archived(!event.restored());
}

// What it says of its assets stays: the assets are told by it how many uses they lose, and its id is never used again.
void Evolve(task::Fold& fold, const v1::TemplateDeleted& event) {
  fold.table<v1::Template>().Erase(state::Key(fold.tenant(), event.template_id()));
  fold.table<v1::TemplateName>().Erase(state::Key(fold.tenant(), event.name()));
}

}  // namespace maily::templates
