// Sends: what became of each, and those of which nobody here knows.
#include <map>
#include <set>

#include "api/body.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/sends/v1/commands.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "schemas/keys.h"

namespace maily::api {
namespace {

using gateway::Order;
using gateway::Verdict;

constexpr size_t kFilterBytesMax = 64;
constexpr int64_t kHistoryMax = 1000;
constexpr size_t kResolvedMax = 5000;  // a call
constexpr int64_t kUnknownPage = 1000;
constexpr size_t kMessageIdsMax = 10'000'000;
constexpr Duration kUnknownWait = Seconds(5);

// What ?status= can be: SendStatus, as the read model names it.
constexpr std::string_view kStatuses[] = {"pending", "open",    "waiting", "delivered", "bounced",
                                          "unknown", "skipped", "holdout", "expired",   "awaiting_winner"};
static_assert(std::size(kStatuses) + 1 == sends::v1::SendStatus_ARRAYSIZE);  // NONE has no name

using SendSet = std::set<std::pair<uint64_t, uint64_t>>;  // campaign, contact

struct InDoubt {
  uint64_t campaign_id;
  uint64_t contact_id;
  bool received;
};

// The sends that the receiver has; ids of others are counted.
SendSet ReadReceived(Call& call, const std::vector<std::string>& message_ids, size_t& foreign) {
  SendSet received;
  for (const std::string& id : message_ids) {
    const auto send = call.api->parts.read_message_id(id);
    if (send && send->tenant == call.caller.tenant) {
      received.emplace(send->campaign_id, schema::PackContactId({send->partition, send->ordinal}));
    } else {
      ++foreign;
    }
  }
  return received;
}

// What is unknown now, of one campaign or of all.
Result<std::vector<InDoubt>> FindUnknown(Call& call, std::optional<int64_t> campaign_id, const SendSet& received) {
  std::vector<InDoubt> found;
  int64_t after_campaign = 0;
  int64_t after = 0;
  while (found.size() < kResolvedMax) {
    const Parameter of = campaign_id ? Parameter{"campaign_id", Value::Integer(*campaign_id)}
                                     : Parameter{"after_campaign_id", Value::Integer(after_campaign)};
    MAILY_TRY(const Rows rows, QueryOwn(call, campaign_id ? "unknown_sends" : "unknown_sends_of_all",
                                        {of, {"after", Value::Integer(after)}, {"limit", Value::Integer(kUnknownPage)}}));
    for (size_t row = 0; row < rows.size(); ++row) {
      after_campaign = campaign_id ? *campaign_id : rows.at(row, "campaign_id").integer;
      after = rows.at(row, "contact_id").integer;
      const auto campaign = static_cast<uint64_t>(after_campaign);
      const auto contact = static_cast<uint64_t>(after);
      found.push_back({campaign, contact, received.contains({campaign, contact})});
    }
    if (rows.size() < static_cast<size_t>(kUnknownPage)) break;
  }
  if (found.size() > kResolvedMax) found.resize(kResolvedMax);
  return found;
}

Order OrderOf(const InDoubt& one, const std::string& why) {
  const schema::ContactId contact = schema::UnpackContactId(one.contact_id);
  sends::v1::ResolveUnknown command;
  command.set_campaign_id(one.campaign_id);
  command.set_ordinal(contact.ordinal);
  command.set_delivered(one.received);
  command.set_why(why);
  Order order = gateway::PlainOrder(command, "");
  order.partition = contact.partition;
  return order;
}

Json SettledJson(const InDoubt& one, const Verdict& verdict) {
  const bool done = IsDone(verdict);
  return {{"campaign_id", CellJson("campaign_id", Number(one.campaign_id))},
          {"contact_id", std::to_string(one.contact_id)},
          {"result", !done          ? "failed"
                     : one.received ? "delivered"
                                    : "resent"},
          {"reason", done                                      ? ""
                     : verdict.kind == Verdict::Kind::kDecided ? AnswerOf(verdict).value("message", "refused")
                                                               : "not decided yet; ask again"}};
}

void AnswerSettled(Call& call, const std::vector<InDoubt>& found, const std::vector<Verdict>& verdicts, size_t foreign) {
  std::map<std::string, uint64_t> counts;
  Json sends = Json::array();
  for (size_t i = 0; i < verdicts.size(); ++i) {
    sends.push_back(SettledJson(found[i], verdicts[i]));
    ++counts[sends.back()["result"].get<std::string>()];
  }
  Answer(call, 200,
         {{"delivered", counts["delivered"]},
          {"resent", counts["resent"]},
          {"failed", counts["failed"]},
          {"foreign_message_ids", foreign},
          {"more", found.size() == kResolvedMax},
          {"sends", std::move(sends)}},
         TokenOf(call, verdicts));
}

}  // namespace

void ListSends(Call call) {
  const std::string status = call.request.Query("status").value_or("");
  const std::string reason = call.request.Query("reason").value_or("");
  if (!status.empty() && std::ranges::find(kStatuses, status) == std::end(kStatuses))
    return Refuse(call, BadParameter("status", fmt::format("is one of {}", fmt::join(kStatuses, ", ")), 422));
  if (reason.size() > kFilterBytesMax) return Refuse(call, BadParameter("reason", "a name of at most 64 letters", 422));
  ListOf(std::move(call), "campaign", "campaign_id",
         {.query = "sends", .key = {"contact_id"}, .fixed = {{"status", Value::Text(status)}, {"reason", Value::Text(reason)}}});
}

void ShowSend(Call call) {
  const auto id = IdParam(call);
  const auto contact = IdParam(call, "contact_id");
  if (!id || !contact) return Refuse(call, NoSuch("send"));
  const std::vector<Parameter> which{{"campaign_id", Number(*id)}, {"contact_id", Number(*contact)}};
  Read(std::move(call), "send", [which](Call& c) -> Result<Json> {
    MAILY_TRY(const Rows send, QueryOwn(c, "send", which));
    if (send.empty()) return Missing("send");
    auto with_limit = which;
    with_limit.push_back({"limit", Value::Integer(kHistoryMax)});
    MAILY_TRY(const Rows history, QueryOwn(c, "send_history", with_limit));
    Json body = RowJson(send, 0);
    body["history"] = RowsJson(history);
    return body;
  });
}

void ListUnknown(Call call) {
  if (!call.request.Query("campaign_id")) {
    return List(std::move(call), {.query = "unknown_sends_of_all",
                                  .key = {"campaign_id", "contact_id"},
                                  .key_parameters = {"after_campaign_id", "after"},
                                  .first = {Value::Integer(0), Value::Integer(0)}});
  }
  const auto id = NumberParameter(call, "campaign_id", 0, 1, INT64_MAX);
  if (!id) return Refuse(call, BadParameter("campaign_id", "the id of a campaign", 422));
  List(std::move(call), {.query = "unknown_sends", .key = {"contact_id"}, .fixed = {{"campaign_id", Value::Integer(*id)}}});
}

void ResolveUnknown(Call call) {
  Body body(call);
  const auto campaign_id = body.Integer("campaign_id", 1, INT64_MAX);
  const auto why = body.Text("why", kNameBytesMax, kRequired);
  const auto ids = body.Texts("received_message_ids", kMessageIdsMax, kRequired);
  if (!body.Accepted(call)) return;
  AfterOwnWrites(std::move(call), "unknown_sends", kUnknownWait, [campaign_id, why = *why, ids = *ids](Call c, bool) {
    size_t foreign = 0;
    const auto found = FindUnknown(c, campaign_id, ReadReceived(c, ids, foreign));
    if (!found) return Refuse(c, found.error());
    std::vector<Order> orders;
    for (const InDoubt& one : *found) orders.push_back(OrderOf(one, why));
    if (c.dry_run()) {
      const auto delivered = std::ranges::count_if(*found, &InDoubt::received);
      const auto resent = static_cast<int64_t>(found->size()) - delivered;
      return AnswerDry(c, orders, {{"delivered", delivered}, {"resent", resent}, {"foreign_message_ids", foreign}});
    }
    SubmitAll(std::move(c), orders, kDecisionTimeout, [found = *found, foreign](Call& settled, std::vector<Verdict>& verdicts) {
      AnswerSettled(settled, found, verdicts, foreign);
    });
  });
}

}  // namespace maily::api
