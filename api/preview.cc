// The mail of a campaign as one contact gets it.
#include <map>
#include <optional>
#include <set>

#include "api/handlers.h"
#include "api/read.h"
#include "maily/tenants/v1/state.pb.h"
#include "schemas/tracking_id.h"

namespace maily::api {
namespace {

constexpr int64_t kSampleMax = 1000;
constexpr size_t kSamplesShown = 5;
constexpr size_t kErrorsShown = 50;

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
void TakeContact(const Rows& rows, size_t row, PreviewSource& source) {
  source.contact_id = static_cast<uint64_t>(rows.at(row, "contact_id").integer);
  source.address = rows.at(row, "address").bytes;
  source.attributes.clear();
  for (const char* column : {"attributes", "personal_attributes"}) {
    const Json part = Json::parse(rows.at(row, column).bytes, nullptr, false);
    if (!part.is_object()) continue;
    for (const auto& [name, value] : part.items())
      source.attributes[name] = (std::string_view(column) == "attributes" ? value : Json(TextOf(value))).dump();
  }
}

Result<void> AddContact(Call& call, std::string_view query, const Parameter& who, PreviewSource& source) {
  MAILY_TRY(const Rows contact, QueryOwn(call, query, {who}));
  if (contact.empty()) return Missing("contact");
  TakeContact(contact, 0, source);
  return Ok();
}

// That version, or the latest if it is null.
Result<int64_t> AddTemplate(Call& call, const Value& template_id, const Value& launched, PreviewSource& source) {
  const Parameter which{"template_id", template_id};
  MAILY_TRY(const Rows version, launched.type == sql::Type::kNull ? QueryOwn(call, "template", {which})
                                                                  : QueryOwn(call, "template_version", {which, {"version", launched}}));
  if (version.empty()) return Missing("template");
  source.subject = Text(version, "subject");
  source.html = Text(version, "html");
  source.text = Text(version, "text");
  source.preheader = Text(version, "preheader");
  const auto member = [](const Json& of, const char* name) { return of.value(name, std::string()); };
  for (const Json& partial : Json::parse(Text(version, "partials"), nullptr, false))
    source.partials.push_back({member(partial, "name"), member(partial, "html"), member(partial, "text")});
  for (const Json& variant : Json::parse(Text(version, "variants"), nullptr, false)) {
    source.variants.push_back({member(variant, "locale"), member(variant, "subject"), member(variant, "preheader"), member(variant, "html"),
                               member(variant, "text")});
  }
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

// The arm whose mail is shown: the one that is named, that the contact was given, or the first that gets any. None: there are no arms.
Result<std::optional<size_t>> ArmShown(Call& call, const Rows& arms, uint64_t campaign_id, uint64_t contact_id) {
  const auto holdout = [&](size_t row) { return arms.at(row, "holdout").integer != 0; };
  const std::optional<std::string> wanted = call.request.Query("arm");
  MAILY_TRY(const Rows facts, QueryOwn(call, "send_facts", {{"campaign_id", Number(campaign_id)}, {"contact_id", Number(contact_id)}}));
  const bool given = !facts.empty() && facts.at(0, "arm").type != sql::Type::kNull;
  std::optional<size_t> first;
  for (size_t row = 0; row < arms.size(); ++row) {
    if (wanted && arms.at(row, "name").bytes == *wanted) {
      if (holdout(row)) return Fail(Code::kInvalid, "arm {} is a holdout: it gets no mail", *wanted);
      return std::optional(row);
    }
    if (!wanted && given && arms.at(row, "arm").integer == facts.at(0, "arm").integer && !holdout(row)) return std::optional(row);
    if (!first && !holdout(row)) first = row;
  }
  if (!wanted) return first;
  return Fail(Code::kInvalid, "campaign {} has no arm {}: GET /v1/campaigns/{} lists them", campaign_id, *wanted, campaign_id);
}

// What the arm says of its own stands in every language.
void TakeArm(const Rows& arms, size_t row, PreviewSource& source) {
  const auto text = [&](const char* column) { return arms.at(row, column).bytes; };
  if (!text("from_name").empty()) source.from_name = text("from_name");
  if (text("subject").empty()) return;
  source.subject = text("subject");
  for (PreviewSource::Variant& variant : source.variants) variant.subject = text("subject");
}

Result<Json> PreviewJson(Call& call, uint64_t campaign_id, std::string_view query, const Parameter& who) {
  MAILY_TRY(const Rows campaign, QueryOwn(call, "campaign", {{"campaign_id", Number(campaign_id)}}));
  if (campaign.empty()) return Missing("campaign");
  PreviewSource source;
  source.tenant = call.caller.tenant;
  source.campaign_id = campaign_id;
  source.list_id = Id(campaign, "list_id");
  source.from = Text(campaign, "from_address");
  source.from_name = Text(campaign, "from_name");
  source.reply_to = Text(campaign, "reply_to");
  source.locale = call.request.Query("locale").value_or("");
  source.untracked = campaign.at(0, "untracked").integer != 0;
  MAILY_TRY_VOID(AddContact(call, query, who, source));
  MAILY_TRY(const Rows arms, QueryOwn(call, "campaign_arms", {{"campaign_id", Number(campaign_id)}}));
  MAILY_TRY(const std::optional<size_t> arm, ArmShown(call, arms, campaign_id, source.contact_id));
  const bool own = arm && arms.at(*arm, "template_id").integer != 0;
  const auto of = [&](const char* column) { return own ? arms.at(*arm, column) : campaign.at(0, column); };
  const Value template_id = of("template_id");
  MAILY_TRY(const int64_t version, AddTemplate(call, template_id, of("template_version"), source));
  if (arm) TakeArm(arms, *arm, source);
  MAILY_TRY_VOID(AddSettings(call, campaign, source));
  const auto wanted = source.attributes.find(std::string(schema::kTrackingAttribute));
  source.untracked =
      source.untracked || (wanted != source.attributes.end() && (wanted->second == "false" || wanted->second == "\"false\""));
  MAILY_TRY(const Preview preview, call.api->parts.make_preview(source));
  return Json{{"campaign_id", campaign_id},
              {"contact_id", std::to_string(source.contact_id)},
              {"arm", arm ? Json(arms.at(*arm, "name").bytes) : Json()},
              {"template_id", template_id.integer},
              {"template_version", version},
              {"from", source.from},
              {"from_name", preview.from_name},
              {"locale", preview.locale},
              {"to", source.address},
              {"subject", preview.subject},
              {"tracking", source.untracked ? "off" : "on"},
              {"html", preview.html},
              {"text", preview.text},
              {"message", preview.message},
              {"warnings", WarningsJson(call, preview.html)}};
}

// Contacts that something happens to: how many, and the first few.
struct Met {
  uint64_t contacts = 0;
  std::vector<std::string> first;
  void Add(uint64_t contact_id) {
    ++contacts;
    if (first.size() < kSamplesShown) first.push_back(std::to_string(contact_id));
  }
  Json ToJson() const { return {{"contacts", contacts}, {"contact_ids", first}}; }
};

Result<Json> SampleJson(Call& call, uint64_t template_id, int64_t version, int64_t most) {
  PreviewSource source;
  source.tenant = call.caller.tenant;
  source.from = "preview@maily.invalid";
  source.locale = call.request.Query("locale").value_or("");
  source.untracked = true;
  source.sample = true;
  MAILY_TRY(const int64_t shown, AddTemplate(call, Number(template_id), version == 0 ? Value::Null() : Value::Integer(version), source));
  MAILY_TRY(const Rows settings, QueryOwn(call, "settings"));
  if (!settings.empty()) {
    source.postal_address = Text(settings, "postal_address");
    source.company = Text(settings, "company");
  }
  MAILY_TRY(const Rows contacts, QueryOwn(call, "contacts", {{"after", Value::Integer(0)}, {"limit", Value::Integer(most)}}));
  struct Variable {
    Met fallback;
    Met empty;
  };
  std::map<std::string, Variable> variables;
  std::map<std::string, Met> errors;
  std::map<std::string, uint64_t> locales;
  uint64_t rendered = 0;
  for (size_t row = 0; row < contacts.size(); ++row) {
    TakeContact(contacts, row, source);
    const Result<Preview> preview = call.api->parts.make_preview(source);
    if (!preview) {
      if (errors.size() < kErrorsShown || errors.contains(preview.error().message)) errors[preview.error().message].Add(source.contact_id);
      continue;
    }
    ++rendered;
    ++locales[preview->locale.empty() ? "default" : preview->locale];
    for (const auto& [name, fallback] : std::set(preview->blanks.begin(), preview->blanks.end())) {
      Variable& variable = variables[name];
      (fallback ? variable.fallback : variable.empty).Add(source.contact_id);
    }
  }
  Json body{{"id", template_id},
            {"version", shown},
            {"sampled", contacts.size()},
            {"rendered", rendered},
            {"failed", contacts.size() - rendered}};
  body["variables"] = Json::array();
  for (const auto& [name, variable] : variables)
    body["variables"].push_back({{"name", name}, {"fallback", variable.fallback.ToJson()}, {"empty", variable.empty.ToJson()}});
  body["errors"] = Json::array();
  for (const auto& [message, met] : errors) {
    Json one{{"message", message}};
    const Json contacts_met = met.ToJson();
    for (const auto& [name, value] : contacts_met.items()) one[name] = value;
    body["errors"].push_back(std::move(one));
  }
  body["locales"] = locales;
  return body;
}

}  // namespace

void SampleTemplate(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("template"));
  const auto sample = NumberParameter(call, "sample", 100, 1, kSampleMax);
  if (!sample) return Refuse(call, BadParameter("sample", fmt::format("a number of contacts from 1 to {}", kSampleMax), 422));
  const auto version = NumberParameter(call, "version", 0, 1, INT32_MAX);
  if (!version) return Refuse(call, BadParameter("version", "a number from 1", 422));
  AfterOwnWrites(std::move(call), "", Seconds(2), [id = *id, sample = *sample, version = *version](Call c, bool) {
    const Result<Json> body = SampleJson(c, id, version, sample);
    if (!body) return Refuse(c, body.error());
    Answer(c, 200, *body);
  });
}

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
