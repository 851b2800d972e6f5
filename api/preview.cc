// The mail of a campaign as one contact gets it.
#include "api/handlers.h"
#include "api/read.h"
#include "maily/tenants/v1/state.pb.h"
#include "schemas/tracking_id.h"

namespace maily::api {
namespace {

// What a personal attribute is: sealed, all values are text.
std::string TextOf(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.is_number_float()) return fmt::format("{}", value.get<double>());
  return value.is_number() ? value.dump() : std::string();
}

std::string Text(const Rows& rows, std::string_view column) { return rows.at(0, column).bytes; }
uint64_t Id(const Rows& rows, std::string_view column) { return static_cast<uint64_t>(rows.at(0, column).integer); }

// Attributes are spelled as JSON, so that their kinds are kept.
Result<void> AddContact(Call& call, std::string_view query, const Parameter& who, PreviewSource& source) {
  MAILY_TRY(const Rows contact, QueryOwn(call, query, {who}));
  if (contact.empty()) return Missing("contact");
  source.contact_id = Id(contact, "contact_id");
  source.address = Text(contact, "address");
  for (const char* column : {"attributes", "personal_attributes"}) {
    const Json part = Json::parse(Text(contact, column), nullptr, false);
    if (!part.is_object()) continue;
    for (const auto& [name, value] : part.items())
      source.attributes[name] = (std::string_view(column) == "attributes" ? value : Json(TextOf(value))).dump();
  }
  return Ok();
}

// The version that was launched, or the latest.
Result<int64_t> AddTemplate(Call& call, const Rows& campaign, PreviewSource& source) {
  const Parameter which{"template_id", campaign.at(0, "template_id")};
  const Value& launched = campaign.at(0, "template_version");
  MAILY_TRY(const Rows version, launched.type == sql::Type::kNull ? QueryOwn(call, "template", {which})
                                                                  : QueryOwn(call, "template_version", {which, {"version", launched}}));
  if (version.empty()) return Missing("template");
  source.subject = Text(version, "subject");
  source.html = Text(version, "html");
  source.text = Text(version, "text");
  MAILY_TRY(const Rows links, QueryOwn(call, "template_links", {which, {"version", version.at(0, "version")}}));
  for (size_t row = 0; row < links.size(); ++row) source.links.push_back(links.at(row, "target").bytes);
  MAILY_TRY(const Rows assets, QueryOwn(call, "template_assets", {which, {"version", version.at(0, "version")}}));
  for (size_t row = 0; row < assets.size(); ++row) {
    const auto text = [&](std::string_view column) { return assets.at(row, column).bytes; };
    source.assets.push_back({text("asset_id"), text("name"), text("content_type"), text("how"), text("file_name")});
  }
  return version.at(0, "version").integer;
}

// As they were at the launch, or as they are.
Result<void> AddSettings(Call& call, const Rows& campaign, PreviewSource& source) {
  const bool launched = campaign.at(0, "postal_address").type != sql::Type::kNull;
  MAILY_TRY(const Rows settings, launched ? campaign : QueryOwn(call, "settings"));
  if (settings.empty()) return Ok();
  source.postal_address = Text(settings, "postal_address");
  source.company = Text(settings, "company");
  source.untracked = source.untracked || (!launched && settings.at(0, "tracking").integer == tenants::v1::TRACKING_OFF);
  return Ok();
}

Result<Json> PreviewJson(Call& call, uint64_t campaign_id, std::string_view query, const Parameter& who) {
  MAILY_TRY(const Rows campaign, QueryOwn(call, "campaign", {{"campaign_id", Number(campaign_id)}}));
  if (campaign.empty()) return Missing("campaign");
  PreviewSource source;
  source.tenant = call.caller.tenant;
  source.campaign_id = campaign_id;
  source.list_id = Id(campaign, "list_id");
  source.from = Text(campaign, "from_address");
  source.reply_to = Text(campaign, "reply_to");
  source.untracked = campaign.at(0, "untracked").integer != 0;
  MAILY_TRY_VOID(AddContact(call, query, who, source));
  MAILY_TRY(const int64_t version, AddTemplate(call, campaign, source));
  MAILY_TRY_VOID(AddSettings(call, campaign, source));
  const auto wanted = source.attributes.find(std::string(schema::kTrackingAttribute));
  source.untracked =
      source.untracked || (wanted != source.attributes.end() && (wanted->second == "false" || wanted->second == "\"false\""));
  MAILY_TRY(const Preview preview, call.api->parts.make_preview(source));
  return Json{{"campaign_id", campaign_id},
              {"contact_id", std::to_string(source.contact_id)},
              {"template_version", version},
              {"from", source.from},
              {"to", source.address},
              {"subject", preview.subject},
              {"tracking", source.untracked ? "off" : "on"},
              {"html", preview.html},
              {"text", preview.text},
              {"message", preview.message},
              {"warnings", WarningsJson(call, preview.html)}};
}

}  // namespace

void ShowPreview(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  std::string query = "contact";
  Parameter who{"contact_id", Value::Null()};
  if (call.request.Query("email")) {
    auto key = KeyOfEmail(call);
    if (!key) return;
    query = "contact_by_key";
    who = {"contact_key", Value::Blob(std::move(*key))};
  } else {
    const auto contact = NumberParameter(call, "contact_id", 0, 1, INT64_MAX);
    if (!contact || *contact == 0) return Refuse(call, BadParameter("contact_id", "say whose mail: ?contact_id= or ?email=", 422));
    who.value = Value::Integer(*contact);
  }
  Read(std::move(call), "", [id = *id, query = std::move(query), who = std::move(who)](Call& c) { return PreviewJson(c, id, query, who); });
}

}  // namespace maily::api
