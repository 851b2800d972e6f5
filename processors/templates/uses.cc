// See uses.h.
#include "processors/templates/uses.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

#include "maily/templates/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::templates {
namespace {

std::string_view NameOf(uint64_t kind) {
  switch (kind) {
    case v1::USED_BY_CAMPAIGN:
      return "campaign";
    case v1::USED_BY_MESSAGES:
      return "messages of form";
    case v1::USED_BY_JOURNEY:
      return "journey";
    case v1::USED_BY_FORM:
      return "confirmations of form";
    default:
      return "something";
  }
}

// From now on `user` uses these, and no others.
void Uses(task::Fold& fold, v1::UserKind kind, uint64_t user, const std::set<uint64_t>& template_ids) {
  const auto number = static_cast<uint64_t>(kind);
  const std::string key = state::Key(fold.tenant(), number, user);
  auto users = fold.table<v1::TemplateUser>();
  auto uses = fold.table<v1::TemplateUse>();
  std::vector<uint64_t> before;
  if (const auto* known = users.Find(key)) before.assign(known->template_ids().begin(), known->template_ids().end());
  if (std::equal(before.begin(), before.end(), template_ids.begin(), template_ids.end())) return;
  for (const uint64_t id : before) {
    if (!template_ids.contains(id)) uses.Erase(state::Key(fold.tenant(), id, number, user));
  }
  for (const uint64_t id : template_ids) uses.Edit(state::Key(fold.tenant(), id, number, user)).set_used(true);
  if (template_ids.empty()) return users.Erase(key);
  users.Edit(key).mutable_template_ids()->Assign(template_ids.begin(), template_ids.end());
}

std::set<uint64_t> Of(const campaigns::v1::CampaignSpec& spec) {
  std::set<uint64_t> ids{spec.template_id()};
  for (const auto& arm : spec.arms()) ids.insert(arm.template_id());
  ids.erase(0);
  return ids;
}

}  // namespace

std::string UsersOf(const task::Context& context, uint64_t template_id) {
  const std::string prefix = state::Key(context.tenant(), template_id);
  std::string users;
  size_t named = 0;
  context.view<v1::TemplateUse>().Scan(prefix, {}, [&](std::string_view key, const v1::TemplateUse&) {
    if (++named > kUsersNamed) {
      users += " and others";
      return false;
    }
    Cursor rest(key.substr(prefix.size()));
    const auto kind = rest.Ordered<uint64_t>();
    users += fmt::format("{}{} {}", users.empty() ? "" : ", ", NameOf(kind), rest.Ordered<uint64_t>());
    return true;
  });
  return users;
}

void Evolve(task::Fold& fold, const campaigns::v1::CampaignCreated& event) {
  Uses(fold, v1::USED_BY_CAMPAIGN, event.campaign_id(), Of(event.spec()));
}
void Evolve(task::Fold& fold, const campaigns::v1::CampaignEdited& event) {
  Uses(fold, v1::USED_BY_CAMPAIGN, event.campaign_id(), Of(event.spec()));
}
void Evolve(task::Fold& fold, const campaigns::v1::CampaignDeleted& event) { Uses(fold, v1::USED_BY_CAMPAIGN, event.campaign_id(), {}); }

void Evolve(task::Fold& fold, const messages::v1::MessageFormMade& event) {
  if (event.form().template_id() != 0) Uses(fold, v1::USED_BY_MESSAGES, event.form_id(), {event.form().template_id()});
}

void Evolve(task::Fold& fold, const journeys::v1::JourneyDefined& event) {
  std::set<uint64_t> ids;
  for (const auto& step : event.version().definition().steps()) {
    if (step.has_send()) ids.insert(step.send().template_id());
  }
  ids.erase(0);
  Uses(fold, v1::USED_BY_JOURNEY, event.journey_id(), ids);
}
void Evolve(task::Fold& fold, const journeys::v1::JourneyArchived& event) { Uses(fold, v1::USED_BY_JOURNEY, event.journey_id(), {}); }

void Evolve(task::Fold& fold, const consents::v1::FormDefined& event) {
  const uint64_t id = event.spec().mail().template_id();
  Uses(fold, v1::USED_BY_FORM, event.form_id(), id == 0 ? std::set<uint64_t>() : std::set<uint64_t>{id});
}
void Evolve(task::Fold& fold, const consents::v1::FormArchived& event) { Uses(fold, v1::USED_BY_FORM, event.form_id(), {}); }

}  // namespace maily::templates
