// Contacts: who they are, what they were sent, what they did.
#include "api/body.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/contacts/v1/commands.pb.h"

namespace maily::api {
namespace {

using gateway::Registry;
using nlohmann::json;

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

// Typed by the registry, and sealed under a key that is durable then.
void Upsert(Call call, Body& body, std::shared_ptr<const Registry> registry) {
  contacts::v1::UpsertContact command;
  command.set_source("api");
  const auto address = body.Email("email");
  ReadAttributes(body, *registry, command);
  ReadLists(body, command);
  if (!body.Accepted(call)) return;
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  gateway::Identify(command, *registry, *address, **keys);
  const TenantId tenant = call.caller.tenant;
  std::string subject = command.contact_key();
  gateway::Order order = gateway::PlainOrder(command, subject);
  gateway::SubjectKeys& keys_of_contacts = call.api->gateway.subject_keys();
  auto sealed = [call = std::move(call), command = std::move(command), registry = std::move(registry),
                 order = std::move(order)](Result<std::vector<keyring::SubjectKey>> made) mutable {
    if (!made) return Refuse(call, made.error());
    gateway::Seal(command, *registry, call.caller.tenant, (*made)[0], call.api->parts.entropy);
    order.payload = command.SerializeAsString();
    Submit(std::move(call), std::move(order));
  };
  keys_of_contacts.Get(tenant, {std::move(subject)}, std::move(sealed));
}

Json ContactJson(const Rows& rows, size_t row) {
  Json out;
  out["id"] = CellJson("contact_id", rows.at(row, "contact_id"));
  out["email"] = CellJson("address", rows.at(row, "address"));
  Json attributes = Json::object();
  for (const char* column : {"attributes", "personal_attributes"}) {
    const Json part = Json::parse(rows.at(row, column).bytes, nullptr, false);
    if (part.is_object()) attributes.update(part);
  }
  out["attributes"] = std::move(attributes);
  for (const char* column : {"source", "created_at_us", "changed_at_us", "unsubscribed_at_us", "suppressed_reason", "suppressed_at_us"}) {
    out[MemberOf(column)] = CellJson(column, rows.at(row, column));
  }
  return out;
}

// What happened to a contact, the newest first.
void ListNewest(Call call, std::string query, std::string key) {
  ListOf(std::move(call), "contact", "contact_id",
         {.query = std::move(query), .key = {std::move(key)}, .key_parameters = {"before"}, .first = {Value::Integer(INT64_MAX)}});
}

}  // namespace

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
  if (call.request.Query("email")) return ListByEmail(std::move(call), "contact_by_key", ContactJson);
  List(std::move(call), {.query = "contacts", .key = {"contact_id"}, .row = ContactJson});
}

void ShowContact(Call call) {
  Show(std::move(call), "contact", "contact_id", "contact", [](Call& c, const Rows& found, const Parameter& which) -> Result<Json> {
    MAILY_TRY(const Rows lists, QueryOwn(c, "lists_of_contact", {which}));
    Json body = ContactJson(found, 0);
    body["lists"] = RowsJson(lists, "list_id");
    return body;
  });
}

void ListContactSends(Call call) { ListNewest(std::move(call), "sends_of_contact", "campaign_id"); }
void ListContactEngagements(Call call) { ListNewest(std::move(call), "engagements_of_contact", "sequence"); }

}  // namespace maily::api
