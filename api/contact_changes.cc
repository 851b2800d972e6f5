// Contacts by their ids: merged into, and erased.
#include "api/body.h"
#include "api/contact_gone.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/contacts/v1/commands.pb.h"
#include "schemas/keys.h"

namespace maily::api {
namespace {

using gateway::Order;
using gateway::Registry;
using gateway::Verdict;
using nlohmann::json;

constexpr Duration kContactWait = Seconds(2);  // for one that was made just now
constexpr size_t kTagsMax = 100;               // more are refused (contacts::kTagsMax)
constexpr size_t kTagBytesMax = 40;

// The contact of the id in the path; none: it is none that can be.
std::optional<schema::ContactId> ContactParam(const Call& call) {
  const auto id = IdParam(call);
  if (!id) return std::nullopt;
  const schema::ContactId contact = schema::UnpackContactId(*id);
  if (contact.ordinal == 0 || contact.partition.value() >= call.api->gateway.log().partition_count) return std::nullopt;
  return contact;
}

void ReadMerged(Body& body, const Registry& registry, contacts::v1::PatchContact& command) {
  if (body.Has("email")) {
    body.Violation("email", "address_change", "an address is changed by POST /v1/contacts/{id}/address: another contact may have it");
  }
  if (const json* attributes = body.Object("attributes")) {
    for (const auto& [name, value] : attributes->items()) {
      if (!gateway::IsAttributeName(name)) {
        body.Violation("attributes/" + name, "invalid_name", std::string(gateway::kAttributeNameHint));
      } else if (const auto set = gateway::AttributeFromJson(registry, name, value, *command.add_attributes()); !set) {
        body.Violation("attributes/" + name, "wrong_type", set.error().message);
      }
    }
  }
  for (const auto& [member, tags] :
       {std::pair{"add_tags", command.mutable_add_tags()}, std::pair{"remove_tags", command.mutable_remove_tags()}}) {
    if (const auto given = body.Texts(member, kTagsMax)) tags->Assign(given->begin(), given->end());
  }
}

// The contact key, from the view; waited for once if the contact may be new. Refuses the call otherwise: 404, 410.
void WithContactKey(Call call, uint64_t id, bool waited, std::move_only_function<void(Call call, std::string contact_key)> then) {
  const auto found = QueryOwn(call, "contact", {{"contact_id", Number(id)}});
  if (!found) return Refuse(call, found.error());
  if (!found->empty()) return then(std::move(call), found->at(0, "contact_key").bytes);
  const auto erased = FindErased(call, id);
  if (!erased) return Refuse(call, erased.error());
  if (*erased) return Refuse(call, GoneProblem());
  if (waited) return Refuse(call, NoSuch("contact"));
  AfterOwnWrites(std::move(call), "contact", kContactWait,
                 [id, then = std::move(then)](Call c, bool) mutable { WithContactKey(std::move(c), id, true, std::move(then)); });
}

void Patch(Call call, Body& body, std::shared_ptr<const Registry> registry, const schema::ContactId& contact) {
  contacts::v1::PatchContact command;
  command.set_ordinal(contact.ordinal);
  command.set_source("api");
  ReadMerged(body, *registry, command);
  if (!body.Accepted(call)) return;
  Executor& blocking = call.api->blocking();
  auto known = [command = std::move(command), registry = std::move(registry), contact](Call c, std::string contact_key) mutable {
    const auto keys = KeysOf(c);
    if (!keys) return Refuse(c, keys.error());
    gateway::Identify(command, *registry, contact_key, **keys);
    Order order = gateway::PlainOrder(command, "");
    order.partition = contact.partition;
    Shape shape{.more = Json{{"id", std::to_string(schema::PackContactId(contact))}}};
    // Without personal values no key is wanted; in a dry run it would be durable.
    if (c.dry_run() || command.personal_digest().empty()) return Submit(std::move(c), std::move(order), std::move(shape));
    const TenantId tenant = c.caller.tenant;
    gateway::SubjectKeys& keys_of_contacts = c.api->gateway.subject_keys();
    auto sealed = [c = std::move(c), command = std::move(command), registry = std::move(registry), order = std::move(order),
                   shape = std::move(shape)](Result<std::vector<keyring::SubjectKey>> made) mutable {
      if (!made) return Refuse(c, made.error());
      gateway::Seal(command, *registry, c.caller.tenant, (*made)[0], c.api->parts.entropy);
      order.payload = command.SerializeAsString();
      Submit(std::move(c), std::move(order), std::move(shape));
    };
    keys_of_contacts.Get(tenant, {std::move(contact_key)}, std::move(sealed));
  };
  blocking.Post([call = std::move(call), id = schema::PackContactId(contact), known = std::move(known)]() mutable {
    WithContactKey(std::move(call), id, false, std::move(known));
  });
}

// 202 with the receipt as far as the view shows it; it is there for good under /erasure.
void AnswerErased(Call& call, uint64_t id, const Verdict& verdict) {
  Json body{{"id", std::to_string(id)}, {"status", "erased"}};
  const std::string url = fmt::format("/v1/contacts/{}/erasure", id);
  body["status_url"] = url;
  const auto erased = FindErased(call, id);
  if (erased && *erased) body["receipt"] = **erased;
  http::Headers headers = TokenOf(call, std::span(&verdict, 1));
  headers.Add("location", url);
  Answer(call, 202, body, std::move(headers));
}

void Erased(Call& call, uint64_t id, std::vector<Verdict>& verdicts) {
  const Verdict verdict = std::move(verdicts.front());
  if (verdict.kind == Verdict::Kind::kUnavailable) {
    http::Problem problem{.status = 503, .code = "unavailable", .message = "whether it will be erased is not known; ask again"};
    problem.headers.Add("retry-after", "1");
    return Refuse(call, problem);
  }
  if (verdict.kind == Verdict::Kind::kDecided && !IsDone(verdict)) {
    const Json body = BodyOf(verdict);
    return Refuse(
        call,
        http::Problem{.status = body.value("status", 409), .code = body.value("code", "refused"), .message = body.value("message", "")});
  }
  std::vector<CommandAt> at;
  if (verdict.at) at.push_back(*verdict.at);
  projections::Views& views = call.api->parts.views;
  Executor& blocking = call.api->blocking();
  views.freshness().Wait(views.GroupOf("erased_contact"), std::move(at), kContactWait, blocking,
                         [call = std::move(call), id, verdict](bool) mutable { AnswerErased(call, id, verdict); });
}

}  // namespace

Result<std::optional<Json>> FindErased(Call& call, uint64_t id) {
  MAILY_TRY(const Rows rows, QueryOwn(call, "erased_contact", {{"contact_id", Number(id)}}));
  if (rows.empty()) return std::optional<Json>();
  const int64_t partition = rows.at(0, "partition").integer;
  const int64_t lsn = rows.at(0, "lsn").integer;
  const bool done = rows.at(0, "keys_destroyed_at_us").type != sql::Type::kNull;
  return std::optional(Json{{"contact_id", std::to_string(id)},
                            {"erased_at", CellJson("erased_at_us", rows.at(0, "erased_at_us"))},
                            {"keys_destroyed", done},
                            {"keys_destroyed_at", CellJson("keys_destroyed_at_us", rows.at(0, "keys_destroyed_at_us"))},
                            {"partition", partition},
                            {"lsn", lsn},
                            {"event_id", fmt::format("{}-{}.{}", partition, lsn, rows.at(0, "place").integer)},
                            {"hash", rows.at(0, "chain").bytes}});
}

http::Problem GoneProblem() { return {.status = 410, .code = "erased", .message = "this contact was erased"}; }

void AnswerOfContact(Call call, uint64_t id, std::string_view query, ContactAnswerFn answer) {
  AnswerFresh(std::move(call), query, [id, answer = std::move(answer)](Call& c, http::Headers headers) mutable {
    const auto found = QueryOwn(c, "contact", {{"contact_id", Number(id)}});
    if (!found) return Refuse(c, found.error(), std::move(headers));
    if (!found->empty()) return answer(c, *found, std::move(headers));
    const auto erased = FindErased(c, id);
    if (!erased) return Refuse(c, erased.error(), std::move(headers));
    http::Problem problem = *erased ? GoneProblem() : NoSuch("contact");
    problem.headers = std::move(headers);
    Refuse(c, problem);
  });
}

void ReadOfContact(Call call, uint64_t id, std::string_view query, ContactFn read) {
  AnswerOfContact(std::move(call), id, query, [read = std::move(read)](Call& c, const Rows& found, http::Headers headers) mutable {
    const auto body = read(c, found);
    if (!body) return Refuse(c, body.error(), std::move(headers));
    Answer(c, 200, *body, std::move(headers));
  });
}

void PatchContact(Call call) {
  auto body = std::make_unique<Body>(call);
  if (!body->Parsed(call)) return;
  const auto contact = ContactParam(call);
  if (!contact) return Refuse(call, NoSuch("contact"));
  gateway::Gateway& gateway = call.api->gateway;
  const TenantId tenant = call.caller.tenant;
  gateway.WithAttributes(tenant, [call = std::move(call), body = std::move(body),
                                  contact = *contact](Result<std::shared_ptr<const Registry>> registry) mutable {
    if (!registry) return Refuse(call, registry.error());
    Patch(std::move(call), *body, std::move(*registry), contact);
  });
}

void EraseContact(Call call) {
  const auto contact = ContactParam(call);
  if (!contact) return Refuse(call, NoSuch("contact"));
  contacts::v1::EraseContact command;
  command.set_ordinal(contact->ordinal);
  Order order = gateway::PlainOrder(command, "");
  order.partition = contact->partition;
  SubmitBatch(std::move(call), {std::move(order)}, kDecisionTimeout,
              [id = schema::PackContactId(*contact)](Call& c, std::vector<Verdict>& verdicts) { Erased(c, id, verdicts); });
}

void ShowErasure(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("erasure"));
  Read(std::move(call), "erased_contact", [id = *id](Call& c) -> Result<Json> {
    MAILY_TRY(auto erased, FindErased(c, id));
    if (!erased) return Missing("erasure");
    return *std::move(erased);
  });
}

}  // namespace maily::api
