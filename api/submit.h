// From a command to the answer of its request: appended through the gateway, waited for, and its outcome as a status.
//
// 200 (201 with Location for something new), 204 for DELETE, 404, 409, 410, 422 as decided; 202 if it was not decided within
// kDecisionTimeout but is durable, with the URL that tells when it is and how (commands.cc); 503 if nobody knows. Every answer to a write
// carries Maily-Consistency-Token.
//
// With ?dry_run=true everything is done but the append: who asks, the body, and what is looked up before a command is made. The answer is
// 200 {"dry_run": true, "commands": [{"type", "partition", "count"}]}: what would be appended. How it would be decided is not foreseen.
//
// Idempotency-Key, for 24 h: the same key and body get the first answer, of a refusal too (after a 404 it is tried anew); while the first
// one is under way, the second waits with it. Another body is 422, whoever it is about: the key is taken in the tenant's home first.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/call.h"

namespace google::protobuf {
class Message;
}

namespace maily::api {

// How the answer of a command that was done becomes the body of the response: its members, and those of `more`.
struct Shape {
  int status = 200;
  std::string_view id_member = {};                            // of the answer, "list_id": becomes "id"
  std::string_view collection = {};                           // of Location: "/v1/lists"
  Json more = Json::object();                                 // what only the request knows
  std::vector<std::string_view> hidden = {};                  // members of the answer that are not for the client
  std::function<void(const gateway::Verdict&)> decided = {};  // called before the client is answered; must not block
  std::string_view also_done = {};                            // the code of a refusal that says it is so already: 204
};

void Submit(Call call, gateway::Order order, Shape shape = {});
// A message without personal fields, for the partition of `key`.
void Submit(Call call, const google::protobuf::Message& command, std::string key, Shape shape = {});
// The same for the tenant's home.
void SubmitHome(Call call, const google::protobuf::Message& command, Shape shape = {});

// The answer of a dry run of these commands, with the members of `more`.
void AnswerDry(Call& call, std::span<const gateway::Order> orders, const Json& more = Json::object());

// The natural key of the Idempotency-Key header, quoted or not; empty = none given. None: malformed, the call was refused.
std::optional<std::string> IdempotencyKey(Call& call);

// Several commands of one request, without regard to Idempotency-Key; `done` gets their verdicts in order, on the API's executor (at once
// if there are none).
using AllDone = std::move_only_function<void(Call& call, std::vector<gateway::Verdict>& verdicts)>;
void SubmitAll(Call call, const std::vector<gateway::Order>& orders, Duration timeout, AllDone done);
// The same with regard to it: each command gets its first answer. Their natural keys are set here.
void SubmitBatch(Call call, std::vector<gateway::Order> orders, Duration timeout, AllDone done);

// Commands of one request of which the others are made from the answer of the first: `done` gets the verdicts of the others, or the call is
// answered with the refusal of the first. `whole`: the plaintext of all, that Idempotency-Key stands for. A dry run names them all, made
// from an empty answer.
using NextOrders = std::move_only_function<std::vector<gateway::Order>(const nlohmann::json& answer)>;
void SubmitThen(Call call, std::string whole, gateway::Order first, NextOrders next, AllDone done);

// Answers as Submit does.
void Conclude(Call& call, const gateway::Verdict& verdict, const Shape& shape = {});

// The decider's JSON; an empty object if it said nothing.
nlohmann::json AnswerOf(const gateway::Verdict& verdict);
// What a write with this decision answers, as far as the decision says it: its answer with "id" if it was done, else {"status", "code",
// "message", "details"} of the refusal; without "status" if it only repeats that of a first copy.
Json BodyOf(const gateway::Verdict& verdict);
// True if the verdict means that the request holds: done, unchanged, or as the first copy said.
bool IsDone(const gateway::Verdict& verdict);

// "Maily-Consistency-Token" of these commands; none if no place is known.
http::Headers TokenOf(Call& call, std::span<const gateway::Verdict> verdicts);

}  // namespace maily::api
