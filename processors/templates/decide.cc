// See decide.h.
#include "processors/templates/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "maily/assets/v1/state.pb.h"
#include "maily/templates/v1/events.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "processors/personalization/asset_refs.h"
#include "processors/personalization/html_text.h"
#include "processors/personalization/links.h"
#include "processors/personalization/mail_size.h"
#include "processors/personalization/template.h"
#include "schemas/asset_store.h"
#include "schemas/media.h"
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

// What only marketing mail must have.
bool IsOfMarketing(const Violation& violation) {
  return violation.code == "missing_unsubscribe_url" || violation.code == "missing_postal_address";
}

bool SameContent(const v1::TemplateVersion& a, const v1::TemplateVersion& b) {
  return a.subject() == b.subject() && a.html() == b.html() && a.text() == b.text() && a.text_made() == b.text_made() &&
         a.transactional() == b.transactional() && std::ranges::equal(a.assets(), b.assets(), [](const auto& x, const auto& y) {
           return x.SerializeAsString() == y.SerializeAsString();
         });
}

// What the HTML says must not be lost to those who read text: with the opt-out and the address that the HTML has.
std::string MadeText(const std::string& html) {
  std::string text = personalization::TextFromHtml(html);
  const personalization::Parsed of_html = personalization::Parse({.subject = {}, .html = html, .text = {}});
  const personalization::Parsed of_text = personalization::Parse({.subject = {}, .html = {}, .text = text});
  if (of_html.html_has_postal_address && !of_text.text_has_postal_address) text += "{{ postal_address }}\n";
  if (of_html.html_has_unsubscribe_url && !of_text.text_has_unsubscribe_url) text += "{{ unsubscribe_url }}\n";
  return text;
}

// Finds the assets that a version needs.
class AssetFinder {
 public:
  AssetFinder(task::Context& context, v1::TemplateVersion& version) : context_(context), version_(version) {}

  // `name` stands for it at `place`.
  void Use(std::string_view name, const std::string& place, v1::UsedAsset::Use use, std::string_view file_name = {}) {
    const auto* named = context_.view<assets::v1::AssetName>().Find(state::Key(context_.tenant(), name));
    if (named == nullptr) {
      return Wrong(place,
                   fmt::format("there is no asset \"{}\"; upload it first (POST /v1/assets), or correct the name", name.substr(0, 100)));
    }
    UseBytes(std::string(named->asset()), name, place, use, file_name);
  }
  void UseBytes(const std::string& digest, std::string_view name, const std::string& place, v1::UsedAsset::Use use,
                std::string_view file_name = {}) {
    const auto* asset = context_.view<assets::v1::Asset>().Find(state::Key(context_.tenant(), digest));
    if (asset == nullptr) return Wrong(place, "there is no asset with this address; upload it first (POST /v1/assets)");
    const std::string own(name.empty() ? std::string_view(asset->name()) : name);
    if (asset->archived()) return Wrong(place, fmt::format("the asset \"{}\" is archived; restore it, or use another one", own));
    if (use == v1::UsedAsset::RELATED && !asset->content_type().starts_with("image/"))
      return Wrong(place, fmt::format("the asset \"{}\" is no image but {}; attach it instead", own, asset->content_type()));
    const std::string shown(file_name.empty() ? std::string_view(own) : file_name);
    if (const auto fits = schema::FileName::Parse(shown); !fits) return Wrong(place, fits.error().message);
    for (const v1::UsedAsset& used : version_.assets()) {
      if (used.asset() == digest && used.use() == use && (use != v1::UsedAsset::ATTACHED ? used.name() == own : used.file_name() == shown))
        return;
    }
    v1::UsedAsset& used = *version_.add_assets();
    used.set_asset(digest);
    used.set_name(own);
    used.set_content_type(asset->content_type());
    used.set_size(asset->size());
    used.set_use(use);
    used.set_file_name(shown);
  }
  const std::vector<std::pair<std::string, std::string>>& wrong() const { return wrong_; }

 private:
  void Wrong(const std::string& place, std::string what) {
    if (wrong_.size() < kViolationsShownMax) wrong_.emplace_back(place, std::move(what));
  }

  task::Context& context_;
  v1::TemplateVersion& version_;
  std::vector<std::pair<std::string, std::string>> wrong_;
};

std::string PlaceInHtml(std::string_view html, size_t offset) {
  const std::string_view before = html.substr(0, offset);
  const size_t line = static_cast<size_t>(std::ranges::count(before, '\n')) + 1;
  const std::string_view last = before.substr(before.rfind('\n') + 1);
  const auto column = std::ranges::count_if(last, [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }) + 1;
  return fmt::format("html:{}:{}", line, column);
}

// False: the command was refused.
bool AddAssets(task::Context& context, const v1::SaveTemplate& command, v1::TemplateVersion& version) {
  AssetFinder finder(context, version);
  const auto refs = personalization::FindAssetRefs(command.html());
  if (refs.size() > personalization::kPlaceholdersMax || command.attachments_size() > kAssetsMax) {
    context.Refuse(Outcome::kInvalid, "too_many_assets", fmt::format("a version has at most {} assets", kAssetsMax));
    return false;
  }
  for (const personalization::AssetRef& ref : refs) {
    finder.Use(ref.name, PlaceInHtml(command.html(), ref.offset),
               ref.kind == personalization::AssetRef::Kind::kEnclosed ? v1::UsedAsset::RELATED : v1::UsedAsset::HOSTED);
  }
  for (const auto& [part, text] : {std::pair("html", &command.html()), std::pair("text", &command.text())}) {
    for (const std::string& id : personalization::FindHostedIds(*text, context.tenant().value()))
      finder.UseBytes(schema::AssetDigest(id), {}, part, v1::UsedAsset::HOSTED);
  }
  for (int i = 0; i < command.attachments_size(); ++i) {
    const v1::Attachment& attachment = command.attachments(i);
    finder.Use(attachment.asset(), fmt::format("/attachments/{}", i), v1::UsedAsset::ATTACHED, attachment.file_name());
  }
  if (!finder.wrong().empty()) {
    std::string all;
    for (const auto& [place, what] : finder.wrong()) all += fmt::format("{}{}: {}", all.empty() ? "" : "; ", place, what);
    context.Refuse(Outcome::kInvalid, "asset_missing", all);
    context.AnswerAll(finder.wrong());
    return false;
  }
  if (version.assets_size() > kAssetsMax) {
    context.Refuse(Outcome::kInvalid, "too_many_assets",
                   fmt::format("it uses {} assets, and a version has at most {}", version.assets_size(), kAssetsMax));
    return false;
  }
  const uint64_t bytes = personalization::MailBytes(version);
  if (command.mail_bytes_max() != 0 && bytes > command.mail_bytes_max()) {
    context.Refuse(Outcome::kInvalid, "mail_too_large",
                   fmt::format("with its images and attachments each mail would have {} bytes, more than {} (mail_kb_max): host the images "
                               "(asset:NAME) instead of enclosing them, or link to the file",
                               bytes, command.mail_bytes_max()));
    return false;
  }
  return true;
}

}  // namespace

void Decide(task::Context& context, const v1::SaveTemplate& command) {
  if (command.name().empty() || command.name().size() > kNameBytesMax) {
    return context.Refuse(Outcome::kInvalid, "invalid_name", fmt::format("a template's name has 1 to {} bytes", kNameBytesMax));
  }
  const auto* found = context.view<tenants::v1::Tenant>().Find(state::Key(context.tenant()));
  static const tenants::v1::Tenant kNew;
  const tenants::v1::Tenant& tenant = found == nullptr ? kNew : *found;
  v1::TemplateVersion content;
  content.set_subject(command.subject());
  content.set_html(command.html());
  content.set_text(command.text());
  content.set_transactional(command.transactional());
  if (command.text().find_first_not_of(" \t\r\n") == std::string::npos && command.html().size() <= kVersionBytesMax) {
    content.set_text(MadeText(command.html()));
    content.set_text_made(!content.text().empty());
  }
  const personalization::Source source{content.subject(), content.html(), content.text()};
  auto violations = personalization::Lint(source, [&](std::string_view name) { return IsRegistered(tenant, name); });
  if (command.transactional()) std::erase_if(violations, IsOfMarketing);
  if (!violations.empty()) {
    const bool only_unknown =
        std::ranges::all_of(violations, [](const Violation& violation) { return violation.code == "unknown_attribute"; });
    return only_unknown ? RefuseUnknown(context, tenant, source, violations) : RefuseAll(context, violations);
  }

  if (!AddAssets(context, command, content)) return;

  const auto* name = context.view<v1::TemplateName>().Find(state::Key(context.tenant(), command.name()));
  uint64_t template_id = 0;
  uint32_t number = 1;
  if (name != nullptr) {
    template_id = name->template_id();
    const v1::Template* known = context.view<v1::Template>().Find(state::Key(context.tenant(), template_id));
    MAILY_CHECK(known != nullptr && known->versions_size() > 0, "template {} is named and not there", template_id);
    const v1::TemplateVersion& latest = known->versions(known->versions_size() - 1);
    if (SameContent(latest, content)) {
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
  version = std::move(content);
  version.set_number(number);
  version.set_name(command.name());
  // Of a text that was made, only what the HTML lets be tracked is: data-track="false" holds for both.
  for (std::string& link : personalization::LinkTable(version.html(), version.text_made() ? "" : version.text()))
    *version.add_links() = std::move(link);
  for (std::string& attribute : personalization::Parse({version.subject(), version.html(), version.text()}).attributes)
    *version.add_attributes() = std::move(attribute);
  if (version.ByteSizeLong() > kVersionBytesMax) {
    return context.Refuse(
        Outcome::kInvalid, "template_too_large",
        fmt::format("with its link table{} it has {} bytes, more than {}",
                    version.text_made() ? " and the text that is made from its HTML" : "", version.ByteSizeLong(), kVersionBytesMax));
  }
  context.Emit(saved);
  context.Answer("template_id", template_id);
  context.Answer("version", uint64_t{number});
}

}  // namespace maily::templates
