// See submit.h.
#include "api/submit.h"

#include <google/protobuf/message.h>

#include <algorithm>
#include <map>

#include "api/gateway/token.h"
#include "schemas/keys.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"

namespace maily::api {
namespace {

using gateway::Order;
using gateway::Outcome;
using gateway::Verdict;
using http::Problem;
using nlohmann::json;

// The members of deciders' answers that are the id of what the command was about.
constexpr std::string_view kIdMembers[] = {"campaign_id", "list_id", "template_id", "tenant_id"};

int StatusOf(Outcome outcome, std::string_view code) {
  if (code == "stale_revision") return 412;
  if (outcome == Outcome::kConflict || outcome == Outcome::kOutOfOrder) return 409;
  if (outcome == Outcome::kNotFound) return 404;
  if (outcome == Outcome::kGone) return 410;
  return outcome == Outcome::kRetryLater ? 503 : 422;
}

PartitionId PartitionFor(const Call& call, const Order& order) {
  return order.partition ? *order.partition : PartitionOf(order.key, call.api->gateway.log().partition_count);
}

bool GoesHome(const Call& call, const Order& order) {
  return PartitionFor(call, order) == schema::HomeOf(call.caller.tenant, call.api->gateway.log().partition_count);
}

// What takes the key of `order` in the tenant's home, so that another request under it is recognised whatever partition that one goes to.
Order KeyOrder(const Call& call, const Order& order) {
  Order key;
  key.type = command::kTakeKeyCommand;
  PutFixed(key.plain, order.type);
  key.plain += order.plain.empty() ? order.payload : order.plain;
  key.payload = "key";  // the plaintext is hashed, not stored
  key.key = schema::HomeKey(call.caller.tenant);
  key.natural_key = order.natural_key;
  return key;
}

// False: another request under the key is under way, and this one was refused.
bool HoldKey(Call& call, const std::string& key) {
  if (key.empty() || call.dry_run()) return true;
  call.held_key = call.api->under_way.Begin(call.caller.tenant, key);
  if (call.held_key != nullptr) return true;
  Problem problem{.status = 409,
                  .code = "request_under_way",
                  .message = "a request under this Idempotency-Key is not answered yet; send it again to get its answer"};
  problem.headers.Add("retry-after", "1");
  Refuse(call, problem);
  return false;
}

// What a decided refusal means.
Problem ProblemOf(Outcome outcome, const json& answer) {
  const std::string code = answer.value("code", outcome == Outcome::kRejected ? "rejected" : "refused");
  Problem problem{.status = StatusOf(outcome, code), .code = code, .message = answer.value("message", "the request was refused")};
  // Members besides code and message say more: {"list_id": 1} of the list that exists already; "path#code" has a code of its own.
  for (const auto& [name, value] : answer.items()) {
    if (name == "code" || name == "message") continue;
    const size_t hash = name.find('#');
    problem.details.push_back({.path = name.substr(0, hash),
                               .code = hash == std::string::npos ? problem.code : name.substr(hash + 1),
                               .hint = value.is_string() ? value.get<std::string>() : value.dump()});
  }
  return problem;
}

// The headers hold the token, which is the command's id as well.
void AnswerPending(Call& call, http::Headers headers) {
  const std::string id(headers["maily-consistency-token"]);
  if (id.empty()) return Answer(call, 202, {{"status", "pending"}});  // the tenant's keys cannot be read now
  const std::string url = "/v1/commands/" + id;
  headers.Add("location", url);
  Answer(call, 202, {{"command_id", id}, {"status", "pending"}, {"status_url", url}}, std::move(headers));
}

std::string ContactIdOf(const json& answer) {
  return std::to_string(
      schema::PackContactId({PartitionId(answer["partition"].get<uint16_t>()), answer["contact_ordinal"].get<uint64_t>()}));
}

// The answer with the member of that name, or of a contact, as "id".
Json DoneBody(const json& answer, std::string_view id_member) {
  Json body = Json::object();
  if (answer.contains(id_member)) body["id"] = answer[std::string(id_member)];
  if (answer.contains("contact_ordinal")) body["id"] = ContactIdOf(answer);
  for (const auto& [name, value] : answer.items()) {
    if (name != id_member && name != "contact_ordinal" && name != "partition") body[name] = value;
  }
  return body;
}

void AnswerDone(Call& call, const Verdict& verdict, const Shape& shape, const json& answer, http::Headers headers) {
  Json body = DoneBody(answer, shape.id_member);
  int status = verdict.decided() == Outcome::kUnchanged && shape.status == 201 ? 200 : shape.status;
  if (answer.contains("contact_ordinal")) {
    if (answer.value("result", "") == "created") status = 201;
    headers.Add("location", "/v1/contacts/" + body["id"].get<std::string>());
  } else if (body.contains("id") && !shape.collection.empty()) {
    headers.Add("location", fmt::format("{}/{}", shape.collection, body["id"].dump()));
  }
  if (body.contains("revision")) headers.Add("etag", '"' + body["revision"].dump() + '"');
  for (const std::string_view name : shape.hidden) body.erase(std::string(name));
  for (const auto& [name, value] : shape.more.items()) body[name] = value;
  Answer(call, status, body, std::move(headers));
}

}  // namespace

void Conclude(Call& call, const Verdict& verdict, const Shape& shape) {
  if (shape.decided) shape.decided(verdict);
  http::Headers headers = TokenOf(call, {&verdict, 1});
  if (verdict.kind == Verdict::Kind::kUnavailable) {
    return Refuse(
        call, Problem{.status = 503,
                      .code = "unavailable",
                      .message = "it is not known whether this was taken: " + verdict.answer + "; send it again, with an Idempotency-Key"});
  }
  if (verdict.kind == Verdict::Kind::kPending) return AnswerPending(call, std::move(headers));
  const json answer = AnswerOf(verdict);
  if (IsDone(verdict)) return AnswerDone(call, verdict, shape, answer, std::move(headers));
  if (!shape.also_done.empty() && answer.value("code", "") == shape.also_done) return Answer(call, 204, {}, std::move(headers));
  Problem problem = ProblemOf(verdict.decided(), answer);
  for (size_t i = 0; i < headers.size(); ++i) problem.headers.Add(headers.at(i).first, headers.at(i).second);
  Refuse(call, problem);
}

namespace {

void Append(Call call, const Order& order, Shape shape) {
  const auto asker = call.asker();
  gateway::Gateway& gateway = call.api->gateway;
  gateway.Submit(asker, order, kDecisionTimeout,
                 [call = std::move(call), shape = std::move(shape)](const Verdict& verdict) mutable { Conclude(call, verdict, shape); });
}

// `then` once the key is taken, or was by this same request; otherwise the call is refused.
void TakeKey(Call call, const Order& key, std::move_only_function<void(Call call)> then) {
  const auto asker = call.asker();
  gateway::Gateway& gateway = call.api->gateway;
  gateway.Submit(asker, key, kDecisionTimeout, [call = std::move(call), then = std::move(then)](Verdict verdict) mutable {
    if (IsDone(verdict)) return then(std::move(call));
    if (verdict.kind == Verdict::Kind::kPending) {  // the request itself is not even asked yet
      verdict.kind = Verdict::Kind::kUnavailable;
      verdict.answer = "its Idempotency-Key is not decided yet";
    }
    Conclude(call, verdict, {});
  });
}

// Commands of one request on their way.
struct Many {
  Call call;
  std::vector<Verdict> verdicts;
  size_t waiting;
  AllDone done;
};

}  // namespace

void AnswerDry(Call& call, std::span<const Order> orders, const Json& more) {
  std::map<std::pair<TypeNumber, PartitionId>, size_t> counts;
  for (const Order& order : orders) ++counts[{order.type, PartitionFor(call, order)}];
  Json body{{"dry_run", true}, {"commands", Json::array()}};
  for (const auto& [of, count] : counts) {
    const schema::Type* type = schema::FindType(of.first);
    body["commands"].push_back(
        {{"type", type == nullptr ? "maily.internal.TakeKey" : type->full_name}, {"partition", of.second.value()}, {"count", count}});
  }
  body.update(more);
  Answer(call, 200, body);
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

json AnswerOf(const Verdict& verdict) {
  json answer = verdict.answer.empty() ? json::object() : json::parse(verdict.answer, nullptr, false);
  return answer.is_object() ? answer : json::object();
}

Json BodyOf(const Verdict& verdict) {
  const json answer = AnswerOf(verdict);
  if (IsDone(verdict)) {
    const auto id_member = std::ranges::find_if(kIdMembers, [&](std::string_view name) { return answer.contains(name); });
    return DoneBody(answer, id_member == std::end(kIdMembers) ? std::string_view() : *id_member);
  }
  const Problem problem = ProblemOf(verdict.decided(), answer);
  Json body;
  if (verdict.outcome != Outcome::kDuplicate) body["status"] = problem.status;  // the first copy's is not known here
  body.update({{"code", problem.code}, {"message", problem.message}, {"details", Json::array()}});
  for (const http::ProblemDetail& detail : problem.details) {
    body["details"].push_back({{"path", detail.path}, {"code", detail.code}, {"hint", detail.hint}});
  }
  return body;
}

bool IsDone(const Verdict& verdict) {
  if (verdict.kind != Verdict::Kind::kDecided) return false;
  return verdict.decided() == Outcome::kDone || verdict.decided() == Outcome::kUnchanged;
}

http::Headers TokenOf(Call& call, std::span<const Verdict> verdicts) {
  std::vector<CommandAt> at;
  for (const Verdict& verdict : verdicts) {
    if (verdict.at) at.push_back(*verdict.at);
  }
  http::Headers headers;
  if (at.empty()) return headers;
  if (const auto keys = KeysOf(call)) headers.Add("maily-consistency-token", gateway::EncodeToken(at, **keys));
  return headers;
}

void Submit(Call call, Order order, Shape shape) {
  if (!call.natural_key.empty()) {
    order.natural_key = call.natural_key;
    return Append(std::move(call), order, std::move(shape));
  }
  auto key = IdempotencyKey(call);
  if (!key || !HoldKey(call, *key)) return;
  order.natural_key = std::move(*key);
  const bool alone = order.natural_key.empty() || GoesHome(call, order);
  const Order taken = alone ? Order() : KeyOrder(call, order);
  if (call.dry_run()) return AnswerDry(call, alone ? std::vector{order} : std::vector{taken, order});
  if (alone) return Append(std::move(call), order, std::move(shape));
  TakeKey(std::move(call), taken,
          [order = std::move(order), shape = std::move(shape)](Call c) mutable { Append(std::move(c), order, std::move(shape)); });
}

void Submit(Call call, const google::protobuf::Message& command, std::string key, Shape shape) {
  Submit(std::move(call), gateway::PlainOrder(command, std::move(key)), std::move(shape));
}

void SubmitHome(Call call, const google::protobuf::Message& command, Shape shape) {
  const TenantId tenant = call.caller.tenant;
  Submit(std::move(call), command, schema::HomeKey(tenant), std::move(shape));
}

void SubmitBatch(Call call, std::vector<Order> orders, Duration timeout, AllDone done) {
  const auto key = IdempotencyKey(call);
  if (!key || !HoldKey(call, *key)) return;
  if (key->empty() || orders.empty()) return SubmitAll(std::move(call), orders, timeout, std::move(done));
  Order whole;
  whole.type = orders.front().type;
  whole.natural_key = *key;
  for (size_t i = 0; i < orders.size(); ++i) {
    PutBytes(whole.plain, orders[i].plain);
    orders[i].natural_key = fmt::format("{} {}", *key, i);  // no key of a client has a space
  }
  const Order taken = KeyOrder(call, whole);
  if (call.dry_run()) {
    orders.push_back(taken);
    return AnswerDry(call, orders);
  }
  TakeKey(std::move(call), taken, [orders = std::move(orders), timeout, done = std::move(done)](Call c) mutable {
    SubmitAll(std::move(c), orders, timeout, std::move(done));
  });
}

void SubmitThen(Call call, std::string whole, Order first, NextOrders next, AllDone done) {
  const auto key = IdempotencyKey(call);
  if (!key || !HoldKey(call, *key)) return;
  Order all;
  all.type = first.type;
  all.plain = std::move(whole);
  all.natural_key = *key;
  if (call.dry_run()) {
    std::vector<Order> orders = next(json::object());
    orders.push_back(std::move(first));
    if (!key->empty()) orders.push_back(KeyOrder(call, all));
    return AnswerDry(call, orders);
  }
  if (!key->empty()) first.natural_key = *key + " first";  // no key of a client has a space
  auto go = [first = std::move(first), next = std::move(next), done = std::move(done), key = *key](Call c) mutable {
    SubmitAll(std::move(c), {first}, kDecisionTimeout,
              [next = std::move(next), done = std::move(done), key](Call& held, std::vector<Verdict>& verdicts) mutable {
                if (!IsDone(verdicts.front())) return Conclude(held, verdicts.front());
                std::vector<Order> orders = next(AnswerOf(verdicts.front()));
                for (size_t i = 0; i < orders.size() && !key.empty(); ++i) orders[i].natural_key = fmt::format("{} {}", key, i);
                SubmitAll(std::move(held), orders, kDecisionTimeout, std::move(done));
              });
  };
  if (key->empty()) return go(std::move(call));
  const Order taken = KeyOrder(call, all);
  TakeKey(std::move(call), taken, std::move(go));
}

void SubmitAll(Call call, const std::vector<Order>& orders, Duration timeout, AllDone done) {
  if (call.dry_run()) return AnswerDry(call, orders);
  const auto asker = call.asker();
  gateway::Gateway& gateway = call.api->gateway;
  const auto many = std::make_shared<Many>(
      Many{.call = std::move(call), .verdicts = std::vector<Verdict>(orders.size()), .waiting = orders.size(), .done = std::move(done)});
  if (orders.empty()) return many->done(many->call, many->verdicts);
  for (size_t i = 0; i < orders.size(); ++i) {
    gateway.Submit(asker, orders[i], timeout, [many, i](Verdict verdict) {  // all on one executor
      many->verdicts[i] = std::move(verdict);
      if (--many->waiting == 0) many->done(many->call, many->verdicts);
    });
  }
}

}  // namespace maily::api
