// See contact_merge.h.
#include "api/contact_merge.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "api/body.h"
#include "api/contact_gone.h"
#include "api/contact_outcome.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/contacts/v1/commands.pb.h"
#include "schemas/keys.h"

namespace maily::api {
namespace {

using gateway::Order;
using gateway::Verdict;

constexpr size_t kIntoBytesMax = 320;   // an address, or the digits of an id
constexpr int64_t kCampaignsMax = 200;  // more are refused (contacts::kMergeCampaignsMax)

std::string UrlOf(uint64_t id) { return fmt::format("/v1/contacts/{}/merge", id); }

int StatusOf(std::string_view code) {
  if (code == "unknown_contact") return 404;
  if (code == "erased") return 410;
  return code.starts_with("too_m") || code == "contact_too_large" ? 422 : 409;
}

http::Problem RefusalOf(const std::string& code, std::string message, const Value& other) {
  http::Problem problem{.status = StatusOf(code), .code = code, .message = std::move(message)};
  if (other.type != sql::Type::kNull) {
    problem.details.push_back(
        {.path = "/into", .code = code, .hint = fmt::format("merge into contact {}, which it was merged into", other.integer)});
  }
  return problem;
}

// The newest merge that was asked for: null, or {"state": "asked" | "merged" | "refused", …}. Blocking.
Result<Rows> NewestMerge(Call& call, uint64_t id) { return QueryOwn(call, "contact_merge", {{"contact_id", Number(id)}}); }

bool IsOver(const Rows& merge) {
  if (merge.empty() || merge.at(0, "state").bytes == "asked") return false;
  return merge.at(0, "state").bytes == "refused" || merge.at(0, "taken_at_us").type != sql::Type::kNull;
}

Json MergeJson(const Rows& merge) {
  Json out{{"state", IsOver(merge) || merge.at(0, "state").bytes == "asked" ? merge.at(0, "state").bytes : "merging"},
           {"into", std::to_string(merge.at(0, "into_id").integer)},
           {"code", merge.at(0, "code").bytes},
           {"message", merge.at(0, "message").bytes},
           {"asked_at", CellJson("asked_at_us", merge.at(0, "asked_at_us"))},
           {"decided_at", CellJson("decided_at_us", merge.at(0, "decided_at_us"))}};
  out["other_contact_id"] =
      merge.at(0, "other_contact_id").type == sql::Type::kNull ? Json() : Json(std::to_string(merge.at(0, "other_contact_id").integer));
  if (merge.at(0, "left_out").type != sql::Type::kNull) out["left_out"] = Json::parse(merge.at(0, "left_out").bytes, nullptr, false);
  return out;
}

ContactQuestion QuestionOf(uint64_t id) {
  return {
      .contact_id = id, .query = "contact_merge", .url = UrlOf(id), .outcome = [id](const Rows& merge) -> std::optional<ContactOutcome> {
        if (!IsOver(merge)) return std::nullopt;
        if (merge.at(0, "state").bytes == "refused")
          return RefusalOf(merge.at(0, "code").bytes, merge.at(0, "message").bytes, merge.at(0, "other_contact_id"));
        Json body{{"id", std::to_string(id)}, {"result", "merged"}};
        body["merged_into"] = std::to_string(merge.at(0, "into_id").integer);
        body["left_out"] = Json::parse(merge.at(0, "left_out").bytes, nullptr, false);
        return body;
      }};
}

// Its row of the query "contact"; none: the call was refused.
std::optional<Rows> ContactOf(Call& call, uint64_t id) {
  auto found = QueryOwn(call, "contact", {{"contact_id", Number(id)}});
  if (!found) return Refuse(call, found.error()), std::nullopt;
  if (!found->empty()) return std::optional(*std::move(found));
  const auto erased = FindErased(call, id);
  if (!erased) return Refuse(call, erased.error()), std::nullopt;
  Refuse(call, *erased ? GoneProblem() : NoSuch("contact"));
  return std::nullopt;
}

// What would come of each attribute and tag: where the other has one as well, its own stays.
Json Foreseen(const Rows& from, const Rows& into) {
  Json attributes = Json::object();
  for (const char* column : {"attributes", "personal_attributes"}) {
    const Json given = Json::parse(from.at(0, column).bytes, nullptr, false);
    const Json known = Json::parse(into.at(0, column).bytes, nullptr, false);
    if (!given.is_object()) continue;
    for (const auto& [name, value] : given.items()) attributes[name] = known.is_object() && known.contains(name) ? "stays" : "comes";
  }
  Json tags = Json::array();
  const Json given = Json::parse(from.at(0, "tags").bytes, nullptr, false);
  const Json known = Json::parse(into.at(0, "tags").bytes, nullptr, false);
  for (const Json& tag : given) {
    if (std::ranges::find(known, tag) == known.end()) tags.push_back(tag);
  }
  const auto is = [](const Rows& rows, const char* column) { return rows.at(0, column).type != sql::Type::kNull; };
  Json out{{"attributes", std::move(attributes)}, {"tags", std::move(tags)}};
  out["opted_out"] = is(from, "unsubscribed_at_us") || is(into, "unsubscribed_at_us");
  out["suppressed"] = is(into, "suppressed_reason")   ? CellJson("suppressed_reason", into.at(0, "suppressed_reason"))
                      : is(from, "suppressed_reason") ? CellJson("suppressed_reason", from.at(0, "suppressed_reason"))
                                                      : Json();
  return out;
}

// What either has withdrawn its consent to, or has not confirmed: the most restrictive wins.
Result<Json> Withdrawn(Call& call, uint64_t id, uint64_t into) {
  Json withdrawn = Json::array();
  for (const uint64_t one : {id, into}) {
    MAILY_TRY(const Rows consents, QueryOwn(call, "consents_of_contact", {{"contact_id", Number(one)}}));
    std::map<std::string, std::string> newest;
    for (size_t row = 0; row < consents.size(); ++row) {
      const int64_t list_id = consents.at(row, "list_id").integer;
      newest[list_id == 0 ? consents.at(row, "purpose").bytes : fmt::format("list/{}", list_id)] = consents.at(row, "state").bytes;
    }
    for (const auto& [purpose, state] : newest) {
      if (state != "granted" && std::ranges::find(withdrawn, Json(purpose)) == withdrawn.end()) withdrawn.push_back(purpose);
    }
  }
  return withdrawn;
}

// Which lists come, and which the other leaves: `refused` holds for both.
Json ForeseenLists(const Rows& from, const Rows& into, const Json& refused) {
  const auto ids = [](const Rows& lists) {
    std::set<int64_t> all;
    for (size_t row = 0; row < lists.size(); ++row) all.insert(lists.at(row, "list_id").integer);
    return all;
  };
  const auto may = [&](int64_t list_id) { return std::ranges::find(refused, Json(fmt::format("list/{}", list_id))) == refused.end(); };
  const std::set<int64_t> own = ids(into);
  Json out{{"come", Json::array()}, {"left", Json::array()}};
  for (const int64_t list_id : ids(from)) {
    if (!own.contains(list_id) && may(list_id)) out["come"].push_back(list_id);
  }
  for (const int64_t list_id : own) {
    if (!may(list_id)) out["left"].push_back(list_id);
  }
  return out;
}

void Foresee(Call& call, uint64_t id, uint64_t into, const Rows& from, const Rows& other, const Order& order) {
  const auto from_lists = QueryOwn(call, "lists_of_contact", {{"contact_id", Number(id)}});
  if (!from_lists) return Refuse(call, from_lists.error());
  const auto into_lists = QueryOwn(call, "lists_of_contact", {{"contact_id", Number(into)}});
  if (!into_lists) return Refuse(call, into_lists.error());
  auto refused = Withdrawn(call, id, into);
  if (!refused) return Refuse(call, refused.error());
  Json would = Foreseen(from, other);
  would["lists"] = ForeseenLists(*from_lists, *into_lists, *refused);
  would["not_granted"] = *std::move(refused);
  AnswerDry(call, std::span(&order, 1), Json{{"id", std::to_string(id)}, {"into", std::to_string(into)}, {"would", std::move(would)}});
}

// By its id, or by its address: then whoever has that, be it by a merge.
Result<std::optional<uint64_t>> IntoOf(Call& call, const std::string& text, const std::string& contact_key) {
  if (contact_key.empty()) {
    uint64_t id = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), id);
    return read.ec == std::errc() && read.ptr == text.data() + text.size() && id <= INT64_MAX ? std::optional(id) : std::nullopt;
  }
  MAILY_TRY(const Rows rows, QueryOwn(call, "contact_by_key", {{"contact_key", Value::Blob(contact_key)}}));
  return rows.empty() ? std::optional<uint64_t>() : std::optional(static_cast<uint64_t>(rows.at(0, "contact_id").integer));
}

void Merge(Call call, uint64_t id, const std::string& text, const std::string& contact_key) {
  const auto into = IntoOf(call, text, contact_key);
  if (!into) return Refuse(call, into.error());
  if (!*into) {
    return Refuse(call, Violations({{.path = "/into", .code = "unknown_contact", .hint = "is the id or the address of a contact"}}));
  }
  const auto from = ContactOf(call, id);
  if (!from) return;
  const auto other = ContactOf(call, **into);
  if (!other) return;
  const auto campaigns = QueryOwn(call, "campaigns_under_way", {{"limit", Value::Integer(kCampaignsMax)}});
  if (!campaigns) return Refuse(call, campaigns.error());
  const schema::ContactId contact = schema::UnpackContactId(id);
  const schema::ContactId target = schema::UnpackContactId(**into);
  contacts::v1::MergeContact command;
  command.set_ordinal(contact.ordinal);
  command.set_into_partition(target.partition.value());
  command.set_into_ordinal(target.ordinal);
  command.set_source("api");
  const Order plain = gateway::PlainOrder(command, "");  // a repeat is recognised, whatever campaigns are under way by then
  for (size_t row = campaigns->size(); row > 0; --row)
    command.add_campaigns(static_cast<uint64_t>(campaigns->at(row - 1, "campaign_id").integer));
  Order order = plain;
  order.payload = command.SerializeAsString();
  order.partition = contact.partition;
  if (call.dry_run()) return Foresee(call, id, **into, *from, *other, order);
  SubmitBatch(std::move(call), {std::move(order)}, kDecisionTimeout,
              [id](Call& c, std::vector<Verdict>& verdicts) { AnswerOutcome(c, verdicts, QuestionOf(id)); });
}

}  // namespace

void MergeContact(Call call) {
  Body body(call);
  if (!body.Parsed(call)) return;
  const auto id = IdParam(call);
  const schema::ContactId contact = schema::UnpackContactId(id.value_or(0));
  if (!id || contact.ordinal == 0 || contact.partition.value() >= call.api->gateway.log().partition_count)
    return Refuse(call, NoSuch("contact"));
  const auto into = body.Text("into", kIntoBytesMax, true);
  std::optional<schema::Address> address;
  if (into && into->find('@') != std::string::npos) address = body.Email("into");
  if (!body.Accepted(call)) return;
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  std::string contact_key = address ? schema::ContactKey(**keys, address->normalised) : std::string();
  AfterOwnWrites(std::move(call), "contact", kOutcomeWait, [id = *id, into = *into, contact_key = std::move(contact_key)](Call c, bool) {
    Merge(std::move(c), id, into, contact_key);
  });
}

void ShowContactMerge(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("contact"));
  ReadOfContact(std::move(call), *id, "contact_merge", [id = *id](Call& c, const Rows& found) -> Result<Json> {
    MAILY_TRY(const Rows merge, NewestMerge(c, id));
    Json body{{"id", std::to_string(id)}, {"merged_into", CellJson("merged_into", found.at(0, "merged_into"))}};
    if (!merge.empty()) body["merge"] = MergeJson(merge);
    return body;
  });
}

}  // namespace maily::api
