// Sites: the mail servers that recipient domains share. They are the platform's, so its operator alone asks and changes them.
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

http::Problem OperatorsOnly() {
  return {.status = 403, .code = "forbidden", .message = "only an admin key of the tenant `default`, the platform's operator, may do this"};
}
bool IsOperator(const Call& call) { return call.caller.tenant == TenantId(1); }

// In the form in which the DNS is asked; none: the call was refused.
std::optional<std::string> SiteOf(Call& call) {
  const std::string name(call.request.Param("site"));
  if (auto site = HostName(name)) return *std::move(site);
  Refuse(call, {.status = 422, .code = "invalid_site", .message = "\"" + name + "\" is no name of a site; maily site list shows them"});
  return std::nullopt;
}

template <class Command>
void Change(Call call, bool suspended) {
  if (!IsOperator(call)) return Refuse(call, OperatorsOnly());
  const auto site = SiteOf(call);
  if (!site) return;
  Command command;
  command.set_site(*site);
  if (!call.request.body.empty()) {
    Body body(call);
    if (const auto reason = body.Text("reason", kReasonBytesMax)) command.set_reason(*reason);
    if (!body.Accepted(call)) return;
  }
  gateway::Order order = gateway::PlainOrder(command, schema::SiteKey(*site));
  order.partition = PartitionOf(order.key, call.api->gateway.log().partition_count);
  Submit(std::move(call), std::move(order), {.more = {{"site", *site}, {"suspended", suspended}, {"reason", command.reason()}}});
}

}  // namespace

void SuspendSite(Call call) { Change<sites::v1::SuspendSite>(std::move(call), true); }
void ResumeSite(Call call) { Change<sites::v1::ResumeSite>(std::move(call), false); }

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
