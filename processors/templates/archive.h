// Takes templates out of use: archived, nothing new is made of one and what runs goes on; deleted, it is gone, which only one can be that
// nothing uses. In the tenant's home.
#pragma once

#include "maily/templates/v1/commands.pb.h"
#include "maily/templates/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::templates {

// "template_not_found". Answers template_id.
void Decide(task::Context& context, const v1::ArchiveTemplate& command);
// "template_not_found". Answers template_id.
void Decide(task::Context& context, const v1::RestoreTemplate& command);
// "template_not_found"; "template_in_use": the message says who uses it.
void Decide(task::Context& context, const v1::DeleteTemplate& command);

void Evolve(task::Fold& fold, const v1::TemplateArchived& event);
void Evolve(task::Fold& fold, const v1::TemplateDeleted& event);

}  // namespace maily::templates
