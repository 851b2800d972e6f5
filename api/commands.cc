// What became of a command that was answered 202: its id is its place in the log, sealed; its decision stands in the journal.
#include "api/gateway/token.h"
#include "api/handlers.h"
#include "api/submit.h"

namespace maily::api {
namespace {

// The place that the id stands for; none: it is no id that this tenant got.
std::optional<CommandAt> PlaceOf(Call& call, const keyring::TenantKeys& keys) {
  const auto at = gateway::DecodeToken(call.request.Param("id"), keys);
  if (!at || at->size() != 1 || at->front().partition.value() >= call.api->parts.log.partition_count) return std::nullopt;
  return at->front();
}

void Show(Call& call) {
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  const auto at = PlaceOf(call, **keys);
  if (!at) return Refuse(call, NoSuch("command"));
  const auto found = call.api->parts.find_decision(*at);
  if (!found && found.error().code == Code::kNotFound) return Refuse(call, NoSuch("command"));
  if (!found) return Refuse(call, found.error());
  Json body{{"command_id", call.request.Param("id")}};
  if (!*found) {
    body["status"] = "pending";
    return Answer(call, 200, body);
  }
  const FoundDecision& decision = **found;
  if (decision.tenant != call.caller.tenant) return Refuse(call, NoSuch("command"));
  body["status"] = "decided";
  body["outcome"] = gateway::OutcomeName(decision.outcome);
  body["answer"] = BodyOf({.kind = gateway::Verdict::Kind::kDecided,
                           .outcome = decision.outcome,
                           .first = nlohmann::json::parse(decision.answer, nullptr, false).contains("code") ? gateway::Outcome::kInvalid
                                                                                                            : gateway::Outcome::kDone,
                           .answer = decision.answer,
                           .at = *at,
                           .id = {}});
  Answer(call, 200, body);
}

}  // namespace

void ShowCommand(Call call) {
  Executor& blocking = call.api->blocking();
  blocking.Post([call = std::move(call)]() mutable { Show(call); });
}

}  // namespace maily::api
