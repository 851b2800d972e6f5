// See contact_address.h.
#include "api/contact_address.h"

#include "api/body.h"
#include "api/contact_gone.h"
#include "api/contact_outcome.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/contacts/v1/commands.pb.h"
#include "schemas/keys.h"
#include "schemas/sealed.h"

namespace maily::api {
namespace {

using gateway::Order;
using gateway::Verdict;

std::string UrlOf(uint64_t id) { return fmt::format("/v1/contacts/{}/address", id); }

std::string_view SentenceOf(std::string_view code) {
  if (code == "address_taken")
    return "another contact has this address; merge one into the other (POST /v1/contacts/{id}/merge), or erase one of them";
  if (code == "address_suppressed") return "this address, or its domain, is suppressed; lift that first, or take another";
  if (code == "contact_suppressed")
    return "this person has said meanwhile that they want no mail, which another address would undo; lift that first";
  if (code == "erased") return "whose address this was has been erased; only they can come back, by consent given anew";
  return "the contact cannot have this address";
}

http::Problem RefusalOf(const std::string& code, const Value& other) {
  http::Problem problem{.status = 409, .code = code, .message = std::string(SentenceOf(code))};
  if (other.type != sql::Type::kNull) {
    problem.details.push_back({.path = "/email", .code = code, .hint = fmt::format("contact {} has it", other.integer)});
  }
  return problem;
}

// The newest change that was asked for: null, or {"state": "asked" | "changed" | "refused", …}. Blocking.
Result<Rows> NewestChange(Call& call, uint64_t id) { return QueryOwn(call, "address_change", {{"contact_id", Number(id)}}); }

ContactQuestion QuestionOf(uint64_t id) {
  return {
      .contact_id = id, .query = "address_change", .url = UrlOf(id), .outcome = [id](const Rows& change) -> std::optional<ContactOutcome> {
        const std::string state = change.empty() ? "asked" : change.at(0, "state").bytes;
        if (state == "refused") return RefusalOf(change.at(0, "code").bytes, change.at(0, "other_contact_id"));
        if (state == "changed") return Json{{"id", std::to_string(id)}, {"result", "changed"}};
        return std::nullopt;
      }};
}

// What a dry run can foresee: nobody else has the address as far as the view shows, and it is not suppressed.
void Foresee(Call call, const contacts::v1::ChangeAddress& command, uint64_t id, const Order& order) {
  call.api->blocking().Post([call = std::move(call), command, id, order]() mutable {
    const auto contact = QueryOwn(call, "contact", {{"contact_id", Number(id)}});
    if (!contact) return Refuse(call, contact.error());
    if (contact->empty()) {
      const auto erased = FindErased(call, id);
      if (!erased) return Refuse(call, erased.error());
      return Refuse(call, *erased ? GoneProblem() : NoSuch("contact"));
    }
    const auto other = QueryOwn(call, "contact_by_key", {{"contact_key", Value::Blob(command.contact_key())}});
    if (!other) return Refuse(call, other.error());
    if (!other->empty() && other->at(0, "contact_id").integer != static_cast<int64_t>(id))
      return Refuse(call, RefusalOf("address_taken", other->at(0, "contact_id")));
    const auto suppressed =
        QueryOwn(call, "suppressions_of_address",
                 {{"contact_key", Value::Blob(command.contact_key())}, {"domain_key", Value::Blob(command.domain_key())}});
    if (!suppressed) return Refuse(call, suppressed.error());
    if (!suppressed->empty()) return Refuse(call, RefusalOf("address_suppressed", Value::Null()));
    AnswerDry(call, std::span(&order, 1), Json{{"id", std::to_string(id)}});
  });
}

}  // namespace

void ChangeContactAddress(Call call) {
  Body body(call);
  if (!body.Parsed(call)) return;
  const auto id = IdParam(call);
  const schema::ContactId contact = schema::UnpackContactId(id.value_or(0));
  if (!id || contact.ordinal == 0 || contact.partition.value() >= call.api->gateway.log().partition_count)
    return Refuse(call, NoSuch("contact"));
  const auto address = body.Email("email");
  if (!body.Accepted(call)) return;
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  contacts::v1::ChangeAddress command;
  command.set_ordinal(contact.ordinal);
  command.set_contact_key(schema::ContactKey(**keys, address->normalised));
  command.set_domain_key(schema::DomainKey(**keys, address->domain));
  command.set_address(address->spelled);
  command.set_source("api");
  Order order = gateway::PlainOrder(command, "");  // of the plaintext: a repeat is recognised
  order.partition = contact.partition;
  if (call.dry_run()) return Foresee(std::move(call), command, *id, order);
  const TenantId tenant = call.caller.tenant;
  gateway::SubjectKeys& keys_of_contacts = call.api->gateway.subject_keys();
  std::string subject = command.contact_key();
  auto sealed = [call = std::move(call), command = std::move(command), order = std::move(order),
                 id = *id](Result<std::vector<keyring::SubjectKey>> made) mutable {
    if (!made) return Refuse(call, made.error());
    schema::SealPersonal(command, call.caller.tenant, (*made)[0], call.api->parts.entropy);
    order.payload = command.SerializeAsString();
    SubmitBatch(std::move(call), {std::move(order)}, kDecisionTimeout,
                [id](Call& c, std::vector<Verdict>& verdicts) { AnswerOutcome(c, verdicts, QuestionOf(id)); });
  };
  keys_of_contacts.Get(tenant, {std::move(subject)}, std::move(sealed));
}

void ShowContactAddress(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("contact"));
  ReadOfContact(std::move(call), *id, "address_change", [id = *id](Call& c, const Rows& found) -> Result<Json> {
    MAILY_TRY(const Rows change, NewestChange(c, id));
    Json body{{"id", std::to_string(id)}, {"email", CellJson("address", found.at(0, "address"))}};
    if (change.empty()) return body;
    body["change"] = {{"state", change.at(0, "state").bytes},
                      {"code", change.at(0, "code").bytes},
                      {"other_contact_id", change.at(0, "other_contact_id").type == sql::Type::kNull
                                               ? Json()
                                               : Json(std::to_string(change.at(0, "other_contact_id").integer))},
                      {"asked_at", CellJson("asked_at_us", change.at(0, "asked_at_us"))},
                      {"decided_at", CellJson("decided_at_us", change.at(0, "decided_at_us"))}};
    return body;
  });
}

}  // namespace maily::api
