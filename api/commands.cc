// See commands.h.
#include "api/commands.h"

#include <algorithm>
#include <set>

#include "api/gateway/contact_fields.h"
#include "api/gateway/token.h"
#include "maily/campaigns/v1/commands.pb.h"
#include "maily/contacts/v1/commands.pb.h"
#include "maily/lists/v1/commands.pb.h"
#include "maily/sends/v1/commands.pb.h"
#include "maily/suppressions/v1/commands.pb.h"
#include "maily/templates/v1/commands.pb.h"
#include "maily/tenants/v1/commands.pb.h"
#include "schemas/address.h"
#include "schemas/json.h"
#include "schemas/keys.h"

namespace maily::api {
namespace {

using gateway::Order;
using gateway::Outcome;
using gateway::Verdict;
using http::Problem;
using http::ProblemDetail;
using nlohmann::json;
namespace gw = maily::gateway;

constexpr size_t kNameBytesMax = 200;
constexpr size_t kTextBytesMax = 64 * 1024;
constexpr size_t kSuppressionsMax = 1000;

// "$.arms[2].name" as "/arms/2/name".
std::string Pointer(std::string_view path) {
  std::string pointer;
  for (size_t i = path.starts_with('$') ? 1 : 0; i < path.size(); ++i) {
    if (path[i] == '.' || path[i] == '[') {
      pointer.push_back('/');
    } else if (path[i] != ']') {
      pointer.push_back(path[i]);
    }
  }
  return pointer;
}

// How the answer of a decided command becomes the body of the response.
struct Shape {
  int status = 200;                       // of kDone
  std::string id_member;                  // "list_id": becomes "id"
  std::string collection;                 // of Location: "/v1/lists"
  Json more = Json::object();             // members that only the request knows
  std::vector<std::string> gone_is_done;  // codes that DELETE answers with 204
};

void Conclude(Call& call, Verdict verdict, Shape shape) {
  http::Headers headers;
  if (verdict.at) AddToken(call, headers, {&*verdict.at, 1});
  if (verdict.kind == Verdict::Kind::kUnavailable) {
    Problem problem{.status = 503,
                    .code = "unavailable",
                    .message = "it is not known whether this was taken: " + verdict.answer + "; send it again, with an Idempotency-Key"};
    return Refuse(call, problem);
  }
  if (verdict.kind == Verdict::Kind::kPending) {
    const std::string url = "/v1/commands/" + verdict.id.ToHex();
    headers.Add("location", url);
    return Answer(call, 202, {{"command_id", verdict.id.ToHex()}, {"status", "pending"}, {"status_url", url}}, std::move(headers));
  }
  json answer = verdict.answer.empty() ? json::object() : json::parse(verdict.answer, nullptr, false);
  if (!answer.is_object()) answer = json::object();
  if (!IsDone(verdict.outcome, answer)) {
    const std::string code = answer.value("code", "");
    if (std::ranges::find(shape.gone_is_done, code) != shape.gone_is_done.end()) return Answer(call, 204, {}, std::move(headers));
    Problem problem = ProblemOfOutcome(verdict.outcome, answer);
    for (size_t i = 0; i < headers.size(); ++i) problem.headers.Add(headers.at(i).first, headers.at(i).second);
    return Refuse(call, problem);
  }
  Json body = Json::object();
  if (!shape.id_member.empty() && answer.contains(shape.id_member)) {
    body["id"] = answer[shape.id_member];
    if (!shape.collection.empty()) headers.Add("location", shape.collection + "/" + answer[shape.id_member].dump());
  }
  int status = verdict.outcome == Outcome::kUnchanged && shape.status == 201 ? 200 : shape.status;
  if (answer.contains("contact_ordinal")) {  // of a contact
    const uint64_t id =
        schema::PackContactId({PartitionId(answer["partition"].get<uint16_t>()), answer["contact_ordinal"].get<uint64_t>()});
    body["id"] = std::to_string(id);
    if (answer.value("result", "") == "created") status = 201;
    headers.Add("location", "/v1/contacts/" + std::to_string(id));
  }
  for (const auto& [name, value] : answer.items()) {
    if (name != shape.id_member && name != "contact_ordinal" && name != "partition") body[name] = value;
  }
  for (const auto& [name, value] : shape.more.items()) body[name] = value;
  Answer(call, status, body, std::move(headers));
}

// Appends, waits, answers.
void Submit(Call call, Order order, Shape shape) {
  if (order.natural_key.empty()) {
    auto key = IdempotencyKey(call);
    if (!key) return;
    order.natural_key = std::move(*key);
  }
  const auto asker = call.asker();
  gw::Gateway& gateway = call.api->gateway;
  gateway.Submit(asker, order, kDecisionTimeout,
                 [call = std::make_shared<Call>(std::move(call)), shape = std::move(shape)](Verdict verdict) mutable {
                   Conclude(*call, std::move(verdict), std::move(shape));
                 });
}

// Of the tenant's home.
template <class M>
Order HomeOrder(const Call& call, const M& message) {
  return gw::PlainOrder(message, schema::HomeKey(call.caller.tenant));
}

// The contact key of an address; none: a violation was added.
std::optional<std::string> KeyOfEmail(const keyring::TenantKeys& keys, Body& body, const std::string& member = "email") {
  const auto email = body.Text(member, 1000, true);
  if (!email) return std::nullopt;
  const auto address = schema::ParseAddress(*email);
  if (!address) {
    body.Violation(member, std::string(schema::kInvalidAddress), address.error().message);
    return std::nullopt;
  }
  return schema::ContactKey(keys, address->normalised);
}

bool IsOperator(const Call& call) { return call.caller.tenant == TenantId(1); }

Problem OperatorsOnly() {
  return {.status = 403, .code = "forbidden", .message = "only an admin key of the tenant `default`, the platform's operator, may do this"};
}

}  // namespace

// --- bodies

Body::Body(const json& object, std::string path, std::vector<ProblemDetail>& details)
    : object_(object), path_(std::move(path)), details_(details) {}

void Body::Violation(const std::string& member, std::string code, std::string hint) {
  details_.push_back({.path = member.empty() ? path_ : path_ + "/" + member, .code = std::move(code), .hint = std::move(hint)});
}

const json* Body::Find(const std::string& name, bool required) {
  asked_.push_back(name);
  const auto found = object_.find(name);
  if (found != object_.end() && !found->is_null()) return &*found;
  if (required) Violation(name, "missing", "this member is required");
  return nullptr;
}

bool Body::Has(const std::string& name) {
  const auto found = object_.find(name);
  return found != object_.end() && !found->is_null();
}

std::optional<std::string> Body::Text(const std::string& name, size_t bytes_max, bool required) {
  const json* value = Find(name, required);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    Violation(name, "wrong_type", "must be a string");
    return std::nullopt;
  }
  const auto& text = value->get_ref<const std::string&>();
  if (text.size() > bytes_max) {
    Violation(name, "too_long", fmt::format("has {} bytes, at most {} are taken", text.size(), bytes_max));
    return std::nullopt;
  }
  if (text.find('\0') != std::string::npos) {
    Violation(name, "nul", "holds a NUL");
    return std::nullopt;
  }
  if (required && text.empty()) {
    Violation(name, "missing", "must not be empty");
    return std::nullopt;
  }
  return text;
}

std::optional<int64_t> Body::Integer(const std::string& name, int64_t least, int64_t most, bool required) {
  const json* value = Find(name, required);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer()) {
    Violation(name, "wrong_type", "must be a whole number");
    return std::nullopt;
  }
  if ((value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) || value->get<int64_t>() < least ||
      value->get<int64_t>() > most) {
    Violation(name, "out_of_range", fmt::format("must be between {} and {}", least, most));
    return std::nullopt;
  }
  return value->get<int64_t>();
}

std::optional<bool> Body::Boolean(const std::string& name) {
  const json* value = Find(name, false);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) {
    Violation(name, "wrong_type", "must be true or false");
    return std::nullopt;
  }
  return value->get<bool>();
}

const json* Body::Object(const std::string& name, bool required) {
  const json* value = Find(name, required);
  if (value != nullptr && !value->is_object()) {
    Violation(name, "wrong_type", "must be an object");
    return nullptr;
  }
  return value;
}

const json* Body::Array(const std::string& name, size_t count_max, bool required) {
  const json* value = Find(name, required);
  if (value == nullptr) return nullptr;
  if (!value->is_array()) {
    Violation(name, "wrong_type", "must be an array");
    return nullptr;
  }
  if (value->size() > count_max) {
    Violation(name, "too_many", fmt::format("has {} elements, at most {} are taken", value->size(), count_max));
    return nullptr;
  }
  return value;
}

std::optional<std::vector<std::string>> Body::Texts(const std::string& name, size_t count_max, bool required) {
  const json* array = Array(name, count_max, required);
  if (array == nullptr) return std::nullopt;
  std::vector<std::string> texts;
  for (size_t i = 0; i < array->size(); ++i) {
    if (!(*array)[i].is_string()) {
      Violation(name + "/" + std::to_string(i), "wrong_type", "must be a string");
    } else {
      texts.push_back((*array)[i].get<std::string>());
    }
  }
  return texts;
}

void Body::RefuseUnknown() {
  for (const auto& [name, value] : object_.items()) {
    if (std::ranges::find(asked_, name) != asked_.end()) continue;
    const std::string near = Nearest(name, asked_);
    Violation(name, "unknown_field", near.empty() ? "there is no such member" : "there is no such member; did you mean " + near + "?");
  }
}

Problem Violations(std::vector<ProblemDetail> details) {
  std::string message =
      details.size() == 1 ? "the request is invalid: " : fmt::format("the request has {} errors, the first: ", details.size());
  message += details.empty() ? std::string() : fmt::format("{}: {}", details[0].path.empty() ? "/" : details[0].path, details[0].hint);
  return {.status = 422, .code = "invalid_request", .message = std::move(message), .details = std::move(details)};
}

std::optional<json> ParseBody(Call& call) {
  const std::string_view type = call.request.headers["content-type"];
  const std::string_view media = type.substr(0, type.find(';'));
  if (!media.empty() && !media.starts_with("application/json") && !media.ends_with("+json")) {
    Refuse(call, {.status = 415, .code = "unsupported_media_type", .message = "send application/json"});
    return std::nullopt;
  }
  schema::JsonProblem wrong;
  auto parsed = schema::ParseJson(call.request.body, &wrong);
  if (!parsed) {
    const char* code = wrong.fault == schema::JsonFault::kSyntax  ? "malformed_json"
                       : wrong.fault == schema::JsonFault::kDepth ? "json_too_deep"
                                                                  : "duplicate_key";
    Problem problem{.status = 400, .code = code, .message = "the body is no acceptable JSON: " + wrong.message};
    problem.details.push_back({.path = Pointer(wrong.path), .code = code, .hint = wrong.message});
    Refuse(call, problem);
    return std::nullopt;
  }
  if (!parsed->is_object()) {
    Refuse(call, Violations({{.path = "", .code = "wrong_type", .hint = "the body must be a JSON object"}}));
    return std::nullopt;
  }
  return std::move(*parsed);
}

std::optional<std::string> IdempotencyKey(Call& call) {
  const auto header = call.request.headers.Find("idempotency-key");
  if (!header) return std::string();
  std::string_view key = *header;
  if (key.size() >= 2 && key.front() == '"' && key.back() == '"') key = key.substr(1, key.size() - 2);
  const bool printable = std::ranges::all_of(key, [](char c) { return c > 0x20 && c < 0x7F && c != '"' && c != '\\'; });
  if (key.empty() || key.size() > kIdempotencyKeyBytesMax || !printable) {
    Refuse(call, {.status = 400,
                  .code = "invalid_idempotency_key",
                  .message =
                      fmt::format("Idempotency-Key: 1 to {} printable characters without spaces, quoted or not", kIdempotencyKeyBytesMax)});
    return std::nullopt;
  }
  return "idem/" + std::string(key);
}

// --- outcomes

bool IsDone(Outcome outcome, const json& answer) {
  if (outcome == Outcome::kDuplicate) return !answer.contains("code");
  return outcome == Outcome::kDone || outcome == Outcome::kUnchanged;
}

Problem ProblemOfOutcome(Outcome outcome, const json& answer) {
  Problem problem{.status = 422, .code = answer.value("code", "refused"), .message = answer.value("message", "the request was refused")};
  switch (outcome) {
    case Outcome::kDuplicate:  // the first copy was refused; of how, only its code is kept
      problem.status = problem.code.ends_with("_not_found") || problem.code.starts_with("unknown_contact") ||
                               problem.code == "unknown_send" || problem.code == "not_suppressed"
                           ? 404
                       : problem.code.ends_with("_exists") || problem.code.ends_with("_locked") || problem.code.starts_with("not_") ? 409
                                                                                                                                    : 422;
      break;
    case Outcome::kConflict:
      problem.status = 409;
      break;
    case Outcome::kNotFound:
      problem.status = 404;
      break;
    case Outcome::kGone:
      problem.status = 410;
      break;
    case Outcome::kOutOfOrder:
      problem.status = 409;
      break;
    case Outcome::kRetryLater:
      problem.status = 503;
      break;
    case Outcome::kRejected:
      if (!answer.contains("code")) problem.code = "rejected";
      break;
    default:
      break;
  }
  // Members besides code and message say more: {"list_id": 1} of the list that exists already.
  for (const auto& [name, value] : answer.items()) {
    if (name != "code" && name != "message")
      problem.details.push_back({.path = name, .code = problem.code, .hint = value.is_string() ? value.get<std::string>() : value.dump()});
  }
  return problem;
}

void AddToken(Call& call, http::Headers& headers, std::span<const CommandAt> at) {
  if (auto keys = KeysOf(call)) headers.Add("maily-consistency-token", gw::EncodeToken(at, **keys));
}

// --- tenants

void CreateTenant(Call call) {
  if (!IsOperator(call)) return Refuse(call, OperatorsOnly());
  const auto body = ParseBody(call);
  if (!body) return;
  std::vector<ProblemDetail> details;
  Body reader(*body, "", details);
  tenants::v1::CreateTenant command;
  if (const auto name = reader.Text("name", 40, true)) command.set_name(*name);
  reader.RefuseUnknown();
  if (!details.empty()) return Refuse(call, Violations(std::move(details)));
  Json more{{"name", command.name()}};
  Submit(std::move(call), gw::PlainOrder(command, std::string(schema::kTenantsKey)),
         {.status = 201, .id_member = "tenant_id", .collection = "", .more = std::move(more), .gone_is_done = {}});
}

void ChangeSettings(Call call) {
  const auto body = ParseBody(call);
  if (!body) return;
  std::vector<ProblemDetail> details;
  Body reader(*body, "", details);
  tenants::v1::ChangeSettings command;
  if (const auto senders = reader.Texts("senders", 1000)) {
    for (const std::string& sender : *senders) command.add_senders(sender);
  }
  if (const auto address = reader.Text("postal_address", kNameBytesMax * 5)) command.set_postal_address(*address);
  if (const auto company = reader.Text("company", kNameBytesMax * 5)) command.set_company(*company);
  reader.RefuseUnknown();
  if (!details.empty()) return Refuse(call, Violations(std::move(details)));
  Json more = Json::object();
  for (const auto& [name, value] : body->items()) more[name] = value;
  Order order = HomeOrder(call, command);
  Submit(std::move(call), std::move(order),
         {.status = 200, .id_member = "", .collection = "", .more = std::move(more), .gone_is_done = {}});
}

void RegisterAttribute(Call call) {
  const auto body = ParseBody(call);
  if (!body) return;
  std::vector<ProblemDetail> details;
  Body reader(*body, "", details);
  tenants::v1::RegisterAttribute command;
  if (const auto name = reader.Text("name", gw::kAttributeNameBytesMax, true)) {
    command.set_name(*name);
    if (!gw::IsAttributeName(*name))
      reader.Violation("name", "invalid_name", "begins with a lower-case letter; then lower-case letters, digits and _; not email");
  }
  if (auto type = reader.Text("type", 20, true)) {
    tenants::v1::AttributeType parsed{};
    for (char& c : *type) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    if (!tenants::v1::AttributeType_Parse(*type, &parsed) || parsed == tenants::v1::ATTRIBUTE_TYPE_UNSPECIFIED) {
      reader.Violation("type", "unknown_type", "is one of text, integer, number, boolean");
    }
    command.set_attribute_type(parsed);
  }
  command.set_personal(reader.Boolean("personal").value_or(true));
  reader.RefuseUnknown();
  if (!details.empty()) return Refuse(call, Violations(std::move(details)));
  Json more{{"name", command.name()}, {"type", body->value("type", "")}, {"personal", command.personal()}};
  Order order = HomeOrder(call, command);
  Submit(std::move(call), std::move(order),
         {.status = 201, .id_member = "", .collection = "", .more = std::move(more), .gone_is_done = {}});
}

void CreateKey(Call call) {
  const auto body = ParseBody(call);
  if (!body) return;
  std::vector<ProblemDetail> details;
  Body reader(*body, "", details);
  const gw::NewApiKey key = gw::MakeApiKey(call.api->parts.entropy);
  tenants::v1::CreateApiKey command;
  command.set_key_id(key.key_id);
  command.set_secret_hash(keyring::View(key.hash).data(), keyring::View(key.hash).size());
  if (const auto label = reader.Text("label", kNameBytesMax)) command.set_label(*label);
  const auto tenant = reader.Text("tenant", 40);
  if (const auto scopes = reader.Texts("scopes", 4, true)) {
    for (const std::string& scope : *scopes) {
      if (gw::ScopesOf({scope}) == 0) reader.Violation("scopes", "unknown_scope", "each is one of admin, read, write, ingest");
      command.add_scopes(scope);
    }
    if (scopes->empty()) reader.Violation("scopes", "missing", "a key without a scope may do nothing");
  }
  reader.RefuseUnknown();
  if (!details.empty()) return Refuse(call, Violations(std::move(details)));
  Json more{{"id", key.key_id}, {"key", key.text}, {"label", command.label()}, {"scopes", body->at("scopes")}};
  if (!tenant) {
    Order order = HomeOrder(call, command);
    return Submit(std::move(call), std::move(order),
                  {.status = 201, .id_member = "", .collection = "", .more = std::move(more), .gone_is_done = {}});
  }
  if (!IsOperator(call)) return Refuse(call, OperatorsOnly());
  Executor& blocking = call.api->blocking();
  blocking.Post([call = std::move(call), command, name = *tenant, more = std::move(more)]() mutable {
    const auto rows = call.api->parts.views.Query("tenant_by_name", {{"name", sql::Value::Text(name)}});
    if (!rows) return Refuse(call, rows.error());
    if (rows->empty()) return Refuse(call, NoSuch("tenant"));
    call.caller.tenant = TenantId(static_cast<uint32_t>(rows->at(0, "tenant").integer));  // the operator acts for it
    more["tenant"] = name;
    Order order = HomeOrder(call, command);
    Submit(std::move(call), std::move(order),
           {.status = 201, .id_member = "", .collection = "", .more = std::move(more), .gone_is_done = {}});
  });
}

void RevokeKey(Call call) {
  tenants::v1::RevokeApiKey command;
  command.set_key_id(std::string(call.request.Param("id")));
  Order order = HomeOrder(call, command);
  Submit(std::move(call), std::move(order), {.status = 204, .id_member = "", .collection = "", .more = Json::object(), .gone_is_done = {}});
}

// --- contacts

void UpsertContact(Call call) {
  auto body = ParseBody(call);
  if (!body) return;
  gw::Gateway& gateway = call.api->gateway;
  const TenantId tenant = call.caller.tenant;
  gateway.WithAttributes(tenant,
                         [call = std::move(call), body = std::move(*body)](Result<std::shared_ptr<const gw::Registry>> registry) mutable {
                           if (!registry) return Refuse(call, registry.error());
                           const auto keys = KeysOf(call);
                           if (!keys) return Refuse(call, keys.error());
                           std::vector<ProblemDetail> details;
                           Body reader(body, "", details);
                           contacts::v1::UpsertContact command;
                           std::optional<schema::Address> address;
                           if (const auto email = reader.Text("email", 1000, true)) {
                             auto parsed = schema::ParseAddress(*email);
                             if (parsed) {
                               address = std::move(*parsed);
                             } else {
                               reader.Violation("email", std::string(schema::kInvalidAddress), parsed.error().message);
                             }
                           }
                           if (const json* attributes = reader.Object("attributes")) {
                             for (const auto& [name, value] : attributes->items()) {
                               if (!gw::IsAttributeName(name)) {
                                 reader.Violation("attributes/" + name, "invalid_name",
                                                  "begins with a lower-case letter; then lower-case letters, digits and _; not email");
                                 continue;
                               }
                               if (const auto set = gw::AttributeFromJson(**registry, name, value, *command.add_attributes()); !set) {
                                 reader.Violation("attributes/" + name, "wrong_type", set.error().message);
                               }
                             }
                           }
                           if (const json* lists = reader.Array("lists", 100)) {
                             for (size_t i = 0; i < lists->size(); ++i) {
                               if ((*lists)[i].is_number_unsigned() && (*lists)[i].get<uint64_t>() > 0) {
                                 command.add_join_lists((*lists)[i].get<uint64_t>());
                               } else {
                                 reader.Violation("lists/" + std::to_string(i), "wrong_type", "must be the id of a list");
                               }
                             }
                           }
                           reader.RefuseUnknown();
                           if (!details.empty()) return Refuse(call, Violations(std::move(details)));
                           command.set_source("api");
                           gw::Identify(command, **registry, *address, **keys);
                           Order order = gw::PlainOrder(command, command.contact_key());
                           auto key = call.api->parts.keyring.GetOrCreate(call.caller.tenant, command.contact_key());
                           if (!key) return Refuse(call, key.error());
                           gw::Seal(command, **registry, call.caller.tenant, *key, call.api->parts.entropy);
                           command.SerializeToString(&order.payload);
                           Submit(std::move(call), std::move(order),
                                  {.status = 200, .id_member = "", .collection = "", .more = Json::object(), .gone_is_done = {}});
                         });
}

void CreateList(Call call) {
  const auto body = ParseBody(call);
  if (!body) return;
  std::vector<ProblemDetail> details;
  Body reader(*body, "", details);
  lists::v1::CreateList command;
  if (const auto name = reader.Text("name", kNameBytesMax, true)) command.set_name(*name);
  reader.RefuseUnknown();
  if (!details.empty()) return Refuse(call, Violations(std::move(details)));
  Json more{{"name", command.name()}};
  Order order = HomeOrder(call, command);
  Submit(std::move(call), std::move(order),
         {.status = 201, .id_member = "list_id", .collection = "/v1/lists", .more = std::move(more), .gone_is_done = {}});
}

void ChangeMembers(Call call) {
  const auto body = ParseBody(call);
  const auto list_id = IdParam(call);
  if (!body) return;
  if (!list_id) return Refuse(call, NoSuch("list"));
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  std::vector<ProblemDetail> details;
  Body reader(*body, "", details);
  const auto key = KeyOfEmail(**keys, reader);
  const bool leave = reader.Boolean("leave").value_or(false);
  reader.RefuseUnknown();
  if (!details.empty()) return Refuse(call, Violations(std::move(details)));
  Order order;
  if (leave) {
    lists::v1::LeaveList command;
    command.set_contact_key(*key);
    command.set_list_id(*list_id);
    order = gw::PlainOrder(command, *key);
  } else {
    lists::v1::JoinList command;
    command.set_contact_key(*key);
    command.set_list_id(*list_id);
    order = gw::PlainOrder(command, *key);
  }
  Executor& blocking = call.api->blocking();
  projections::Views& views = call.api->parts.views;
  auto latest = call.api->gateway.Latest();
  // Lists live in the tenant's home, members with the contact: that there is such a list is checked here.
  auto waited = [call = std::move(call), order = std::move(order), list_id = *list_id, leave](bool) mutable {
    const auto rows =
        call.api->parts.views.Query("list", {{"tenant", call.tenant()}, {"list_id", sql::Value::Integer(static_cast<int64_t>(list_id))}});
    if (!rows) return Refuse(call, rows.error());
    if (rows->empty()) return Refuse(call, NoSuch("list"));
    Json more{{"list_id", list_id}, {"member", !leave}};
    Submit(std::move(call), std::move(order),
           {.status = 200, .id_member = "", .collection = "", .more = std::move(more), .gone_is_done = {}});
  };
  views.freshness().Wait(views.GroupOf("list"), std::move(latest), Seconds(2), blocking, std::move(waited));
}

// --- suppressions

void AddSuppression(Call call) {
  const auto body = ParseBody(call);
  if (!body) return;
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  std::vector<ProblemDetail> details;
  Body reader(*body, "", details);
  suppressions::v1::AddSuppression command;
  if (auto key = KeyOfEmail(**keys, reader)) command.set_contact_key(std::move(*key));
  command.set_reason(reader.Text("reason", kNameBytesMax).value_or("manual"));
  reader.RefuseUnknown();
  if (!details.empty()) return Refuse(call, Violations(std::move(details)));
  Json more{{"email", body->at("email")}, {"reason", command.reason()}, {"suppressed", true}};
  Order order = gw::PlainOrder(command, command.contact_key());
  Submit(std::move(call), std::move(order),
         {.status = 200, .id_member = "", .collection = "", .more = std::move(more), .gone_is_done = {}});
}

void RemoveSuppression(Call call) {
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  const auto email = call.request.Query("email");
  if (!email) return Refuse(call, BadParameter("email", "say which address: ?email=…", 422));
  const auto address = schema::ParseAddress(*email);
  if (!address) return Refuse(call, BadParameter("email", address.error().message, 422));
  suppressions::v1::RemoveSuppression command;
  command.set_contact_key(schema::ContactKey(**keys, address->normalised));
  command.set_reason(call.request.Query("reason").value_or("manual"));
  Order order = gw::PlainOrder(command, command.contact_key());
  Submit(std::move(call), std::move(order),
         {.status = 204, .id_member = "", .collection = "", .more = Json::object(), .gone_is_done = {"not_suppressed"}});
}

namespace {

// Several commands of one request: their verdicts in order, then one answer.
struct Many {
  std::shared_ptr<Call> call;
  std::vector<Verdict> verdicts;
  size_t waiting = 0;
  std::move_only_function<void(Call&, std::vector<Verdict>&)> done;
};

void SubmitAll(Call call, std::vector<Order> orders, std::move_only_function<void(Call&, std::vector<Verdict>&)> done) {
  auto many = std::make_shared<Many>();
  gw::Gateway& gateway = call.api->gateway;
  const auto asker = call.asker();
  many->call = std::make_shared<Call>(std::move(call));
  many->verdicts.resize(orders.size());
  many->waiting = orders.size();
  many->done = std::move(done);
  if (orders.empty()) return many->done(*many->call, many->verdicts);
  for (size_t i = 0; i < orders.size(); ++i) {
    gateway.Submit(asker, orders[i], kDecisionTimeout, [many, i](Verdict verdict) {  // all on one executor
      many->verdicts[i] = std::move(verdict);
      if (--many->waiting == 0) many->done(*many->call, many->verdicts);
    });
  }
}

void AddTokens(Call& call, http::Headers& headers, const std::vector<Verdict>& verdicts) {
  std::vector<CommandAt> at;
  for (const Verdict& verdict : verdicts) {
    if (verdict.at) at.push_back(*verdict.at);
  }
  if (!at.empty()) AddToken(call, headers, at);
}

json AnswerOf(const Verdict& verdict) {
  json answer = verdict.answer.empty() ? json::object() : json::parse(verdict.answer, nullptr, false);
  return answer.is_object() ? answer : json::object();
}

}  // namespace

void AddSuppressions(Call call) {
  const auto body = ParseBody(call);
  if (!body) return;
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  std::vector<ProblemDetail> details;
  Body reader(*body, "", details);
  const json* list = reader.Array("suppressions", kSuppressionsMax, true);
  reader.RefuseUnknown();
  std::vector<Order> orders;
  for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const std::string path = "/suppressions/" + std::to_string(i);
    if (!(*list)[i].is_object()) {
      details.push_back({.path = path, .code = "wrong_type", .hint = "must be an object"});
      continue;
    }
    Body one((*list)[i], path, details);
    suppressions::v1::AddSuppression command;
    if (auto key = KeyOfEmail(**keys, one)) command.set_contact_key(std::move(*key));
    command.set_reason(one.Text("reason", kNameBytesMax).value_or("manual"));
    one.RefuseUnknown();
    orders.push_back(gw::PlainOrder(command, command.contact_key()));
  }
  if (!details.empty()) return Refuse(call, Violations(std::move(details)));
  SubmitAll(std::move(call), std::move(orders), [](Call& c, std::vector<Verdict>& verdicts) {
    http::Headers headers;
    AddTokens(c, headers, verdicts);
    size_t added = 0;
    size_t unchanged = 0;
    for (const Verdict& verdict : verdicts) {
      if (verdict.kind == Verdict::Kind::kUnavailable) {
        return Refuse(c, Problem{.status = 503,
                                 .code = "unavailable",
                                 .message = "not all were taken: " + verdict.answer + "; send it again, it is harmless"});
      }
      if (verdict.outcome == Outcome::kDone) ++added;
      if (verdict.outcome == Outcome::kUnchanged) ++unchanged;
    }
    Answer(c, 200, {{"suppressions", verdicts.size()}, {"added", added}, {"unchanged", unchanged}}, std::move(headers));
  });
}

// --- templates and campaigns

void SaveTemplate(Call call) {
  const auto body = ParseBody(call);
  if (!body) return;
  std::vector<ProblemDetail> details;
  Body reader(*body, "", details);
  templates::v1::SaveTemplate command;
  if (const auto name = reader.Text("name", kNameBytesMax, true)) command.set_name(*name);
  if (const auto subject = reader.Text("subject", 1000, true)) command.set_subject(*subject);
  if (const auto html = reader.Text("html", kTextBytesMax)) command.set_html(*html);
  if (const auto text = reader.Text("text", kTextBytesMax)) command.set_text(*text);
  reader.RefuseUnknown();
  if (!details.empty()) return Refuse(call, Violations(std::move(details)));
  Json more{{"name", command.name()}};
  Order order = HomeOrder(call, command);
  Submit(std::move(call), std::move(order),
         {.status = 201, .id_member = "template_id", .collection = "/v1/templates", .more = std::move(more), .gone_is_done = {}});
}

void CreateCampaign(Call call) {
  const auto body = ParseBody(call);
  if (!body) return;
  std::vector<ProblemDetail> details;
  Body reader(*body, "", details);
  campaigns::v1::CreateCampaign command;
  campaigns::v1::CampaignSpec& spec = *command.mutable_spec();
  if (const auto name = reader.Text("name", kNameBytesMax, true)) spec.set_name(*name);
  if (const auto id = reader.Integer("template_id", 1, INT64_MAX, true)) spec.set_template_id(static_cast<uint64_t>(*id));
  if (const auto from = reader.Text("from", 1000, true)) spec.set_from(*from);
  if (const auto reply_to = reader.Text("reply_to", 1000)) spec.set_reply_to(*reply_to);
  if (const auto id = reader.Integer("list_id", 0, INT64_MAX)) spec.set_list_id(static_cast<uint64_t>(*id));
  const json* arms = reader.Array("arms", 64);
  for (size_t i = 0; arms != nullptr && i < arms->size(); ++i) {
    const std::string path = "/arms/" + std::to_string(i);
    if (!(*arms)[i].is_object()) {
      details.push_back({.path = path, .code = "wrong_type", .hint = "must be an object"});
      continue;
    }
    Body one((*arms)[i], path, details);
    campaigns::v1::Arm& arm = *spec.add_arms();
    if (const auto name = one.Text("name", kNameBytesMax, true)) arm.set_name(*name);
    if (const json* where = one.Object("where")) {
      Body condition(*where, path + "/where", details);
      if (const auto attribute = condition.Text("attribute", gw::kAttributeNameBytesMax, true)) arm.set_where_attribute(*attribute);
      const auto value = where->find("value");
      if (value != where->end() && (value->is_number() || value->is_boolean())) {
        arm.set_where_value(value->dump());
      } else if (const auto text = condition.Text("value", 1000)) {
        arm.set_where_value(*text);
      } else if (value == where->end()) {
        condition.Violation("value", "missing", "this member is required");
      }
    }
    if (const auto weight = one.Integer("weight", 1, 1'000'000)) arm.set_weight(static_cast<uint32_t>(*weight));
    if (arm.where_attribute().empty() == (arm.weight() == 0)) one.Violation("", "invalid_arm", "an arm has either where or weight");
    arm.set_holdout(one.Boolean("holdout").value_or(false));
    one.RefuseUnknown();
  }
  reader.RefuseUnknown();
  if (!details.empty()) return Refuse(call, Violations(std::move(details)));
  Json more{{"name", spec.name()}};
  Order order = HomeOrder(call, command);
  Submit(std::move(call), std::move(order),
         {.status = 201, .id_member = "campaign_id", .collection = "/v1/campaigns", .more = std::move(more), .gone_is_done = {}});
}

namespace {

template <class M>
void ChangeCampaign(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  M command;
  command.set_campaign_id(*id);
  Order order = HomeOrder(call, command);
  Submit(std::move(call), std::move(order),
         {.status = 200, .id_member = "campaign_id", .collection = "", .more = Json::object(), .gone_is_done = {}});
}

// Whether the audience is certainly empty: as of everything that was asked of this process before.
Result<bool> AudienceIsEmpty(Call& call, uint64_t campaign_id) {
  projections::Views& views = call.api->parts.views;
  MAILY_TRY(const projections::Rows campaign,
            views.Query("campaign", {{"tenant", call.tenant()}, {"campaign_id", sql::Value::Integer(static_cast<int64_t>(campaign_id))}}));
  if (campaign.empty()) return false;  // the decider knows better
  const sql::Value& list = campaign.at(0, "list_id");
  if (list.type == sql::Type::kNull || list.integer == 0) {
    MAILY_TRY(const projections::Rows count, views.Query("contact_count", {{"tenant", call.tenant()}}));
    return count.at(0, "contacts").integer == 0;
  }
  MAILY_TRY(const projections::Rows rows, views.Query("list", {{"tenant", call.tenant()}, {"list_id", list}}));
  return !rows.empty() && rows.at(0, "members").integer == 0;
}

}  // namespace

void LaunchCampaign(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  projections::Views& views = call.api->parts.views;
  Executor& blocking = call.api->blocking();
  auto latest = call.api->gateway.Latest();
  views.freshness().Wait("", std::move(latest), Seconds(2), blocking, [call = std::move(call), id = *id](bool fresh) mutable {
    if (fresh) {
      const auto empty = AudienceIsEmpty(call, id);
      if (!empty && empty.error().code != Code::kRetry) return Refuse(call, empty.error());
      if (empty && *empty) {
        Problem problem{.status = 422, .code = "empty_audience", .message = "the audience is empty: nobody would get this campaign"};
        problem.details.push_back({.path = "/list_id", .code = "empty_audience", .hint = "add members to the list, or choose another"});
        return Refuse(call, problem);
      }
    }
    ChangeCampaign<campaigns::v1::LaunchCampaign>(std::move(call));
  });
}
// --- sends in doubt

namespace {

constexpr size_t kResolvedMax = 5000;  // a call
constexpr int64_t kUnknownPage = 1000;

struct InDoubt {
  uint64_t campaign_id;
  uint64_t contact_id;
  bool received;
};

// What is unknown now, of one campaign or of all.
Result<std::vector<InDoubt>> FindUnknown(Call& call, std::optional<int64_t> campaign_id,
                                         const std::set<std::pair<uint64_t, uint64_t>>& received) {
  std::vector<InDoubt> found;
  int64_t after_campaign = 0;
  int64_t after = 0;
  while (found.size() < kResolvedMax) {
    std::vector<projections::Parameter> parameters{
        {"tenant", call.tenant()}, {"after", sql::Value::Integer(after)}, {"limit", sql::Value::Integer(kUnknownPage)}};
    parameters.push_back(campaign_id ? projections::Parameter{"campaign_id", sql::Value::Integer(*campaign_id)}
                                     : projections::Parameter{"after_campaign_id", sql::Value::Integer(after_campaign)});
    MAILY_TRY(const projections::Rows rows,
              call.api->parts.views.Query(campaign_id ? "unknown_sends" : "unknown_sends_of_all", parameters));
    for (size_t row = 0; row < rows.size(); ++row) {
      after_campaign = campaign_id ? *campaign_id : rows.at(row, "campaign_id").integer;
      after = rows.at(row, "contact_id").integer;
      const auto campaign = static_cast<uint64_t>(after_campaign);
      const auto contact = static_cast<uint64_t>(after);
      found.push_back({campaign, contact, received.contains({campaign, contact})});
    }
    if (rows.size() < static_cast<size_t>(kUnknownPage)) break;
  }
  if (found.size() > kResolvedMax) found.resize(kResolvedMax);
  return found;
}

}  // namespace

void ResolveUnknown(Call call) {
  auto body = ParseBody(call);
  if (!body) return;
  std::vector<ProblemDetail> details;
  Body reader(*body, "", details);
  const auto campaign_id = reader.Integer("campaign_id", 1, INT64_MAX);
  const auto why = reader.Text("why", kNameBytesMax, true);
  const auto ids = reader.Texts("received_message_ids", 10'000'000, true);
  reader.RefuseUnknown();
  if (!details.empty()) return Refuse(call, Violations(std::move(details)));
  projections::Views& views = call.api->parts.views;
  Executor& blocking = call.api->blocking();
  auto latest = call.api->gateway.Latest();
  views.freshness().Wait(
      views.GroupOf("unknown_sends"), std::move(latest), Seconds(5), blocking,
      [call = std::move(call), campaign_id, why = *why, ids = std::move(*ids)](bool) mutable {
        std::set<std::pair<uint64_t, uint64_t>> received;
        size_t foreign = 0;
        for (const std::string& id : ids) {
          const auto send = call.api->parts.read_message_id(id);
          if (!send || send->tenant != call.caller.tenant) {
            ++foreign;
            continue;
          }
          received.emplace(send->campaign_id, schema::PackContactId({send->partition, send->ordinal}));
        }
        auto found = FindUnknown(call, campaign_id, received);
        if (!found) return Refuse(call, found.error());
        std::vector<Order> orders;
        for (const InDoubt& one : *found) {
          const schema::ContactId contact = schema::UnpackContactId(one.contact_id);
          sends::v1::ResolveUnknown command;
          command.set_campaign_id(one.campaign_id);
          command.set_ordinal(contact.ordinal);
          command.set_delivered(one.received);
          command.set_why(why);
          Order order = gw::PlainOrder(command, "");
          order.partition = contact.partition;
          orders.push_back(std::move(order));
        }
        SubmitAll(std::move(call), std::move(orders), [found = std::move(*found), foreign](Call& c, std::vector<Verdict>& verdicts) {
          http::Headers headers;
          AddTokens(c, headers, verdicts);
          uint64_t delivered = 0;
          uint64_t resent = 0;
          uint64_t failed = 0;
          Json sends = Json::array();
          for (size_t i = 0; i < verdicts.size(); ++i) {
            const json answer = AnswerOf(verdicts[i]);
            const bool done = verdicts[i].kind == Verdict::Kind::kDecided && IsDone(verdicts[i].outcome, answer);
            if (!done) ++failed;
            if (done) ++(found[i].received ? delivered : resent);
            sends.push_back({{"campaign_id", found[i].campaign_id},
                             {"contact_id", std::to_string(found[i].contact_id)},
                             {"result", !done               ? "failed"
                                        : found[i].received ? "delivered"
                                                            : "resent"},
                             {"reason", done                                          ? ""
                                        : verdicts[i].kind == Verdict::Kind::kDecided ? answer.value("message", "refused")
                                                                                      : "not decided yet; ask again"}});
          }
          Answer(c, 200,
                 {{"delivered", delivered},
                  {"resent", resent},
                  {"failed", failed},
                  {"foreign_message_ids", foreign},
                  {"more", found.size() == kResolvedMax},
                  {"sends", std::move(sends)}},
                 std::move(headers));
        });
      });
}

void PauseCampaign(Call call) { ChangeCampaign<campaigns::v1::PauseCampaign>(std::move(call)); }
void ResumeCampaign(Call call) { ChangeCampaign<campaigns::v1::ResumeCampaign>(std::move(call)); }
void CancelCampaign(Call call) { ChangeCampaign<campaigns::v1::CancelCampaign>(std::move(call)); }

}  // namespace maily::api
