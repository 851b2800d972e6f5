// See arm_templates.h.
#include "processors/campaigns/arm_templates.h"

#include <fmt/format.h>

#include <algorithm>

#include "maily/templates/v1/state.pb.h"
#include "processors/audience/arm_mail.h"
#include "processors/campaigns/decide.h"
#include "processors/personalization/mail_size.h"
#include "processors/personalization/template.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::campaigns {
namespace {

using templates::v1::Template;

bool Names(const v1::CampaignSpec& spec, uint64_t template_id) {
  return spec.template_id() == template_id ||
         std::ranges::any_of(spec.arms(), [&](const v1::Arm& arm) { return arm.template_id() == template_id; });
}

// What the partitions need of the version: without what its HTML was compiled from, and with the attributes that the subjects and the names
// in From of its mails are made of.
templates::v1::TemplateVersion Carried(const templates::v1::TemplateVersion& version, uint64_t template_id, const v1::CampaignSpec& spec) {
  templates::v1::TemplateVersion carried = version;
  carried.clear_mjml();
  for (templates::v1::TemplateVariant& variant : *carried.mutable_variants()) variant.clear_mjml();
  const auto name = [&](const std::string& subject, const std::string& from_name) {
    const personalization::Source source{
        .subject = subject, .html = {}, .text = {}, .preheader = {}, .from_name = from_name, .partials = {}};
    for (std::string& attribute : personalization::Parse(source).attributes) {
      if (std::ranges::find(carried.attributes(), attribute) == carried.attributes().end())
        *carried.add_attributes() = std::move(attribute);
    }
  };
  name({}, spec.from_name());
  for (const v1::Arm& arm : spec.arms()) {
    if ((audience::HasOwnTemplate(spec, arm) ? arm.template_id() : spec.template_id()) == template_id) name(arm.subject(), arm.from_name());
  }
  return carried;
}

}  // namespace

std::vector<compliance::UsedTemplate> TemplatesOf(const task::Context& context, const v1::CampaignSpec& spec) {
  std::vector<compliance::UsedTemplate> all;
  const auto add = [&](std::string path, uint64_t id) {
    compliance::UsedTemplate& used = all.emplace_back(compliance::UsedTemplate{.path = std::move(path), .id = id});
    const auto* saved = context.view<Template>().Find(state::Key(context.tenant(), id));
    if (saved == nullptr || saved->versions().empty()) return;
    used.version = &saved->versions(saved->versions_size() - 1);
    used.archived = saved->archived();
  };
  add("/template_id", spec.template_id());
  for (const uint64_t id : audience::OwnTemplates(spec)) {
    const auto arm = std::ranges::find(spec.arms(), id, &v1::Arm::template_id);
    add(fmt::format("/arms/{}/template_id", arm - spec.arms().begin()), id);
  }
  return all;
}

void CheckTemplates(const task::Context& context, const v1::CampaignSpec& spec, const v1::CampaignSpec& before, Wrong& wrong) {
  for (int i = 0; i < spec.arms_size(); ++i) {
    if (spec.arms(i).holdout() && spec.arms(i).template_id() != 0)
      wrong.emplace_back(fmt::format("/arms/{}/template_id", i), "a holdout gets no mail: it has no template");
  }
  if (const size_t own = audience::OwnTemplates(spec).size(); own > kArmTemplatesMax)
    wrong.emplace_back("/arms", fmt::format("arms have {} templates of their own, more than {}", own, kArmTemplatesMax));
  for (const compliance::UsedTemplate& used : TemplatesOf(context, spec)) {
    if (used.archived && !Names(before, used.id))
      wrong.emplace_back(used.path,
                         fmt::format("template {0} is archived: restore it (maily template restore {0}), or take another", used.id));
  }
}

std::vector<compliance::Objection> TooLargeMails(const std::vector<compliance::UsedTemplate>& templates, uint64_t bytes_max) {
  std::vector<compliance::Objection> wrong;
  for (const compliance::UsedTemplate& used : templates) {
    const uint64_t bytes = used.version == nullptr || bytes_max == 0 ? 0 : personalization::MailBytes(*used.version);
    if (bytes <= bytes_max) continue;
    wrong.push_back({used.path, "mail_too_large",
                     fmt::format("each mail of template {} would have {} bytes, more than {} (mail_kb_max)", used.id, bytes, bytes_max)});
  }
  return wrong;
}

void PinTemplates(const std::vector<compliance::UsedTemplate>& templates, Launching& into) {
  const v1::CampaignSpec& spec = into.launched.spec();
  uint32_t links = 0;
  for (const compliance::UsedTemplate& used : templates) {
    templates::v1::TemplateVersion carried = Carried(*used.version, used.id, spec);
    const auto count = static_cast<uint32_t>(carried.links_size());
    if (used.id == spec.template_id()) {
      *into.launched.mutable_template_version() = std::move(carried);
    } else {
      templates::v1::TemplatePinned& pinned = into.pinned.emplace_back();
      pinned.set_campaign_id(into.launched.campaign_id());
      pinned.set_template_id(used.id);
      pinned.set_first_link(links);
      *pinned.mutable_version() = std::move(carried);
    }
    links += count;
  }
  into.launched.set_links(links);
}

std::optional<compliance::Objection> TooLarge(const Launching& launching) {
  const size_t bytes = launching.launched.ByteSizeLong();
  if (bytes > kLaunchBytesMax) {
    return compliance::Objection{"", "campaign_too_large",
                                 fmt::format("with its template it has {} bytes, more than {}", bytes, kLaunchBytesMax)};
  }
  size_t sum = 0;
  for (const templates::v1::TemplatePinned& pinned : launching.pinned) {
    if (pinned.ByteSizeLong() > kLaunchBytesMax) {
      return compliance::Objection{"/arms", "campaign_too_large",
                                   fmt::format("with the names of its arms, template {} has {} bytes, more than {}", pinned.template_id(),
                                               pinned.ByteSizeLong(), kLaunchBytesMax)};
    }
    sum += pinned.ByteSizeLong();
  }
  if (sum <= kPinnedBytesMax) return std::nullopt;
  return compliance::Objection{"/arms", "campaign_too_large",
                               fmt::format("the templates that arms have of their own have {} bytes together, more than {}: take fewer, or "
                                           "leave out what they share (images by their addresses, styles)",
                                           sum, kPinnedBytesMax)};
}

void EmitLaunch(task::Context& context, const Launching& launching) {
  for (const templates::v1::TemplatePinned& pinned : launching.pinned) context.Emit(pinned);
  context.Emit(launching.launched);
}

}  // namespace maily::campaigns
