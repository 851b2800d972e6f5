// Templates and their versions.
#include "api/body.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/templates/v1/commands.pb.h"

namespace maily::api {

constexpr size_t kSubjectBytesMax = 1000;
constexpr size_t kTextBytesMax = 64 * 1024;

void SaveTemplate(Call call) {
  Body body(call);
  templates::v1::SaveTemplate command;
  if (const auto name = body.Text("name", kNameBytesMax, kRequired)) command.set_name(*name);
  if (const auto subject = body.Text("subject", kSubjectBytesMax, kRequired)) command.set_subject(*subject);
  if (const auto html = body.Text("html", kTextBytesMax)) command.set_html(*html);
  if (const auto text = body.Text("text", kTextBytesMax)) command.set_text(*text);
  if (!body.Accepted(call)) return;
  SubmitHome(std::move(call), command,
             {.status = 201, .id_member = "template_id", .collection = "/v1/templates", .more = {{"name", command.name()}}});
}

void ListTemplates(Call call) { List(std::move(call), {.query = "templates", .key = {"template_id"}, .id_column = "template_id"}); }

void ShowTemplate(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("template"));
  const auto version = NumberParameter(call, "version", 0, 1, INT32_MAX);
  if (!version) return Refuse(call, BadParameter("version", "a number from 1", 422));
  Read(std::move(call), "template", [which = Parameter{"template_id", Number(*id)}, version = *version](Call& c) -> Result<Json> {
    MAILY_TRY(const Rows rows, version == 0 ? QueryOwn(c, "template", {which})
                                            : QueryOwn(c, "template_version", {which, {"version", Value::Integer(version)}}));
    if (rows.empty()) return Missing("template");
    MAILY_TRY(const Rows links, QueryOwn(c, "template_links", {which, {"version", rows.at(0, "version")}}));
    Json body = RowJson(rows, 0, "template_id");
    body["links"] = Json::array();
    for (size_t row = 0; row < links.size(); ++row) body["links"].push_back(links.at(row, "target").bytes);
    return body;
  });
}

}  // namespace maily::api
