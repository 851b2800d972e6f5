// Decides what is asked of templates, in the tenant's home.
#pragma once

#include "maily/templates/v1/commands.pb.h"
#include "streams/task/processor.h"

namespace maily::templates {

inline constexpr uint64_t kTemplatesMax = 10'000;  // of one tenant
inline constexpr size_t kNameBytesMax = 100;
// Of one version with its link table: a launch carries it to every partition as one command (command::kCommandBytesMax).
inline constexpr size_t kVersionBytesMax = 48 * 1024;
inline constexpr int kAssetsMax = 64;  // of one version, each use counted
inline constexpr int kVariantsMax = 32;
inline constexpr size_t kPartialBytesMax = 32 * 1024;  // with its text
inline constexpr uint64_t kPartialsOfTenantMax = 1'000;

// Where there is no text, it is made from the HTML (personalization/html_text.h); it has the opt-out and the postal address whenever the
// HTML has. Assets are found by their names, and the version holds which bytes those are. Answers template_id and version. Codes of
// refusal: "invalid_name", "template_invalid" (every violation with part, line and column), "unknown_attribute" (if nothing else is wrong;
// names the nearest registered one), "template_too_large", "too_many_templates", "asset_missing" (each with its place), "too_many_assets",
// "mail_too_large", "template_archived" (the one of that name is).
// Partials that it takes in are resolved now and stand in the version. "invalid_variants" besides: a locale that is none, twice, without
// the parts of the template, or no attribute that says who reads which.
void Decide(task::Context& context, const v1::SaveTemplate& command);
// Answers name and version. "invalid_name", "partial_invalid" (every violation with part, line and column: what it takes in is missing, or
// a circle), "partial_too_large", "too_many_partials".
void Decide(task::Context& context, const v1::PutPartial& command);
// "partial_not_found".
void Decide(task::Context& context, const v1::ArchivePartial& command);

}  // namespace maily::templates
