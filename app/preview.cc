// See preview.h.
#include "app/preview.h"

#include <deque>
#include <nlohmann/json.hpp>

#include "processors/effects/smtp/maker.h"
#include "schemas/keys.h"

namespace maily::app {
namespace {

templates::v1::TemplateVersion VersionOf(const api::PreviewSource& source) {
  using templates::v1::UsedAsset;
  templates::v1::TemplateVersion version;
  version.set_subject(source.subject);
  version.set_html(source.html);
  version.set_text(source.text);
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

}  // namespace

Result<api::Preview> MakePreview(const api::PreviewSource& source, std::string_view tracking_base_url, const smtp::Returns& returns,
                                 keyring::Keyring& keyring, schema::AssetStore* assets, Instant now) {
  MAILY_TRY(const smtp::Mailing mailing,
            smtp::MailingOf(VersionOf(source), {.tenant = source.tenant,
                                                .campaign_id = source.campaign_id,
                                                .list_id = source.list_id,
                                                .trace = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",  // of a launch to come
                                                .from = source.from,
                                                .reply_to = source.reply_to,
                                                .postal_address = source.postal_address,
                                                .company = source.company,
                                                .tracking_base_url = tracking_base_url,
                                                .returns = returns,
                                                .untracked = source.untracked}));
  MAILY_TRY(const keyring::TenantKeys* keys, keyring.Tenant(source.tenant));
  std::vector<personalization::Value> values;
  std::deque<std::string> texts;
  for (const std::string& name : mailing.attributes()) {
    const auto found = source.attributes.find(name);
    values.push_back(found == source.attributes.end() ? personalization::Value() : ValueOf(found->second, texts.emplace_back()));
  }
  const schema::ContactId contact = schema::UnpackContactId(source.contact_id);
  const std::string address = smtp::OnTheWire(source.address);
  MAILY_TRY(
      smtp::Mailing::Preview made,
      mailing.MakePreview(
          {.partition = contact.partition, .ordinal = contact.ordinal, .address = address, .attributes = values, .date = now}, *keys));
  MAILY_TRY(const std::string tail, TailOf(mailing, source.tenant, assets));
  made.message += tail;
  return api::Preview{std::move(made.parts.subject), std::move(made.parts.html), std::move(made.parts.text), std::move(made.message)};
}

}  // namespace maily::app
