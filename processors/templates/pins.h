// Versions that launches hold on to for arms with a template of their own: in every partition, as long as the campaign is there.
#pragma once

#include "maily/templates/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::templates {

// In each partition: what the home announced. A second copy changes nothing.
void Decide(task::Context& context, const v1::TemplatePinned& pinned);

void Evolve(task::Fold& fold, const v1::TemplatePinned& event);
void Evolve(task::Fold& fold, const v1::PinnedTemplateHeld& event);

}  // namespace maily::templates
