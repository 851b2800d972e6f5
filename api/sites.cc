// Sites: the mail servers that recipient domains share. They are the platform's, so its operator alone asks and changes them.
#include <array>

#include "api/body.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/sites/v1/commands.pb.h"
#include "schemas/keys.h"
#include "streams/port/resolver.h"

namespace maily::api {
namespace {

constexpr size_t kReasonBytesMax = 500;
constexpr int64_t kFlushesShown = 10;
constexpr Duration kDryRunWait = Seconds(2);  // for what this process asked before to be counted

// In the form in which the DNS is asked; none: the call was refused.
std::optional<std::string> SiteOf(Call& call) {
  const std::string name(call.request.Param("site"));
  const size_t source = std::min(name.find('@'), name.size());  // where it is reached from, if that is said
  if (auto site = HostName(std::string_view(name).substr(0, source))) return *site + name.substr(source);
  Refuse(call, {.status = 422, .code = "invalid_site", .message = "\"" + name + "\" is no name of a site; maily site list shows them"});
  return std::nullopt;
}

// The command of a site, with a reason; none: the call was refused.
template <class Command>
std::optional<gateway::Order> OrderOf(Call& call, const std::string& site, std::string& why) {
  Command command;
  command.set_site(site);
  if (!call.request.body.empty()) {
    Body body(call);
    if (const auto reason = body.Text("reason", kReasonBytesMax)) command.set_reason(*reason);
    if (!body.Accepted(call)) return std::nullopt;
  }
  why = command.reason();
  gateway::Order order = gateway::PlainOrder(command, schema::SiteKey(site));
  order.partition = PartitionOf(order.key, call.api->gateway.log().partition_count);
  return order;
}

// `now`: what the site does then, "open", "draining" or "suspended".
template <class Command>
void Change(Call call, const char* now) {
  if (!IsOperator(call)) return Refuse(call, OperatorsOnly());
  const auto site = SiteOf(call);
  if (!site) return;
  std::string why;
  auto order = OrderOf<Command>(call, *site, why);
  if (!order) return;
  const std::string state = now;
  Submit(std::move(call), *std::move(order),
         {.more = {
              {"site", *site}, {"state", state}, {"suspended", state == "suspended"}, {"draining", state == "draining"}, {"reason", why}}});
}

}  // namespace

void SuspendSite(Call call) { Change<sites::v1::SuspendSite>(std::move(call), "suspended"); }
void DrainSite(Call call) { Change<sites::v1::DrainSite>(std::move(call), "draining"); }
void ResumeSite(Call call) { Change<sites::v1::ResumeSite>(std::move(call), "open"); }

void FlushSite(Call call) {
  if (!IsOperator(call)) return Refuse(call, OperatorsOnly());
  const auto site = SiteOf(call);
  if (!site) return;
  std::string why;
  auto order = OrderOf<sites::v1::FlushSite>(call, *site, why);
  if (!order) return;
  if (!call.dry_run()) return Submit(std::move(call), *std::move(order), {.more = {{"site", *site}, {"reason", why}}});
  AfterOwnWrites(std::move(call), "site_waiting", kDryRunWait, [order = *std::move(order), site = *site](Call c, bool /*fresh*/) {
    const auto waiting = Query(c, "site_waiting", {{"site", Value::Text(site)}});
    if (!waiting) return Refuse(c, waiting.error());
    AnswerDry(c, std::array{order}, {{"site", site}, {"waiting", RowJson(*waiting, 0)}});
  });
}

// What the journal knows of it, what waits for a retry, and how this process sees it ("here"; null: no mail went there from it).
void ShowSite(Call call) {
  if (!IsOperator(call)) return Refuse(call, OperatorsOnly());
  const auto site = SiteOf(call);
  if (!site) return;
  Read(std::move(call), "site", [site = *site](Call& c) -> Result<Json> {
    const Parameter which{"site", Value::Text(site)};
    MAILY_TRY(const Rows known, Query(c, "site", {which}));
    MAILY_TRY(const Rows waiting, Query(c, "site_waiting", {which}));
    MAILY_TRY(const Rows flushes, Query(c, "site_flushes", {which, {"limit", Value::Integer(kFlushesShown)}}));
    Json here = nullptr;
    if (c.api->parts.site_here) here = Json::parse(c.api->parts.site_here(site), nullptr, false);
    if (here.is_discarded()) here = nullptr;
    const bool waits = waiting.at(0, "mails") != Value::Integer(0);
    if (known.empty() && here.is_null() && !waits) return Missing("site");
    Json json{{"site", site}, {"state", "open"}};
    if (!known.empty()) {
      json = RowJson(known, 0);
      json["state"] = known.at(0, "suspended") == Value::Integer(1)  ? "suspended"
                      : known.at(0, "draining") == Value::Integer(1) ? "draining"
                                                                     : "open";
    }
    json["waiting"] = RowJson(waiting, 0);
    json["flushes"] = RowsJson(flushes);
    json["here"] = std::move(here);
    return json;
  });
}

void ListSiteChanges(Call call) {
  if (!IsOperator(call)) return Refuse(call, OperatorsOnly());
  const auto site = SiteOf(call);
  if (!site) return;
  List(std::move(call), {.query = "site_changes",
                         .key = {"sequence"},
                         .key_parameters = {"before"},
                         .first = {Value::Integer(INT64_MAX)},
                         .fixed = {{"site", Value::Text(*site)}},
                         .of_tenant = false});
}

}  // namespace maily::api
