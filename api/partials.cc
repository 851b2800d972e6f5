// Partials: what templates take in by {% render 'name' %}.
#include "api/body.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/templates/v1/commands.pb.h"

namespace maily::api {
namespace {

constexpr size_t kPartialBytesMax = 32 * 1024;

Json PartialJson(const Rows& rows, size_t row) {
  Json body = RowJson(rows, row);
  for (const char* name : {"archived", "text_made"}) body[name] = rows.at(row, name).integer != 0;
  return body;
}

}  // namespace

void PutPartial(Call call) {
  const std::string name(call.request.Param("name"));
  Body body(call);
  templates::v1::PutPartial command;
  command.set_name(name);
  if (const auto html = body.Text("html", kPartialBytesMax)) command.set_html(*html);
  if (const auto text = body.Text("text", kPartialBytesMax)) command.set_text(*text);
  if (!body.Accepted(call)) return;
  SubmitHome(std::move(call), command);
}

void ListPartials(Call call) {
  const bool archived = call.request.Query("archived").value_or("false") == "true";
  List(std::move(call), {.query = "partials",
                         .key = {"name"},
                         .first = {Value::Text("")},
                         .fixed = {{"archived", Value::Integer(archived ? 1 : 0)}},
                         .row = PartialJson});
}

void ShowPartial(Call call) {
  const std::string name(call.request.Param("name"));
  Read(std::move(call), "partial", [name](Call& c) -> Result<Json> {
    MAILY_TRY(const Rows rows, QueryOwn(c, "partial", {{"name", Value::Text(name)}}));
    if (rows.empty()) return Missing("partial");
    return PartialJson(rows, 0);
  });
}

void ArchivePartial(Call call) {
  templates::v1::ArchivePartial command;
  command.set_name(std::string(call.request.Param("name")));
  SubmitHome(std::move(call), command, {.more = {{"archived", true}}});
}

}  // namespace maily::api
