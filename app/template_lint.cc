// See template_lint.h.
#include "app/template_lint.h"

#include <algorithm>
#include <optional>
#include <string>

#include "processors/personalization/html_text.h"
#include "processors/personalization/partials.h"
#include "processors/personalization/template.h"
#include "processors/personalization/warnings.h"

namespace maily::app {
namespace {

using personalization::PartialSource;

// What to do, by the code of what is wrong; empty: the message says it.
std::string_view FixOf(std::string_view code) {
  if (code == "missing_unsubscribe_url") return "Put {{ unsubscribe_url }} at the foot, outside of conditions and loops.";
  if (code == "missing_postal_address") return "Put {{ postal_address }} at the foot, outside of conditions and loops.";
  if (code == "unknown_attribute") return "maily tenant register NAME --type text, or correct the name.";
  if (code == "circular_partial") return "Take the partial out of one of them.";
  return {};
}

bool IsBlank(const std::string& text) { return text.find_first_not_of(" \t\r\n") == std::string::npos; }

}  // namespace

std::vector<api::TemplateFinding> LintTemplate(const api::TemplateDraft& draft) {
  const personalization::FindPartial find = [&](std::string_view name) -> std::optional<personalization::PartialTexts> {
    const auto found = std::ranges::find(draft.partials, name, &api::TemplateDraft::Partial::name);
    if (found == draft.partials.end()) return std::nullopt;
    return personalization::PartialTexts{found->html, found->text};
  };
  personalization::Source source{draft.subject, draft.html, draft.text, draft.preheader, draft.from_name, {}};
  std::vector<personalization::Violation> violations;
  std::vector<PartialSource> partials;
  for (const std::string& name : personalization::PartialsOf(source, find, violations)) {
    const auto one = std::ranges::find(draft.partials, name, &api::TemplateDraft::Partial::name);
    partials.push_back({one->name, one->html, one->text});
  }
  source.partials = partials;
  if (violations.empty()) {
    violations = personalization::Lint(
        source, [&](std::string_view name) { return std::ranges::find(draft.attributes, name) != draft.attributes.end(); });
  }
  std::vector<api::TemplateFinding> findings;
  for (personalization::Violation& violation : violations) {
    const std::string fix(FixOf(violation.code));
    findings.push_back({true, {std::move(violation.code), violation.Place(), std::move(violation.message), fix}});
  }
  for (auto& one : personalization::WarningsOf(draft.html))
    findings.push_back({false, {std::move(one.code), std::move(one.place), std::move(one.message), std::move(one.fix)}});
  if (IsBlank(draft.text) && !IsBlank(draft.html) && IsBlank(personalization::TextFromHtml(draft.html))) {
    findings.push_back(
        {false, {"empty_text", "text", "There is no text part, and none can be made: the HTML has no words.", "Write a text part."}});
  }
  if (IsBlank(draft.preheader) && !IsBlank(draft.html)) {
    findings.push_back({false,
                        {"no_preheader", "preheader", "Lists of mails show the first words of the mail behind the subject.",
                         "Give a preheader of 40 to 100 characters."}});
  }
  return findings;
}

}  // namespace maily::app
