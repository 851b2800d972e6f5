// See preview.h.
#include "app/preview.h"

#include <deque>
#include <nlohmann/json.hpp>

#include "processors/effects/smtp/maker.h"
#include "processors/personalization/locales.h"
#include "schemas/keys.h"

namespace maily::app {
namespace {

templates::v1::TemplateVersion VersionOf(const api::PreviewSource& source) {
  using templates::v1::UsedAsset;
  templates::v1::TemplateVersion version;
  version.set_subject(source.subject);
  version.set_html(source.html);
  version.set_text(source.text);
  version.set_preheader(source.preheader);
  for (const auto& partial : source.partials) {
    templates::v1::UsedPartial& used = *version.add_partials();
    used.set_name(partial.name);
    used.set_html(partial.html);
    used.set_text(partial.text);
  }
  for (const auto& variant : source.variants) {
    templates::v1::TemplateVariant& made = *version.add_variants();
    made.set_locale(variant.locale);
    made.set_subject(variant.subject);
    made.set_preheader(variant.preheader);
    made.set_html(variant.html);
    made.set_text(variant.text);
  }
  for (const std::string& link : source.links) version.add_links(link);
  for (const auto& asset : source.assets) {
    UsedAsset& used = *version.add_assets();
    used.set_asset(schema::AssetDigest(asset.id));
    used.set_name(asset.name);
    used.set_content_type(asset.content_type);
    used.set_file_name(asset.file_name);
    used.set_use(asset.how == "related" ? UsedAsset::RELATED : asset.how == "attached" ? UsedAsset::ATTACHED : UsedAsset::HOSTED);
  }
  return version;
}

Result<std::string> TailOf(const smtp::Mailing& mailing, TenantId tenant, schema::AssetStore* assets) {
  if (mailing.plan().plain()) return std::string();
  if (assets == nullptr) return Fail(Code::kInvalid, "this process has no place for assets: see the setting assets");
  std::vector<std::string> bytes;
  for (const auto* items : {&mailing.plan().images, &mailing.plan().attachments}) {
    for (const mime::Item& item : *items) {
      MAILY_TRY(schema::AssetStore::Stored stored, assets->Get(tenant, item.id));
      bytes.push_back(std::move(stored.bytes));
    }
  }
  return mime::EncodeTail(mailing.plan(), bytes);
}

// As a mail has it; `value` is JSON. `text` keeps what it views.
personalization::Value ValueOf(const std::string& value, std::string& text) {
  using personalization::Value;
  const nlohmann::json json = nlohmann::json::parse(value, nullptr, false);
  if (json.is_string()) return Value::String(text = json.get<std::string>());
  if (json.is_boolean()) return Value::Bool(json.get<bool>());
  if (json.is_number_integer()) return Value::Integer(json.get<int64_t>());
  return json.is_number() ? Value::ShortDouble(json.get<double>()) : Value();
}

// The variant that the contact, or whoever looks, reads; -1: the template itself.
int VariantOf(const api::PreviewSource& source) {
  std::vector<std::string_view> known;
  for (const auto& variant : source.variants) known.push_back(variant.locale);
  std::string wanted = source.locale;
  for (const std::string_view name : personalization::kLocaleAttributes) {
    const auto found = source.attributes.find(std::string(name));
    if (!wanted.empty() || found == source.attributes.end()) continue;
    const nlohmann::json json = nlohmann::json::parse(found->second, nullptr, false);
    if (json.is_string()) wanted = json.get<std::string>();
  }
  const auto chosen = personalization::ChooseLocale(known, wanted);
  return chosen ? static_cast<int>(*chosen) : -1;
}

}  // namespace

Result<api::Preview> MakePreview(const api::PreviewSource& source, std::string_view tracking_base_url, const smtp::Returns& returns,
                                 keyring::Keyring& keyring, schema::AssetStore* assets, Instant now) {
  const int variant = VariantOf(source);
  MAILY_TRY(const smtp::Mailing mailing, smtp::MailingOf(VersionOf(source),
                                                         {.tenant = source.tenant,
                                                          .campaign_id = source.campaign_id,
                                                          .list_id = source.list_id,
                                                          .trace = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",  // of a launch to come
                                                          .from = source.from,
                                                          .reply_to = source.reply_to,
                                                          .from_name = source.from_name,
                                                          .postal_address = source.postal_address,
                                                          .company = source.company,
                                                          .tracking_base_url = tracking_base_url,
                                                          .returns = returns,
                                                          .untracked = source.untracked},
                                                         variant));
  MAILY_TRY(const keyring::TenantKeys* keys, keyring.Tenant(source.tenant));
  std::vector<personalization::Value> values;
  std::deque<std::string> texts;
  for (const std::string& name : mailing.attributes()) {
    const auto found = source.attributes.find(name);
    values.push_back(found == source.attributes.end() ? personalization::Value() : ValueOf(found->second, texts.emplace_back()));
  }
  const schema::ContactId contact = schema::UnpackContactId(source.contact_id);
  const std::string address = smtp::OnTheWire(source.address);
  std::vector<std::pair<std::string, bool>> blanks;
  const liquid::BlankSeen seen = [&](std::string_view name, bool fallback) { blanks.emplace_back(name, fallback); };
  MAILY_TRY(smtp::Mailing::Preview made, mailing.MakePreview({.partition = contact.partition,
                                                              .ordinal = contact.ordinal,
                                                              .address = address,
                                                              .attributes = values,
                                                              .date = now,
                                                              .untracked = false,
                                                              .blank = source.sample ? &seen : nullptr},
                                                             *keys));
  if (!source.sample) {
    MAILY_TRY(const std::string tail, TailOf(mailing, source.tenant, assets));
    made.message += tail;
  }
  return api::Preview{.subject = std::move(made.parts.subject),
                      .html = std::move(made.parts.html),
                      .text = std::move(made.parts.text),
                      .message = std::move(made.message),
                      .from_name = smtp::DisplayName::Of(made.parts.from_name).text(),
                      .locale = variant < 0 ? std::string() : source.variants[static_cast<size_t>(variant)].locale,
                      .blanks = std::move(blanks)};
}

}  // namespace maily::app
