// See preview.h.
#include "app/preview.h"

#include <deque>
#include <nlohmann/json.hpp>

#include "schemas/keys.h"

namespace maily::app {
namespace {

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
                                 keyring::Keyring& keyring, Instant now) {
  MAILY_TRY(const smtp::Mailing mailing,
            smtp::Mailing::Make({.tenant = source.tenant,
                                 .campaign_id = source.campaign_id,
                                 .list_id = source.list_id,
                                 .trace = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",  // it is that of a launch to come
                                 .from = source.from,
                                 .reply_to = source.reply_to,
                                 .source = {.subject = source.subject, .html = source.html, .text = source.text},
                                 .links = source.links,
                                 .postal_address = source.postal_address,
                                 .company = source.company,
                                 .tracking_base_url = tracking_base_url,
                                 .returns = returns}));
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
  return api::Preview{std::move(made.parts.subject), std::move(made.parts.html), std::move(made.parts.text), std::move(made.message)};
}

}  // namespace maily::app
