// Tenants, and what each sets up for itself: settings, attributes, API keys.
#include "api/body.h"
#include "api/campaign_timing.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/tenants/v1/commands.pb.h"
#include "schemas/keys.h"
#include "schemas/safety.h"

namespace maily::api {
namespace {

constexpr size_t kTenantNameBytesMax = 40;

Json KeyJson(const Rows& rows, size_t row) {
  Json key = RowJson(rows, row, "key_id");
  Json scopes = Json::array();
  std::string word;
  for (const char c : rows.at(row, "scopes").bytes + " ") {
    if (c != ' ') {
      word.push_back(c);
    } else if (!word.empty()) {
      scopes.push_back(std::exchange(word, {}));
    }
  }
  key["scopes"] = std::move(scopes);
  return key;
}

// A key by chance, or, under an Idempotency-Key, one that the same request gets again. None: the call was refused.
std::optional<gateway::NewApiKey> KeyFor(Call& call, const tenants::v1::CreateApiKey& wanted) {
  const auto once = IdempotencyKey(call);
  if (!once) return std::nullopt;
  if (once->empty()) return gateway::MakeApiKey(call.api->parts.entropy);
  const auto keys = KeysOf(call);
  if (keys) return gateway::MakeApiKey((*keys)->request, *once + '\n' + wanted.SerializeAsString());
  Refuse(call, keys.error());
  return std::nullopt;
}

void ReadSafety(Members& members, tenants::v1::SafetyLimits& limits) {
  const auto number = [&](const char* name, int64_t most, auto set) {
    if (const auto value = members.Integer(name, 1, most)) (limits.*set)(static_cast<uint32_t>(*value));
  };
  using tenants::v1::SafetyLimits;
  number("hard_bounces_bp", schema::kNeverBp, &SafetyLimits::set_hard_bounces_bp);
  number("complaints_bp", schema::kNeverBp, &SafetyLimits::set_complaints_bp);
  number("policy_bp", schema::kNeverBp, &SafetyLimits::set_policy_bp);
  number("after_sends", schema::kAfterMax, &SafetyLimits::set_after_sends);
  number("after_replies", schema::kAfterMax, &SafetyLimits::set_after_replies);
  members.RefuseUnknown();
}

// With the defaults of what is not set.
Json SafetyOf(const Rows& settings) {
  const auto set = [&](const char* column) { return settings.empty() ? 0U : static_cast<uint32_t>(settings.at(0, column).integer); };
  tenants::v1::SafetyLimits limits;
  limits.set_hard_bounces_bp(set("hard_bounces_bp"));
  limits.set_complaints_bp(set("complaints_bp"));
  limits.set_policy_bp(set("policy_bp"));
  limits.set_after_sends(set("after_sends"));
  limits.set_after_replies(set("after_replies"));
  const tenants::v1::SafetyLimits is = schema::Effective(limits);
  return {{"hard_bounces_bp", is.hard_bounces_bp()},
          {"complaints_bp", is.complaints_bp()},
          {"policy_bp", is.policy_bp()},
          {"after_sends", is.after_sends()},
          {"after_replies", is.after_replies()}};
}

}  // namespace

void CreateTenant(Call call) {
  if (!IsOperator(call)) return Refuse(call, OperatorsOnly());
  Body body(call);
  tenants::v1::CreateTenant command;
  if (const auto name = body.Text("name", kTenantNameBytesMax, kRequired)) command.set_name(*name);
  if (!body.Accepted(call)) return;
  Submit(std::move(call), command, std::string(schema::kTenantsKey),
         {.status = 201, .id_member = "tenant_id", .more = {{"name", command.name()}}});
}

void ListTenants(Call call) {
  if (!IsOperator(call)) return Refuse(call, OperatorsOnly());
  List(std::move(call), {.query = "tenants", .key = {"tenant"}, .id_column = "tenant", .of_tenant = false});
}

void ChangeSettings(Call call) {
  Body body(call);
  tenants::v1::ChangeSettings command;
  if (const auto senders = body.Texts("senders", 1000)) command.mutable_senders()->Assign(senders->begin(), senders->end());
  if (const auto address = body.Text("postal_address", kNameBytesMax * 5)) command.set_postal_address(*address);
  if (const auto company = body.Text("company", kNameBytesMax * 5)) command.set_company(*company);
  if (const auto tracking = ReadTracking(body)) command.set_tracking(*tracking ? tenants::v1::TRACKING_ON : tenants::v1::TRACKING_OFF);
  if (const auto holdout = body.Integer("holdout_bp", 0, 5000)) command.set_holdout_bp(static_cast<uint32_t>(*holdout));
  if (const auto over = body.Integer("approval_over", 0, INT64_MAX)) command.set_approval_over(static_cast<uint64_t>(*over));
  if (auto safety = body.Nested("safety")) ReadSafety(*safety, *command.mutable_safety());
  ReadTimingSettings(body, command);
  if (!body.Accepted(call)) return;
  SubmitHome(std::move(call), command, {.more = body.object()});
}

void ShowSettings(Call call) {
  Read(std::move(call), "settings", [](Call& c) -> Result<Json> {
    MAILY_TRY(const Rows settings, QueryOwn(c, "settings"));
    MAILY_TRY(const Rows senders, QueryOwn(c, "senders"));
    Json body{{"senders", Json::array()}, {"company", ""}, {"postal_address", ""}, {"holdout_bp", 0}, {"approval_over", 0}};
    for (size_t row = 0; row < senders.size(); ++row) body["senders"].push_back(senders.at(row, "address").bytes);
    if (!settings.empty()) body.update(RowJson(settings, 0));
    Json safety = SafetyOf(settings);
    for (const auto& [name, value] : safety.items()) body.erase(name);
    body["tracking"] = !settings.empty() && settings.at(0, "tracking").integer == tenants::v1::TRACKING_OFF ? "off" : "on";
    body["safety"] = std::move(safety);
    ShowTimingSettings(settings, body);
    return body;
  });
}

void RegisterAttribute(Call call) {
  Body body(call);
  tenants::v1::RegisterAttribute command;
  if (const auto name = body.Text("name", gateway::kAttributeNameBytesMax, kRequired)) {
    command.set_name(*name);
    if (!gateway::IsAttributeName(*name)) body.Violation("name", "invalid_name", std::string(gateway::kAttributeNameHint));
  }
  if (auto type = body.Text("type", 20, kRequired)) {
    tenants::v1::AttributeType parsed{};
    for (char& c : *type) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    if (!tenants::v1::AttributeType_Parse(*type, &parsed) || parsed == tenants::v1::ATTRIBUTE_TYPE_UNSPECIFIED) {
      body.Violation("type", "unknown_type", "is one of text, integer, number, boolean");
    }
    command.set_attribute_type(parsed);
  }
  command.set_personal(body.Boolean("personal").value_or(true));
  if (!body.Accepted(call)) return;
  SubmitHome(std::move(call), command,
             {.status = 201, .more = {{"name", command.name()}, {"type", body.object()["type"]}, {"personal", command.personal()}}});
}

void ListAttributes(Call call) { List(std::move(call), {.query = "attributes", .key = {"name"}, .first = {Value::Text("")}}); }

void CreateKey(Call call) {
  Body body(call);
  tenants::v1::CreateApiKey command;
  if (const auto label = body.Text("label", kNameBytesMax)) command.set_label(*label);
  const auto tenant = body.Text("tenant", kTenantNameBytesMax);
  if (const auto scopes = body.Texts("scopes", 4, kRequired)) {
    for (const std::string& scope : *scopes) {
      if (gateway::ScopesOf({scope}) == 0) body.Violation("scopes", "unknown_scope", "each is one of admin, read, write, ingest");
      command.add_scopes(scope);
    }
    if (scopes->empty()) body.Violation("scopes", "missing", "a key without a scope may do nothing");
  }
  if (!body.Accepted(call)) return;
  const auto made = KeyFor(call, command);
  if (!made) return;
  const gateway::NewApiKey& key = *made;
  command.set_key_id(key.key_id);
  command.set_secret_hash(std::string(keyring::View(key.hash)));
  Shape shape{.status = 201,
              .more = {{"id", key.key_id}, {"key", key.text}, {"label", command.label()}, {"scopes", body.object()["scopes"]}}};
  if (!tenant) return SubmitHome(std::move(call), command, std::move(shape));
  if (!IsOperator(call)) return Refuse(call, OperatorsOnly());
  Executor& blocking = call.api->blocking();
  blocking.Post([call = std::move(call), command, name = *tenant, shape = std::move(shape)]() mutable {
    const auto rows = Query(call, "tenant_by_name", {{"name", Value::Text(name)}});
    if (!rows) return Refuse(call, rows.error());
    if (rows->empty()) return Refuse(call, NoSuch("tenant"));
    call.caller.tenant = TenantId(static_cast<uint32_t>(rows->at(0, "tenant").integer));  // the operator acts for it
    shape.more["tenant"] = name;
    SubmitHome(std::move(call), command, std::move(shape));
  });
}

void ListKeys(Call call) {
  List(std::move(call), {.query = "api_keys",
                         .key = {"created_at_us", "key_id"},
                         .key_parameters = {"after_at", "after"},
                         .first = {Value::Integer(INT64_MIN), Value::Text("")},
                         .row = KeyJson});
}

void RevokeKey(Call call) {
  tenants::v1::RevokeApiKey command;
  command.set_key_id(std::string(call.request.Param("id")));
  SubmitHome(std::move(call), command, {.status = 204});
}

}  // namespace maily::api
