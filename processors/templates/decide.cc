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
#include "processors/personalization/locales.h"
#include "processors/personalization/mail_size.h"
#include "processors/personalization/partials.h"
#include "processors/personalization/script_links.h"
#include "processors/personalization/template.h"
#include "schemas/asset_store.h"
#include "schemas/media.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::templates {
namespace {

using journal::Outcome;
using personalization::PartialSource;
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

void AnswerPlaces(task::Context& context, const std::vector<Violation>& violations, const std::string& within = {}) {
  std::vector<std::pair<std::string, std::string>> wrong;
  for (size_t i = 0; i < violations.size() && i < kViolationsShownMax; ++i)
    wrong.emplace_back(within + violations[i].Place(), violations[i].message);
  context.AnswerAll(wrong);
}

// `within`: what their places begin with.
void RefuseAll(task::Context& context, std::vector<Violation> violations, const std::string& within = {}) {
  std::string all;
  for (size_t i = 0; i < violations.size() && i < kViolationsShownMax; ++i) all += (i == 0 ? "" : "; ") + within + violations[i].ToString();
  if (violations.size() > kViolationsShownMax) all += fmt::format("; and {} more", violations.size() - kViolationsShownMax);
  context.Refuse(Outcome::kInvalid, "template_invalid", all);
  AnswerPlaces(context, violations, within);
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

// What only marketing mail must have, or must not have.
bool IsOfMarketing(const Violation& violation) {
  return violation.code == "missing_unsubscribe_url" || violation.code == "missing_postal_address" ||
         violation.code == "misplaced_confirm_url";
}

template <class Messages>
bool SameAll(const Messages& a, const Messages& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) { return x.SerializeAsString() == y.SerializeAsString(); });
}

bool SameContent(const v1::TemplateVersion& a, const v1::TemplateVersion& b) {
  return a.subject() == b.subject() && a.html() == b.html() && a.text() == b.text() && a.text_made() == b.text_made() &&
         a.preheader() == b.preheader() && a.locale() == b.locale() && a.mjml() == b.mjml() && a.transactional() == b.transactional() &&
         SameAll(a.assets(), b.assets()) && SameAll(a.partials(), b.partials()) && SameAll(a.variants(), b.variants());
}

// What the HTML says must not be lost to those who read text: with the opt-out and the address that the HTML has.
std::string MadeText(const std::string& html, std::span<const PartialSource> partials) {
  std::string text = personalization::TextFromHtml(html);
  const personalization::Parsed of_html =
      personalization::Parse({.subject = {}, .html = html, .text = {}, .preheader = {}, .from_name = {}, .partials = partials});
  const personalization::Parsed of_text =
      personalization::Parse({.subject = {}, .html = {}, .text = text, .preheader = {}, .from_name = {}, .partials = partials});
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

std::string PlaceInHtml(const std::string& part, std::string_view html, size_t offset) {
  const std::string_view before = html.substr(0, offset);
  const size_t line = static_cast<size_t>(std::ranges::count(before, '\n')) + 1;
  const std::string_view last = before.substr(before.rfind('\n') + 1);
  const auto column = std::ranges::count_if(last, [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }) + 1;
  return fmt::format("{}:{}:{}", part, line, column);
}

// What places in a variant begin with.
std::string Within(const v1::TemplateVariant& variant) { return fmt::format("variants/{}/", variant.locale()); }

template <class Content>
personalization::Source SourceOf(const Content& content, std::span<const PartialSource> partials) {
  return {content.subject(), content.html(), content.text(), content.preheader(), {}, partials};
}

v1::TemplateVersion ContentOf(const v1::SaveTemplate& command) {
  v1::TemplateVersion content;
  content.set_subject(command.subject());
  content.set_html(command.html());
  content.set_text(command.text());
  content.set_preheader(command.preheader());
  content.set_locale(command.locale());
  content.set_mjml(command.mjml());
  content.set_mjml_sha256(command.mjml_sha256());
  content.set_mjml_compiler(command.mjml_compiler());
  content.set_transactional(command.transactional());
  *content.mutable_variants() = command.variants();
  for (v1::TemplateVariant& variant : *content.mutable_variants()) variant.clear_text_made();
  return content;
}

// Those that the content takes in, as they are now. False: the command was refused.
bool TakePartials(task::Context& context, v1::TemplateVersion& content, std::vector<PartialSource>& partials) {
  const auto view = context.view<v1::Partial>();
  const auto partial_of = [&](std::string_view name) -> const v1::Partial* {
    const v1::Partial* found = view.Find(state::Key(context.tenant(), name));
    return found == nullptr || found->archived() ? nullptr : found;
  };
  const personalization::FindPartial find = [&](std::string_view name) -> std::optional<personalization::PartialTexts> {
    const v1::Partial* found = partial_of(name);
    if (found == nullptr) return std::nullopt;
    return personalization::PartialTexts{found->html(), found->text()};
  };
  std::vector<std::string> names;
  const auto take = [&](const personalization::Source& source, const std::string& within) {
    std::vector<Violation> wrong;
    for (std::string& name : personalization::PartialsOf(source, find, wrong)) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
    }
    if (!wrong.empty()) RefuseAll(context, wrong, within);
    return wrong.empty();
  };
  if (!take(SourceOf(content, {}), {})) return false;
  for (const v1::TemplateVariant& variant : content.variants()) {
    if (!take(SourceOf(variant, {}), Within(variant))) return false;
  }
  for (const std::string& name : names) {
    const v1::Partial& partial = *partial_of(name);
    v1::UsedPartial& used = *content.add_partials();
    used.set_name(name);
    used.set_version(partial.version());
    used.set_html(partial.html());
    used.set_text(partial.text());
    used.set_text_made(partial.text_made());
  }
  for (const v1::UsedPartial& used : content.partials()) partials.push_back({used.name(), used.html(), used.text()});
  return true;
}

// The attributes that say somebody's language.
std::vector<std::string> LocaleAttributes(const tenants::v1::Tenant& tenant) {
  std::vector<std::string> names;
  for (const std::string_view name : personalization::kLocaleAttributes) {
    for (const auto& attribute : tenant.attributes()) {
      if (attribute.name() == name && !attribute.personal()) names.emplace_back(name);
    }
  }
  return names;
}

// False: the command was refused.
bool CheckVariants(task::Context& context, const tenants::v1::Tenant& tenant, const v1::TemplateVersion& content) {
  std::vector<std::pair<std::string, std::string>> wrong;
  if (!content.locale().empty() && personalization::CanonicalLocale(content.locale()) != content.locale())
    wrong.emplace_back("/locale", "a locale is a BCP 47 tag like de or de-AT");
  for (int i = 0; i < content.variants_size(); ++i) {
    const v1::TemplateVariant& variant = content.variants(i);
    const auto say = [&](std::string_view member, std::string what) {
      wrong.emplace_back(fmt::format("/variants/{}{}", i, member), std::move(what));
    };
    if (variant.locale().empty() || personalization::CanonicalLocale(variant.locale()) != variant.locale())
      say("/locale", "a locale is a BCP 47 tag like de or de-AT");
    for (int k = 0; k < i; ++k) {
      if (content.variants(k).locale() == variant.locale()) say("/locale", fmt::format("{} has a variant already", variant.locale()));
    }
    if (variant.html().empty() != content.html().empty()) say("/html", "a variant has an HTML part exactly if the template itself has one");
  }
  if (content.variants_size() > kVariantsMax)
    wrong.emplace_back("/variants", fmt::format("a template has at most {} variants", kVariantsMax));
  if (content.variants_size() > 0 && LocaleAttributes(tenant).empty()) {
    wrong.emplace_back("/variants",
                       "nothing says who reads which: register the attribute locale or language, of type text and not personal");
  }
  if (wrong.empty()) return true;
  std::string all;
  for (const auto& [place, what] : wrong) all += fmt::format("{}{}: {}", all.empty() ? "" : "; ", place, what);
  context.Refuse(Outcome::kInvalid, "invalid_variants", all);
  context.AnswerAll(wrong);
  return false;
}

// Where there are none. A text is of what stands in the HTML, so a variant has its own.
void MakeTexts(v1::TemplateVersion& content, std::span<const PartialSource> partials) {
  const auto make = [&](auto& of) {
    if (of.text().find_first_not_of(" \t\r\n") != std::string::npos || of.html().size() > kVersionBytesMax) return;
    of.set_text(MadeText(of.html(), partials));
    of.set_text_made(!of.text().empty());
  };
  make(content);
  for (v1::TemplateVariant& variant : *content.mutable_variants()) make(variant);
}

void SetLanguages(v1::TemplateVersion& content) {
  content.set_html(personalization::WithLanguage(content.html(), content.locale()));
  for (v1::TemplateVariant& variant : *content.mutable_variants())
    variant.set_html(personalization::WithLanguage(variant.html(), variant.locale()));
}

// The links that are tracked and the attributes that mails are made of.
void AddNames(const tenants::v1::Tenant& tenant, std::span<const PartialSource> partials, v1::TemplateVersion& version) {
  std::vector<std::string_view> htmls, texts;
  // Of a text that was made, only what the HTML lets be tracked is: data-track="false" holds for both.
  for (const v1::UsedPartial& partial : version.partials()) {
    htmls.emplace_back(partial.html());
    if (!partial.text_made()) texts.emplace_back(partial.text());
  }
  for (const v1::TemplateVariant& variant : version.variants()) {
    htmls.emplace_back(variant.html());
    if (!variant.text_made()) texts.emplace_back(variant.text());
  }
  for (std::string& link : personalization::LinkTable(version.html(), version.text_made() ? "" : version.text(), htmls, texts))
    *version.add_links() = std::move(link);
  const auto name = [&](std::string attribute) {
    if (std::ranges::find(version.attributes(), attribute) == version.attributes().end()) *version.add_attributes() = std::move(attribute);
  };
  for (std::string& attribute : personalization::Parse(SourceOf(version, partials)).attributes) name(std::move(attribute));
  for (const v1::TemplateVariant& variant : version.variants()) {
    for (std::string& attribute : personalization::Parse(SourceOf(variant, partials)).attributes) name(std::move(attribute));
  }
  if (version.variants().empty()) return;
  for (std::string& attribute : LocaleAttributes(tenant)) name(std::move(attribute));
}

// Of what a launch carries: without the sources of MJML.
size_t CarriedBytes(const v1::TemplateVersion& version) {
  size_t bytes = version.ByteSizeLong() - version.mjml().size();
  for (const v1::TemplateVariant& variant : version.variants()) bytes -= variant.mjml().size();
  return bytes;
}

// False: the command was refused.
bool AddAssets(task::Context& context, const v1::SaveTemplate& command, v1::TemplateVersion& version) {
  AssetFinder finder(context, version);
  std::vector<std::pair<std::string, const std::string*>> parts{{"html", &version.html()}};
  for (const v1::UsedPartial& partial : version.partials()) parts.emplace_back("html/" + partial.name(), &partial.html());
  for (const v1::TemplateVariant& variant : version.variants()) parts.emplace_back(Within(variant) + "html", &variant.html());
  std::vector<std::pair<std::string, const std::string*>> texts{{"text", &command.text()}};
  for (const v1::UsedPartial& partial : version.partials()) texts.emplace_back("text/" + partial.name(), &partial.text());
  size_t refs = static_cast<size_t>(command.attachments_size());
  for (const auto& [part, html] : parts) {
    for (const personalization::AssetRef& ref : personalization::FindAssetRefs(*html)) {
      finder.Use(ref.name, PlaceInHtml(part, *html, ref.offset),
                 ref.kind == personalization::AssetRef::Kind::kEnclosed ? v1::UsedAsset::RELATED : v1::UsedAsset::HOSTED);
      ++refs;
    }
    if (refs <= personalization::kPlaceholdersMax && command.attachments_size() <= kAssetsMax) continue;
    context.Refuse(Outcome::kInvalid, "too_many_assets", fmt::format("a version has at most {} assets", kAssetsMax));
    return false;
  }
  parts.insert(parts.end(), texts.begin(), texts.end());
  for (const auto& [part, text] : parts) {
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
  v1::TemplateVersion content = ContentOf(command);
  std::vector<PartialSource> partials;
  if (!TakePartials(context, content, partials) || !CheckVariants(context, tenant, content)) return;
  MakeTexts(content, partials);
  const auto registered = [&](std::string_view name) { return IsRegistered(tenant, name); };
  const personalization::Source source = SourceOf(content, partials);
  auto violations = personalization::Lint(source, registered);
  if (command.transactional()) std::erase_if(violations, IsOfMarketing);
  if (!violations.empty()) {
    const bool only_unknown =
        std::ranges::all_of(violations, [](const Violation& violation) { return violation.code == "unknown_attribute"; });
    return only_unknown ? RefuseUnknown(context, tenant, source, violations) : RefuseAll(context, violations);
  }
  for (const v1::TemplateVariant& variant : content.variants()) {
    auto wrong = personalization::Lint(SourceOf(variant, partials), registered);
    if (command.transactional()) std::erase_if(wrong, IsOfMarketing);
    if (!wrong.empty()) return RefuseAll(context, wrong, Within(variant));
  }
  if (!AddAssets(context, command, content)) return;
  SetLanguages(content);

  const auto* name = context.view<v1::TemplateName>().Find(state::Key(context.tenant(), command.name()));
  uint64_t template_id = 0;
  uint32_t number = 1;
  if (name != nullptr) {
    template_id = name->template_id();
    const v1::Template* known = context.view<v1::Template>().Find(state::Key(context.tenant(), template_id));
    MAILY_CHECK(known != nullptr && known->versions_size() > 0, "template {} is named and not there", template_id);
    if (known->archived()) {
      return context.Refuse(Outcome::kConflict, "template_archived",
                            fmt::format("template {0} of that name is archived: restore it (maily template restore {0}), or take another "
                                        "name",
                                        template_id));
    }
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
  AddNames(tenant, partials, version);
  const size_t bytes = CarriedBytes(version);
  if (bytes > kVersionBytesMax) {
    return context.Refuse(Outcome::kInvalid, "template_too_large",
                          fmt::format("with its link table, partials and variants{} it has {} bytes, more than {}",
                                      version.text_made() ? ", and the text that is made from its HTML," : "", bytes, kVersionBytesMax));
  }
  context.Emit(saved);
  context.Answer("template_id", template_id);
  context.Answer("version", uint64_t{number});
}

void Decide(task::Context& context, const v1::PutPartial& command) {
  if (!personalization::IsPartialName(command.name())) {
    return context.Refuse(Outcome::kInvalid, "invalid_name",
                          "a partial's name has 1 to 64 lower-case letters, digits, hyphens, underscores and dots, like footer");
  }
  const auto blank = [](const std::string& text) { return text.find_first_not_of(" \t\r\n") == std::string::npos; };
  if (blank(command.html()) && blank(command.text()))
    return context.Refuse(Outcome::kInvalid, "partial_invalid", "a partial has HTML, a text, or both");
  v1::PartialPut put;
  put.set_name(command.name());
  put.set_html(command.html());
  put.set_text(command.text());
  if (blank(command.text()) && command.html().size() <= kPartialBytesMax) {
    put.set_text(personalization::TextFromHtml(command.html()));
    put.set_text_made(true);
  }
  if (put.ByteSizeLong() > kPartialBytesMax) {
    return context.Refuse(Outcome::kInvalid, "partial_too_large",
                          fmt::format("with its text it has {} bytes, more than {}", put.ByteSizeLong(), kPartialBytesMax));
  }
  const auto view = context.view<v1::Partial>();
  const personalization::FindPartial find = [&](std::string_view name) -> std::optional<personalization::PartialTexts> {
    const v1::Partial* found = view.Find(state::Key(context.tenant(), name));
    if (found == nullptr || found->archived()) return std::nullopt;
    return personalization::PartialTexts{found->html(), found->text()};
  };
  std::vector<Violation> wrong;
  const auto names = personalization::PartialsOfPartial(put.name(), {put.html(), put.text()}, find, wrong);
  std::vector<PartialSource> partials{{put.name(), put.html(), put.text()}};
  for (const std::string& name : names) {
    const auto texts = find(name);
    partials.push_back({name, texts->html, texts->text});
  }
  if (wrong.empty()) {
    // What it is given is known where it is taken in: here, only what can be no Liquid at all is wrong.
    wrong = personalization::ScriptLinks(put.html());
    personalization::Parsed parsed = personalization::Parse({{}, put.html(), put.text(), {}, {}, partials});
    for (Violation& violation : parsed.violations) {
      if (violation.code == "syntax" && (violation.partial.empty() || violation.partial == put.name()))
        wrong.push_back(std::move(violation));
    }
  }
  if (!wrong.empty()) {
    std::string all;
    for (Violation& violation : wrong) {
      violation.partial.clear();
      all += (all.empty() ? "" : "; ") + violation.ToString();
    }
    context.Refuse(Outcome::kInvalid, "partial_invalid", all);
    return AnswerPlaces(context, wrong);
  }
  const v1::Partial* before = view.Find(state::Key(context.tenant(), put.name()));
  context.Answer("name", put.name());
  if (before != nullptr && !before->archived() && before->html() == put.html() && before->text() == put.text() &&
      before->text_made() == put.text_made()) {
    context.Answer("version", uint64_t{before->version()});
    return context.Unchanged();
  }
  const auto* counter = context.view<v1::PartialCounter>().Find(state::Key(context.tenant()));
  if (before == nullptr && counter != nullptr && counter->partials() >= kPartialsOfTenantMax) {
    return context.Refuse(Outcome::kInvalid, "too_many_partials", fmt::format("a tenant has at most {} partials", kPartialsOfTenantMax));
  }
  put.set_version(before == nullptr ? 1 : before->version() + 1);
  context.Answer("version", uint64_t{put.version()});
  context.Emit(put);
}

void Decide(task::Context& context, const v1::ArchivePartial& command) {
  const auto* found = context.view<v1::Partial>().Find(state::Key(context.tenant(), command.name()));
  if (found == nullptr) return context.Refuse(Outcome::kNotFound, "partial_not_found", "there is no partial of that name");
  context.Answer("name", command.name());
  if (found->archived()) return context.Unchanged();
  v1::PartialArchived archived;
  archived.set_name(command.name());
  context.Emit(archived);
}

}  // namespace maily::templates
