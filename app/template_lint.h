// Looks at a template before it is saved, for the API.
#pragma once

#include <vector>

#include "api/api.h"

namespace maily::app {

// As api::Dependencies::lint_template wants it: first what would keep it from being saved, then what its author may want to change. Pure.
std::vector<api::TemplateFinding> LintTemplate(const api::TemplateDraft& draft);

}  // namespace maily::app
