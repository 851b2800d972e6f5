// Suppressions: addresses and domains that are not mailed.
#include "schemas/suppressions.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "api/body.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/suppressions/v1/commands.pb.h"
#include "schemas/keys.h"
#include "schemas/sealed.h"

namespace maily::api {
namespace {

using gateway::Order;
using gateway::Outcome;
using gateway::Verdict;
using suppressions::v1::Stream;

constexpr size_t kSuppressionsMax = 1000;
constexpr size_t kNoteBytesMax = 500;

// One of a body: an address, or a domain. Its key is not known yet.
struct Wanted {
  std::optional<schema::Address> address;
  std::string domain;  // if there is no address
  std::string reason;
  Stream stream = suppressions::v1::ALL;
  std::string source;
  std::string note;
};

// "@Example.com" or "example.com", in A-labels and lower case; none: it is no domain.
std::optional<std::string> DomainIn(std::string_view text) {
  if (text.starts_with('@')) text.remove_prefix(1);
  const auto parsed = schema::ParseAddress("x@" + std::string(text));
  if (!parsed) return std::nullopt;
  return parsed->domain;
}

// One of `words`, or the first of them if the member is not there.
template <size_t kCount>
std::string ReadWord(Members& members, const std::string& name, const std::string& code, const std::string_view (&words)[kCount]) {
  const auto given = members.Text(name, kNameBytesMax);
  if (!given) return std::string(words[0]);
  if (std::ranges::find(words, *given) == std::end(words))
    members.Violation(name, code, fmt::format("is one of {}", fmt::join(words, ", ")));
  return *given;
}

constexpr std::string_view kStreams[] = {"all", "marketing", "transactional"};

Wanted ReadOne(Members& members) {
  Wanted wanted;
  if (members.Has("domain")) {
    const auto text = members.Text("domain", kEmailBytesMax);
    const auto domain = text ? DomainIn(*text) : std::nullopt;
    if (domain) wanted.domain = *domain;
    if (text && !domain) members.Violation("domain", "invalid_domain", "a domain like example.com");
    if (members.Text("email", kEmailBytesMax)) members.Violation("domain", "twice", "name an address or a domain, not both");
  } else {
    wanted.address = members.Email("email");
  }
  wanted.reason = ReadWord(members, "reason", "unknown_reason", schema::kSuppressionReasons);
  wanted.stream = schema::StreamOf(ReadWord(members, "stream", "unknown_stream", kStreams)).value_or(suppressions::v1::ALL);
  wanted.source = ReadWord(members, "source", "unknown_source", schema::kSuppressionSources);
  wanted.note = members.Text("note", kNoteBytesMax).value_or("");
  return wanted;
}

suppressions::v1::AddSuppression CommandOf(const Wanted& wanted, const keyring::TenantKeys& keys) {
  suppressions::v1::AddSuppression command;
  command.set_contact_key(schema::ContactKey(keys, wanted.address->normalised));
  command.set_domain_key(schema::DomainKey(keys, wanted.address->domain));
  command.set_address(wanted.address->spelled);
  command.set_reason(wanted.reason);
  command.set_stream(wanted.stream);
  command.set_source(wanted.source);
  command.set_note(wanted.note);
  return command;
}

Order DomainOrderOf(const Wanted& wanted, TenantId tenant, const keyring::TenantKeys& keys) {
  suppressions::v1::AddDomainSuppression command;
  command.set_domain(wanted.domain);
  command.set_domain_key(schema::DomainKey(keys, wanted.domain));
  command.set_reason(wanted.reason);
  command.set_stream(wanted.stream);
  command.set_source(wanted.source);
  command.set_note(wanted.note);
  return gateway::PlainOrder(command, schema::HomeKey(tenant));
}

// Addresses and notes are sealed under the keys of their contacts, which are durable then: with the contact's erasure they are gone too,
// and the keyed hash stays. A dry run makes no keys.
void WithOrders(Call call, const std::vector<Wanted>& all, std::move_only_function<void(Call call, std::vector<Order> orders)> then) {
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  std::vector<Order> orders;
  std::vector<suppressions::v1::AddSuppression> commands;
  std::vector<std::string> subjects;
  std::vector<size_t> places;  // of the commands among the orders
  for (const Wanted& wanted : all) {
    if (!wanted.address) {
      orders.push_back(DomainOrderOf(wanted, call.caller.tenant, **keys));
      continue;
    }
    commands.push_back(CommandOf(wanted, **keys));
    subjects.push_back(commands.back().contact_key());
    places.push_back(orders.size());
    orders.push_back(gateway::PlainOrder(commands.back(), commands.back().contact_key()));
  }
  if (subjects.empty() || call.dry_run()) return then(std::move(call), std::move(orders));
  gateway::SubjectKeys& keys_of_contacts = call.api->gateway.subject_keys();
  const TenantId tenant = call.caller.tenant;
  keys_of_contacts.Get(tenant, std::move(subjects),
                       [call = std::move(call), orders = std::move(orders), commands = std::move(commands), places = std::move(places),
                        then = std::move(then)](Result<std::vector<keyring::SubjectKey>> made) mutable {
                         if (!made) return Refuse(call, made.error());
                         for (size_t i = 0; i < commands.size(); ++i) {
                           schema::SealPersonal(commands[i], call.caller.tenant, (*made)[i], call.api->parts.entropy);
                           orders[places[i]].payload = commands[i].SerializeAsString();
                         }
                         then(std::move(call), std::move(orders));
                       });
}

void AnswerAdded(Call& call, std::vector<Verdict>& verdicts) {
  size_t added = 0;
  size_t unchanged = 0;
  size_t pending = 0;  // durable, and not decided in time
  Json refused = Json::array();
  for (size_t i = 0; i < verdicts.size(); ++i) {
    const Verdict& verdict = verdicts[i];
    if (verdict.kind == Verdict::Kind::kUnavailable) {
      return Refuse(call, http::Problem{.status = 503,
                                        .code = "unavailable",
                                        .message = "not all were taken: " + verdict.answer + "; send it again, it is harmless"});
    }
    if (verdict.kind == Verdict::Kind::kPending) {
      ++pending;
      continue;
    }
    if (!IsDone(verdict)) {
      const Json body = BodyOf(verdict);
      refused.push_back({{"index", i}, {"code", body.value("code", "")}, {"message", body.value("message", "")}});
    }
    if (verdict.decided() == Outcome::kDone) ++added;
    if (verdict.decided() == Outcome::kUnchanged) ++unchanged;
  }
  Json body{{"suppressions", verdicts.size()}, {"added", added}, {"unchanged", unchanged}};
  if (pending > 0) body["pending"] = pending;
  if (!refused.empty()) body["refused"] = std::move(refused);
  Answer(call, 200, body, TokenOf(call, verdicts));
}

// An entry: of an address, which is null once nobody can open it any more, or of a domain.
Json SuppressionJson(const Rows& rows, size_t row) {
  Json out;
  const bool of_domain = rows.at(row, "domain").type != sql::Type::kNull;
  out["email"] = CellJson("address", rows.at(row, "address"));
  for (const char* column : {"domain", "stream", "reason", "note", "source", "added_by", "added_at_us"})
    out[MemberOf(column)] = CellJson(column, rows.at(row, column));
  out["contact_key"] = of_domain ? Json() : CellJson("entry_key", rows.at(row, "entry_key"));
  return out;
}

bool Stops(const Rows& rows, size_t row, std::string_view stream) {
  const std::string& of = rows.at(row, "stream").bytes;
  return of == "all" || of == stream;
}

// What DELETE lifts, of a domain; none: the call was refused.
std::optional<std::string> DomainOf(Call& call, const std::string& text) {
  auto domain = DomainIn(text);
  if (!domain) Refuse(call, BadParameter("domain", "a domain like example.com", 422));
  return domain;
}

}  // namespace

void AddSuppression(Call call) {
  Body body(call);
  Wanted wanted = ReadOne(body);
  if (!body.Accepted(call)) return;
  Json more;
  if (wanted.address) more["email"] = body.object()["email"];
  if (!wanted.address) more["domain"] = wanted.domain;
  more.update({{"reason", wanted.reason}, {"stream", schema::StreamName(wanted.stream)}, {"suppressed", true}});
  std::vector<Wanted> one;
  one.push_back(std::move(wanted));
  WithOrders(std::move(call), one, [more = std::move(more)](Call c, std::vector<Order> orders) mutable {
    Submit(std::move(c), std::move(orders[0]), {.more = std::move(more)});
  });
}

void AddSuppressions(Call call) {
  Body body(call);
  std::vector<Wanted> all;
  body.Each("suppressions", kSuppressionsMax, [&all](Members& one) { all.push_back(ReadOne(one)); }, kRequired);
  if (!body.Accepted(call)) return;
  WithOrders(std::move(call), all,
             [](Call c, std::vector<Order> orders) { SubmitBatch(std::move(c), std::move(orders), kDecisionTimeout, AnswerAdded); });
}

void ListSuppressions(Call call) {
  if (call.request.Query("email")) return ListByEmail(std::move(call), "suppression", SuppressionJson);
  const std::string reason = call.request.Query("reason").value_or("");
  if (!reason.empty() && std::ranges::find(schema::kSuppressionReasons, reason) == std::end(schema::kSuppressionReasons))
    return Refuse(call, BadParameter("reason", fmt::format("is one of {}", fmt::join(schema::kSuppressionReasons, ", ")), 422));
  int64_t since_us = 0;
  if (const auto since = call.request.Query("since")) {
    const auto parsed = ParseRfc3339(*since);
    if (!parsed) return Refuse(call, BadParameter("since", "a time like 2026-11-21T05:00:00Z", 422));
    since_us = *parsed;
  }
  Paging paging{.query = "suppressions",
                .key = {"added_at_us", "entry_key"},
                .key_parameters = {"after_at", "after"},
                .first = {Value::Integer(since_us), Value::Blob("")},
                .fixed = {{"reason", Value::Text(reason)}},
                .row = SuppressionJson};
  if (const auto text = call.request.Query("domain")) {
    const auto domain = DomainOf(call, *text);
    if (!domain) return;
    const auto keys = KeysOf(call);
    if (!keys) return Refuse(call, keys.error());
    paging.query = "suppressions_of_domain";
    paging.fixed.push_back({"domain_key", Value::Blob(schema::DomainKey(**keys, *domain))});
  }
  List(std::move(call), std::move(paging));
}

void CheckSuppression(Call call) {
  const auto contact_key = KeyOfEmail(call);
  if (!contact_key) return;
  const auto address = schema::ParseAddress(*call.request.Query("email"));
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  std::vector<Parameter> of = {{"contact_key", Value::Blob(*contact_key)},
                               {"domain_key", Value::Blob(schema::DomainKey(**keys, address->domain))}};
  Read(std::move(call), "suppressions_of_address", [of = std::move(of)](Call& c) -> Result<Json> {
    MAILY_TRY(const Rows rows, QueryOwn(c, "suppressions_of_address", of));
    Json streams{{"marketing", false}, {"transactional", false}};
    Json entries = Json::array();
    for (size_t row = 0; row < rows.size(); ++row) {
      for (auto& [stream, stopped] : streams.items()) stopped = stopped.get<bool>() || Stops(rows, row, stream);
      entries.push_back(SuppressionJson(rows, row));
    }
    return Json{{"suppressed", !rows.empty()}, {"streams", std::move(streams)}, {"entries", std::move(entries)}};
  });
}

void RemoveSuppression(Call call) {
  const auto of_domain = call.request.Query("domain");
  if (of_domain && call.request.Query("email")) return Refuse(call, BadParameter("domain", "name an address or a domain, not both", 422));
  const std::string why = call.request.Query("reason").value_or("");
  const auto key = of_domain ? std::optional<std::string>() : KeyOfEmail(call);
  const auto domain = of_domain ? DomainOf(call, *of_domain) : std::optional<std::string>();
  if (!key && !domain) return;
  if (why.empty()) return Refuse(call, BadParameter("reason", "say why it is lifted: &reason=…", 422));
  if (key) {
    suppressions::v1::RemoveSuppression command;
    command.set_contact_key(*key);
    command.set_reason(why);
    return Submit(std::move(call), command, *key, {.status = 204, .also_done = "not_suppressed"});
  }
  suppressions::v1::RemoveDomainSuppression command;
  command.set_domain(*domain);
  command.set_reason(why);
  SubmitHome(std::move(call), command, {.status = 204, .also_done = "not_suppressed"});
}

}  // namespace maily::api
