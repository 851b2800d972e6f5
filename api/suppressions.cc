// Addresses that are never mailed.
#include "api/body.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/suppressions/v1/commands.pb.h"
#include "schemas/keys.h"

namespace maily::api {
namespace {

using gateway::Outcome;
using gateway::Verdict;

constexpr size_t kSuppressionsMax = 1000;

// One of a body; the key of the address is not known yet.
struct Wanted {
  std::optional<schema::Address> address;
  std::string reason;
};

Wanted ReadOne(Members& members) {
  auto address = members.Email("email");
  return {std::move(address), members.Text("reason", kNameBytesMax).value_or("manual")};
}

gateway::Order OrderOf(const Wanted& wanted, const keyring::TenantKeys& keys) {
  suppressions::v1::AddSuppression command;
  command.set_contact_key(schema::ContactKey(keys, wanted.address->normalised));
  command.set_reason(wanted.reason);
  return gateway::PlainOrder(command, command.contact_key());
}

void AnswerAdded(Call& call, std::vector<Verdict>& verdicts) {
  size_t added = 0;
  size_t unchanged = 0;
  for (const Verdict& verdict : verdicts) {
    if (verdict.kind == Verdict::Kind::kUnavailable) {
      return Refuse(call, http::Problem{.status = 503,
                                        .code = "unavailable",
                                        .message = "not all were taken: " + verdict.answer + "; send it again, it is harmless"});
    }
    if (verdict.decided() == Outcome::kDone) ++added;
    if (verdict.decided() == Outcome::kUnchanged) ++unchanged;
  }
  Answer(call, 200, {{"suppressions", verdicts.size()}, {"added", added}, {"unchanged", unchanged}}, TokenOf(call, verdicts));
}

Json SuppressionJson(const Rows& rows, size_t row) { return RowJson(rows, row); }

}  // namespace

void AddSuppression(Call call) {
  Body body(call);
  const Wanted wanted = ReadOne(body);
  if (!body.Accepted(call)) return;
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  Submit(std::move(call), OrderOf(wanted, **keys),
         {.more = {{"email", body.object()["email"]}, {"reason", wanted.reason}, {"suppressed", true}}});
}

void AddSuppressions(Call call) {
  Body body(call);
  std::vector<Wanted> all;
  body.Each("suppressions", kSuppressionsMax, [&all](Members& one) { all.push_back(ReadOne(one)); }, kRequired);
  if (!body.Accepted(call)) return;
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  std::vector<gateway::Order> orders;
  for (const Wanted& wanted : all) orders.push_back(OrderOf(wanted, **keys));
  SubmitBatch(std::move(call), std::move(orders), kDecisionTimeout, AnswerAdded);
}

void ListSuppressions(Call call) {
  if (call.request.Query("email")) return ListByEmail(std::move(call), "suppression", SuppressionJson);
  List(std::move(call), {.query = "suppressions", .key = {"contact_key"}, .first = {Value::Blob("")}});
}

void RemoveSuppression(Call call) {
  const auto key = KeyOfEmail(call);
  if (!key) return;
  suppressions::v1::RemoveSuppression command;
  command.set_contact_key(*key);
  command.set_reason(call.request.Query("reason").value_or("manual"));
  Submit(std::move(call), command, *key, {.status = 204, .also_done = "not_suppressed"});
}

}  // namespace maily::api
