// Lists and who is on them.
#include "api/body.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/lists/v1/commands.pb.h"
#include "schemas/keys.h"

namespace maily::api {
namespace {

constexpr Duration kListWait = Seconds(2);
constexpr size_t kDescriptionBytesMax = 500;

template <class M>
gateway::Order OrderOf(const std::string& contact_key, uint64_t list_id) {
  M command;
  command.set_contact_key(contact_key);
  command.set_list_id(list_id);
  return gateway::PlainOrder(command, contact_key);
}

}  // namespace

void CreateList(Call call) {
  Body body(call);
  lists::v1::CreateList command;
  if (const auto name = body.Text("name", kNameBytesMax, kRequired)) command.set_name(*name);
  command.set_public_(body.Boolean("public").value_or(false));
  command.set_description(body.Text("description", kDescriptionBytesMax).value_or(""));
  if (!body.Accepted(call)) return;
  SubmitHome(std::move(call), command,
             {.status = 201, .id_member = "list_id", .collection = "/v1/lists", .more = {{"name", command.name()}}});
}

void ChangeList(Call call) {
  Body body(call);
  lists::v1::ChangeList command;
  if (const auto name = body.Text("name", kNameBytesMax)) command.set_name(*name);
  if (const auto is_public = body.Boolean("public")) command.set_public_(*is_public);
  if (const auto description = body.Text("description", kDescriptionBytesMax)) command.set_description(*description);
  if (!body.Accepted(call)) return;
  const auto list_id = IdParam(call);
  if (!list_id) return Refuse(call, NoSuch("list"));
  command.set_list_id(*list_id);
  SubmitHome(std::move(call), command, {.id_member = "list_id"});
}

void ListLists(Call call) { List(std::move(call), {.query = "lists", .key = {"list_id"}, .id_column = "list_id"}); }

void ShowList(Call call) {
  Show(std::move(call), "list", "list_id", "list",
       [](Call&, const Rows& found, const Parameter&) -> Result<Json> { return RowJson(found, 0, "list_id"); });
}

void ListMembers(Call call) {
  const auto at_us = AsOf(call);
  if (!at_us) return;
  ListOf(std::move(call), "list", "list_id",
         {.query = "list_members_at", .key = {"contact_id"}, .fixed = {{"at_us", Value::Integer(*at_us)}}});
}

void ChangeMembers(Call call) {
  Body body(call);
  const auto address = body.Email("email");
  const bool leave = body.Boolean("leave").value_or(false);
  if (!body.Accepted(call)) return;
  const auto list_id = IdParam(call);
  if (!list_id) return Refuse(call, NoSuch("list"));
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  const std::string key = schema::ContactKey(**keys, address->normalised);
  auto order = leave ? OrderOf<lists::v1::LeaveList>(key, *list_id) : OrderOf<lists::v1::JoinList>(key, *list_id);
  // Lists live in the tenant's home, members with the contact: that there is such a list is checked here.
  AfterOwnWrites(std::move(call), "list", kListWait, [order = std::move(order), list_id = *list_id, leave](Call c, bool) mutable {
    const auto rows = QueryOwn(c, "list", {{"list_id", Number(list_id)}});
    if (!rows) return Refuse(c, rows.error());
    if (rows->empty()) return Refuse(c, NoSuch("list"));
    Submit(std::move(c), std::move(order), {.more = {{"list_id", list_id}, {"member", !leave}}});
  });
}

}  // namespace maily::api
