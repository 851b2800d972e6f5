// Contacts: who they are, what they were sent, what they did.
#include "api/body.h"
#include "api/contact_gone.h"
#include "api/contact_json.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/contacts/v1/commands.pb.h"

namespace maily::api {
namespace {

using gateway::Registry;
using nlohmann::json;

constexpr Duration kListWait = Seconds(2);
constexpr size_t kTagsMax = 100;  // more are refused (contacts::kTagsMax)
constexpr size_t kProofBytesMax = 2'000;

void ReadAttributes(Body& body, const Registry& registry, contacts::v1::UpsertContact& command) {
  const json* attributes = body.Object("attributes");
  if (attributes == nullptr) return;
  for (const auto& [name, value] : attributes->items()) {
    if (!gateway::IsAttributeName(name)) {
      body.Violation("attributes/" + name, "invalid_name", std::string(gateway::kAttributeNameHint));
    } else if (const auto set = gateway::AttributeFromJson(registry, name, value, *command.add_attributes()); !set) {
      body.Violation("attributes/" + name, "wrong_type", set.error().message);
    }
  }
}

void ReadLists(Body& body, contacts::v1::UpsertContact& command) {
  const json* lists = body.Array("lists", 100);
  for (size_t i = 0; lists != nullptr && i < lists->size(); ++i) {
    const json& id = (*lists)[i];
    if (id.is_number_unsigned() && id.get<uint64_t>() > 0) {
      command.add_join_lists(id.get<uint64_t>());
    } else {
      body.Violation("lists/" + std::to_string(i), "wrong_type", "must be the id of a list");
    }
  }
}

// The lists that a command joins and that are not there, each a violation. Blocking.
Result<bool> ListsAreThere(Call& call, const contacts::v1::UpsertContact& command, std::vector<http::ProblemDetail>& missing) {
  for (int i = 0; i < command.join_lists_size(); ++i) {
    MAILY_TRY(const Rows rows, QueryOwn(call, "list", {{"list_id", Number(command.join_lists(i))}}));
    if (rows.empty()) missing.push_back({.path = fmt::format("/lists/{}", i), .code = "list_not_found", .hint = "there is no such list"});
  }
  return missing.empty();
}

// `then` if all lists are there; one that is not may have been made just now, so the view is waited for.
void WithLists(Call call, const contacts::v1::UpsertContact& command, std::move_only_function<void(Call call)> then) {
  if (command.join_lists().empty()) return then(std::move(call));
  Executor& blocking = call.api->blocking();
  blocking.Post([call = std::move(call), command, then = std::move(then)]() mutable {
    std::vector<http::ProblemDetail> missing;
    const auto there = ListsAreThere(call, command, missing);
    if (!there) return Refuse(call, there.error());
    if (*there) return then(std::move(call));
    AfterOwnWrites(std::move(call), "list", kListWait, [command = std::move(command), then = std::move(then)](Call c, bool) mutable {
      std::vector<http::ProblemDetail> still_missing;
      const auto now_there = ListsAreThere(c, command, still_missing);
      if (!now_there) return Refuse(c, now_there.error());
      if (*now_there) return then(std::move(c));
      Refuse(c, Violations(std::move(still_missing)));
    });
  });
}

// Typed by the registry, and sealed under a key that is durable then.
void Upsert(Call call, Body& body, std::shared_ptr<const Registry> registry) {
  contacts::v1::UpsertContact command;
  command.set_source("api");
  const auto address = body.Email("email");
  ReadAttributes(body, *registry, command);
  ReadLists(body, command);
  if (const auto tags = body.Texts("tags", kTagsMax)) command.mutable_tags()->Assign(tags->begin(), tags->end());
  if (const auto proof = body.Text("consent_proof", kProofBytesMax)) command.set_consent_proof(*proof);
  if (!body.Accepted(call)) return;
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  gateway::Identify(command, *registry, *address, **keys);
  WithLists(std::move(call), command, [command, registry = std::move(registry)](Call c) mutable {
    const TenantId tenant = c.caller.tenant;
    std::string subject = command.contact_key();
    gateway::Order order = gateway::PlainOrder(command, subject);
    if (c.dry_run()) return Submit(std::move(c), std::move(order));  // a key would be durable
    gateway::SubjectKeys& keys_of_contacts = c.api->gateway.subject_keys();
    auto sealed = [c = std::move(c), command = std::move(command), registry = std::move(registry),
                   order = std::move(order)](Result<std::vector<keyring::SubjectKey>> made) mutable {
      if (!made) return Refuse(c, made.error());
      gateway::Seal(command, *registry, c.caller.tenant, (*made)[0], c.api->parts.entropy);
      order.payload = command.SerializeAsString();
      Submit(std::move(c), std::move(order));
    };
    keys_of_contacts.Get(tenant, {std::move(subject)}, std::move(sealed));
  });
}

// What happened to a contact, the newest first.
void ListNewest(Call call, std::string query, std::string key) {
  Executor& blocking = call.api->blocking();
  blocking.Post([call = std::move(call), query = std::move(query), key = std::move(key)]() mutable {
    const auto id = IdParam(call);
    const auto erased = id ? FindErased(call, *id) : Result<std::optional<Json>>(std::nullopt);
    if (erased && *erased) return Refuse(call, GoneProblem());
    ListOf(std::move(call), "contact", "contact_id",
           {.query = std::move(query), .key = {std::move(key)}, .key_parameters = {"before"}, .first = {Value::Integer(INT64_MAX)}});
  });
}

}  // namespace

Json ContactJson(const Registry& registry, const Rows& rows, size_t row) {
  Json out;
  out["id"] = CellJson("contact_id", rows.at(row, "contact_id"));
  out["email"] = CellJson("address", rows.at(row, "address"));
  Json attributes = Json::object();
  const Json open = Json::parse(rows.at(row, "attributes").bytes, nullptr, false);
  if (open.is_object()) attributes.update(open);
  const Json personal = Json::parse(rows.at(row, "personal_attributes").bytes, nullptr, false);
  for (const auto& [name, value] : personal.items()) {
    attributes[name] = value.is_string() ? Json(gateway::AttributeToJson(registry, name, value.get<std::string>())) : value;
  }
  out["attributes"] = std::move(attributes);
  const Json tags = Json::parse(rows.at(row, "tags").bytes, nullptr, false);
  out["tags"] = tags.is_array() ? tags : Json::array();
  for (const char* column : {"source", "created_at_us", "changed_at_us", "unsubscribed_at_us", "suppressed_reason", "suppressed_at_us",
                             "merged_into", "merged_at_us"}) {
    out[MemberOf(column)] = CellJson(column, rows.at(row, column));
  }
  return out;
}

void WithTypes(Call call, std::move_only_function<void(Call call, const std::shared_ptr<const Registry>& registry)> then) {
  gateway::Gateway& gateway = call.api->gateway;
  const TenantId tenant = call.caller.tenant;
  gateway.WithAttributes(
      tenant, [call = std::move(call), then = std::move(then)](const Result<std::shared_ptr<const Registry>>& registry) mutable {
        then(std::move(call), registry ? *registry : std::make_shared<const Registry>(std::vector<tenants::v1::AttributeDefinition>()));
      });
}

void UpsertContact(Call call) {
  auto body = std::make_unique<Body>(call);
  if (!body->Parsed(call)) return;
  gateway::Gateway& gateway = call.api->gateway;
  const TenantId tenant = call.caller.tenant;
  gateway.WithAttributes(tenant,
                         [call = std::move(call), body = std::move(body)](Result<std::shared_ptr<const Registry>> registry) mutable {
                           if (!registry) return Refuse(call, registry.error());
                           Upsert(std::move(call), *body, std::move(*registry));
                         });
}

void ListContacts(Call call) {
  WithTypes(std::move(call), [](Call c, const std::shared_ptr<const Registry>& registry) {
    const auto row = [registry](const Rows& rows, size_t at) { return ContactJson(*registry, rows, at); };
    if (c.request.Query("email")) return ListByEmail(std::move(c), "contact_by_key", row);
    List(std::move(c), {.query = "contacts", .key = {"contact_id"}, .row = row});
  });
}

void ShowContact(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("contact"));
  WithTypes(std::move(call), [id = *id](Call typed, const std::shared_ptr<const Registry>& registry) {
    ReadOfContact(std::move(typed), id, "contact", [id, registry](Call& c, const Rows& found) -> Result<Json> {
      MAILY_TRY(const Rows lists, QueryOwn(c, "lists_of_contact", {{"contact_id", Number(id)}}));
      Json body = ContactJson(*registry, found, 0);
      body["lists"] = RowsJson(lists, "list_id");
      MAILY_TRY(const Rows merged, QueryOwn(c, "merged_contacts", {{"contact_id", Number(id)}}));
      body["merged"] = Json::array();
      for (size_t row = 0; row < merged.size(); ++row) {
        if (merged.at(row, "contact_id").integer == static_cast<int64_t>(id)) continue;
        body["merged"].push_back({{"id", CellJson("contact_id", merged.at(row, "contact_id"))},
                                  {"email", CellJson("address", merged.at(row, "address"))},
                                  {"merged_at", CellJson("merged_at_us", merged.at(row, "merged_at_us"))}});
      }
      return body;
    });
  });
}

void ListContactSends(Call call) { ListNewest(std::move(call), "sends_of_contact", "campaign_id"); }
void ListContactEngagements(Call call) { ListNewest(std::move(call), "engagements_of_contact", "sequence"); }

}  // namespace maily::api
