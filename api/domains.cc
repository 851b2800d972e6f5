// Sending domains: their keys, the DNS records that go with them, and whether these are there.
#include <algorithm>

#include "api/body.h"
#include "api/domain_check.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/domains/v1/commands.pb.h"
#include "schemas/address.h"
#include "schemas/keys.h"
#include "schemas/sealed.h"

namespace maily::api {
namespace {

constexpr size_t kDomainBytesMax = 253;
// Together with the wait for what was asked before, and the decision: 15 s.
constexpr Duration kCheckTimeout = Seconds(12);

// The name in the path, in lower case and A-labels; as it is if it is none, and then no domain is called so.
std::string NameOf(const Call& call) {
  const std::string name(call.request.Param("name"));
  const auto parsed = schema::ParseAddress("x@" + name);
  return parsed ? parsed->domain : name;
}

Parameter NameIs(const std::string& name) { return {"name", Value::Text(name)}; }

// What the DNS has to say, a row a record. `mail_host`: where bounces are taken in; empty: nowhere yet.
Json RecordsOf(const std::string& name, const Rows& domain, const Rows& keys, const std::string& mail_host) {
  Json records = Json::array();
  const auto add = [&](const char* purpose, const std::string& type, const std::string& at, const std::string& value, const char* note) {
    records.push_back({{"purpose", purpose}, {"type", type}, {"name", at}, {"value", value}, {"note", note}});
  };
  for (size_t row = 0; row < keys.size(); ++row) {
    const bool pending = keys.at(row, "active_from_us").type == sql::Type::kNull;
    const bool retired = keys.at(row, "active_to_us").type != sql::Type::kNull;
    add("dkim", "TXT", keys.at(row, "selector").bytes + "._domainkey." + name, keys.at(row, "dns_value").bytes,
        retired   ? "replaced; keep it until mails signed with it have arrived, two weeks"
        : pending ? "new; activate it once it is published"
                  : "signs now");
  }
  add("dmarc", "TXT", "_dmarc." + name, "v=DMARC1; p=none", "the least that Gmail and Yahoo want; add rua=mailto:… to get reports");
  const std::string return_path = domain.at(0, "return_path").bytes;
  const std::string spf = return_path.empty() ? name : return_path;
  add("spf", "TXT", spf, "v=spf1 a mx ~all", "name every address that mails leave from: ip4:…, ip6:… or include:…");
  if (!return_path.empty()) {
    add("return_path", "MX", return_path, mail_host.empty() ? "10 <host where Maily takes mail in>" : "10 " + mail_host,
        "where bounces go to");
  }
  return records;
}

Result<Json> DomainJson(Call& call, const std::string& name) {
  MAILY_TRY(const Rows domain, QueryOwn(call, "domain", {NameIs(name)}));
  if (domain.empty()) return Missing("domain");
  MAILY_TRY(const Rows keys, QueryOwn(call, "domain_keys", {NameIs(name)}));
  MAILY_TRY(const Rows lines, QueryOwn(call, "domain_check_lines", {NameIs(name)}));
  Json body = RowJson(domain, 0);
  body["passed"] = domain.at(0, "passed").integer != 0;
  body["keys"] = RowsJson(keys);
  body["records"] = RecordsOf(name, domain, keys, call.api->parts.mail_host);
  body["check"] = RowsJson(lines);
  return body;
}

// Keys of a generation, made and sealed. Makes an RSA key: some 100 ms of a processor.
template <class Command>
Result<void> AddKeys(Call& call, uint32_t generation, const std::vector<std::string>& algorithms, Command& command) {
  // One key of its own for all of the domain's, so that destroying it takes them all.
  MAILY_TRY(const keyring::SubjectKey seal, call.api->parts.keyring.GetOrCreate(call.caller.tenant, "domain:" + command.name()));
  MAILY_TRY(const std::vector<SigningKeyPair> pairs, call.api->parts.make_signing_keys(generation, algorithms));
  for (const SigningKeyPair& pair : pairs) {
    domains::v1::SigningKey& key = *command.add_keys();
    key.set_selector(pair.selector);
    key.set_algorithm(pair.algorithm);
    key.set_dns_value(pair.dns_value);
    key.set_private_key(pair.private_pem);
  }
  schema::SealPersonal(command, call.caller.tenant, seal, call.api->parts.entropy);
  return Ok();
}

// Of which algorithms keys are made: all, if the request does not say.
std::vector<std::string> ReadAlgorithms(Body& body) {
  const std::vector<std::string> all = {"rsa-sha256", "ed25519-sha256"};
  const auto asked = body.Texts("algorithms", all.size());
  if (!asked) return all;
  if (asked->empty()) body.Violation("algorithms", "missing", "name one at least, or leave it out for both");
  for (const std::string& one : *asked) {
    if (std::ranges::find(all, one) == all.end())
      body.Violation("algorithms", "unknown_algorithm", "each is one of rsa-sha256, ed25519-sha256");
  }
  return *asked;
}

// The keys are by chance: the request is what was asked for, so that Idempotency-Key knows it again.
template <class Command>
void SubmitWithKeys(Call call, Command asked, uint32_t generation, const std::vector<std::string>& algorithms, Json more) {
  gateway::Order order = gateway::PlainOrder(asked, schema::HomeKey(call.caller.tenant));
  for (const std::string& one : algorithms) order.plain += one;
  if (const auto made = AddKeys(call, generation, algorithms, asked); !made) return Refuse(call, made.error());
  order.payload = asked.SerializeAsString();
  Submit(std::move(call), std::move(order), {.status = 201, .more = std::move(more)});
}

// What of the domain is to be looked at: the keys that sign, and those that will.
Result<DomainToCheck> ToCheck(Call& call, const std::string& name) {
  MAILY_TRY(const Rows domain, QueryOwn(call, "domain", {NameIs(name)}));
  if (domain.empty()) return Missing("domain");
  MAILY_TRY(const Rows keys, QueryOwn(call, "domain_keys", {NameIs(name)}));
  const Dependencies& parts = call.api->parts;
  DomainToCheck checked{.name = name,
                        .return_path = domain.at(0, "return_path").bytes,
                        .mail_host = parts.mail_host,
                        .source_addresses = parts.source_addresses,
                        .tracking_base_url = parts.tracking_base_url,
                        .live = parts.live};
  for (size_t row = 0; row < keys.size(); ++row) {
    if (keys.at(row, "active_to_us").type == sql::Type::kNull)
      checked.keys.push_back({keys.at(row, "selector").bytes, keys.at(row, "dns_value").bytes});
  }
  return checked;
}

// What was found is no part of the request that Idempotency-Key stands for.
void SubmitCheck(Call call, const std::string& name, const std::vector<RuleLine>& found) {
  domains::v1::RecordDomainCheck command;
  command.set_name(name);
  gateway::Order order = gateway::PlainOrder(command, schema::HomeKey(call.caller.tenant));
  Json lines = Json::array();
  for (const RuleLine& one : found) {
    lines.push_back({{"rule", one.rule}, {"ok", one.ok}, {"found", one.found}, {"fix", one.fix}});
    domains::v1::CheckLine& line = *command.add_lines();
    line.set_rule(one.rule);
    line.set_ok(one.ok);
    line.set_found(one.found);
    line.set_fix(one.fix);
  }
  order.payload = command.SerializeAsString();
  const bool passed = std::ranges::all_of(found, &RuleLine::ok);
  Submit(std::move(call), std::move(order), {.more = {{"name", name}, {"passed", passed}, {"lines", std::move(lines)}}});
}

}  // namespace

void AddDomain(Call call) {
  Body body(call);
  domains::v1::AddDomain command;
  if (const auto name = body.Text("name", kDomainBytesMax, kRequired)) {
    const auto parsed = schema::ParseAddress("x@" + *name);
    if (parsed) command.set_name(parsed->domain);
    if (!parsed) body.Violation("name", "invalid_domain", "a domain like example.com");
  }
  command.set_return_path("bounces." + command.name());
  if (const auto host = body.Text("return_path", kDomainBytesMax)) command.set_return_path(*host);
  std::vector<std::string> algorithms = ReadAlgorithms(body);
  if (!body.Accepted(call)) return;
  Executor& blocking = call.api->blocking();
  blocking.Post([call = std::move(call), command = std::move(command), algorithms = std::move(algorithms)]() mutable {
    const std::string path = "/v1/domains/" + command.name();
    Json more{{"name", command.name()}, {"return_path", command.return_path()}, {"records_at", path}};
    SubmitWithKeys(std::move(call), std::move(command), 1, algorithms, std::move(more));
  });
}

void ListDomains(Call call) { List(std::move(call), {.query = "domains", .key = {"name"}, .first = {Value::Text("")}}); }

void ShowDomain(Call call) {
  Read(std::move(call), "domain", [](Call& c) { return DomainJson(c, NameOf(c)); });
}

void RotateDomain(Call call) {
  AfterOwnWrites(std::move(call), "domain", Seconds(2), [](Call c, bool) {
    const std::string name = NameOf(c);
    const auto domain = QueryOwn(c, "domain", {NameIs(name)});
    if (!domain) return Refuse(c, domain.error());
    if (domain->empty()) return Refuse(c, NoSuch("domain"));
    domains::v1::AddDomainKeys command;
    command.set_name(name);
    command.set_generation(static_cast<uint32_t>(domain->at(0, "generation").integer) + 1);
    const uint32_t generation = command.generation();
    const auto keys = QueryOwn(c, "domain_keys", {NameIs(name)});
    if (!keys) return Refuse(c, keys.error());
    std::vector<std::string> algorithms;  // of the keys that sign
    for (size_t row = 0; row < keys->size(); ++row) {
      if (keys->at(row, "active_to_us").type == sql::Type::kNull) algorithms.push_back(keys->at(row, "algorithm").bytes);
    }
    SubmitWithKeys(std::move(c), std::move(command), generation, algorithms,
                   {{"name", name}, {"next", "publish the new records, see that `maily domain check` finds them, then activate"}});
  });
}

void ActivateDomain(Call call) {
  domains::v1::ActivateDomainKeys command;
  command.set_name(NameOf(call));
  SubmitHome(std::move(call), command, {.more = {{"name", command.name()}}});
}

void CheckSendingDomain(Call call) {
  if (call.api->parts.resolver == nullptr) {
    return Refuse(call, http::Problem{.status = 501, .code = "not_implemented", .message = "this process asks no DNS"});
  }
  AfterOwnWrites(std::move(call), "domain", Seconds(2), [](Call c, bool) {
    auto checked = ToCheck(c, NameOf(c));
    if (!checked) return Refuse(c, checked.error());
    const Dependencies& parts = c.api->parts;
    const std::string name = checked->name;
    CheckDomain(*std::move(checked), *parts.resolver, parts.executor, kCheckTimeout,
                [c = std::move(c), name](const std::vector<RuleLine>& lines) mutable { SubmitCheck(std::move(c), name, lines); });
  });
}

void RemoveDomain(Call call) {
  domains::v1::RemoveDomain command;
  command.set_name(NameOf(call));
  SubmitHome(std::move(call), command, {.status = 204});
}

}  // namespace maily::api
