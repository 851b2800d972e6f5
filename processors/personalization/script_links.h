// Addresses in HTML that would run something. Pure; thread: any.
#pragma once

#include <string_view>
#include <vector>

#include "processors/personalization/template.h"

namespace maily::personalization {

// Each href, src, action, formaction or background whose address begins with javascript:, vbscript: or data:text/, however it is spelled,
// and each <script> but data (application/ld+json), as "script_link" of the HTML. What values would make of an address is seen when they
// are filled in (docs/liquid.md).
std::vector<Violation> ScriptLinks(std::string_view html);

}  // namespace maily::personalization
