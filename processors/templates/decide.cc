// See decide.h.
#include "processors/templates/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "maily/templates/v1/events.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "processors/personalization/links.h"
#include "processors/personalization/template.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::templates {
namespace {

using journal::Outcome;
using personalization::Violation;

constexpr size_t kViolationsShownMax = 50;

// Edits that turn one into the other (Levenshtein).
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

// The registered attribute whose name is nearest, or "email"; empty if none is near.
std::string_view Nearest(const tenants::v1::Tenant& tenant, std::string_view name) {
  std::string_view nearest;
  size_t least = name.size() / 2 + 1;
  const auto consider = [&](std::string_view known) {
    const size_t distance = Distance(known, name);
    if (distance < least) {
      least = distance;
      nearest = known;
    }
  };
  consider("email");
  for (const auto& attribute : tenant.attributes()) consider(attribute.name());
  return nearest;
}

bool IsRegistered(const tenants::v1::Tenant& tenant, std::string_view name) {
  return std::ranges::any_of(tenant.attributes(), [&](const auto& attribute) { return attribute.name() == name; });
}

void AnswerPlaces(task::Context& context, const std::vector<Violation>& violations) {
  std::vector<std::pair<std::string, std::string>> wrong;
  for (size_t i = 0; i < violations.size() && i < kViolationsShownMax; ++i)
    wrong.emplace_back(violations[i].Place(), violations[i].message);
  context.AnswerAll(wrong);
}

void RefuseAll(task::Context& context, const std::vector<Violation>& violations) {
  std::string all;
  for (size_t i = 0; i < violations.size() && i < kViolationsShownMax; ++i) all += (i == 0 ? "" : "; ") + violations[i].ToString();
  if (violations.size() > kViolationsShownMax) all += fmt::format("; and {} more", violations.size() - kViolationsShownMax);
  context.Refuse(Outcome::kInvalid, "template_invalid", all);
  AnswerPlaces(context, violations);
}

void RefuseUnknown(task::Context& context, const tenants::v1::Tenant& tenant, const personalization::Source& source,
                   const std::vector<Violation>& violations) {
  const auto attributes = personalization::Parse(source).attributes;
  std::string all;
  for (const std::string& name : attributes) {
    if (IsRegistered(tenant, name)) continue;
    const std::string_view nearest = Nearest(tenant, name);
    all += fmt::format("{}no attribute \"{}\" is registered", all.empty() ? "" : "; ", name);
    if (!nearest.empty()) all += fmt::format(", did you mean \"{}\"?", nearest);
  }
  context.Refuse(Outcome::kInvalid, "unknown_attribute", all);
  AnswerPlaces(context, violations);
}

bool SameContent(const v1::TemplateVersion& version, const v1::SaveTemplate& command) {
  return version.subject() == command.subject() && version.html() == command.html() && version.text() == command.text();
}

}  // namespace

void Decide(task::Context& context, const v1::SaveTemplate& command) {
  if (command.name().empty() || command.name().size() > kNameBytesMax) {
    return context.Refuse(Outcome::kInvalid, "invalid_name", fmt::format("a template's name has 1 to {} bytes", kNameBytesMax));
  }
  const auto* found = context.view<tenants::v1::Tenant>().Find(state::Key(context.tenant()));
  static const tenants::v1::Tenant kNew;
  const tenants::v1::Tenant& tenant = found == nullptr ? kNew : *found;
  const personalization::Source source{command.subject(), command.html(), command.text()};
  const auto violations = personalization::Lint(source, [&](std::string_view name) { return IsRegistered(tenant, name); });
  if (!violations.empty()) {
    const bool only_unknown =
        std::ranges::all_of(violations, [](const Violation& violation) { return violation.code == "unknown_attribute"; });
    return only_unknown ? RefuseUnknown(context, tenant, source, violations) : RefuseAll(context, violations);
  }

  const auto* name = context.view<v1::TemplateName>().Find(state::Key(context.tenant(), command.name()));
  uint64_t template_id = 0;
  uint32_t number = 1;
  if (name != nullptr) {
    template_id = name->template_id();
    const v1::Template* known = context.view<v1::Template>().Find(state::Key(context.tenant(), template_id));
    MAILY_CHECK(known != nullptr && known->versions_size() > 0, "template {} is named and not there", template_id);
    const v1::TemplateVersion& latest = known->versions(known->versions_size() - 1);
    if (SameContent(latest, command)) {
      context.Answer("template_id", template_id);
      context.Answer("version", uint64_t{latest.number()});
      return context.Unchanged();
    }
    number = latest.number() + 1;
  } else {
    const auto* counter = context.view<v1::TemplateCounter>().Find(state::Key(context.tenant()));
    template_id = counter == nullptr ? 1 : counter->last_template_id() + 1;
    if (template_id > kTemplatesMax) {
      return context.Refuse(Outcome::kInvalid, "too_many_templates", fmt::format("a tenant has at most {} templates", kTemplatesMax));
    }
  }
  v1::TemplateSaved saved;
  saved.set_template_id(template_id);
  v1::TemplateVersion& version = *saved.mutable_version();
  version.set_number(number);
  version.set_name(command.name());
  version.set_subject(command.subject());
  version.set_html(command.html());
  version.set_text(command.text());
  for (std::string& link : personalization::LinkTable(command.html(), command.text())) *version.add_links() = std::move(link);
  for (std::string& attribute : personalization::Parse(source).attributes) *version.add_attributes() = std::move(attribute);
  if (version.ByteSizeLong() > kVersionBytesMax) {
    return context.Refuse(Outcome::kInvalid, "template_too_large",
                          fmt::format("with its link table it has {} bytes, more than {}", version.ByteSizeLong(), kVersionBytesMax));
  }
  context.Emit(saved);
  context.Answer("template_id", template_id);
  context.Answer("version", uint64_t{number});
}

}  // namespace maily::templates
