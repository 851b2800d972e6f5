// Templates and their versions.
#include "api/body.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/templates/v1/commands.pb.h"
#include "schemas/keys.h"

namespace maily::api {

constexpr size_t kSubjectBytesMax = 1000;
constexpr size_t kTextBytesMax = 64 * 1024;
constexpr size_t kAttachmentsMax = 64;

Json WarningsJson(const Call& call, std::string_view html) {
  Json all = Json::array();
  if (!call.api->parts.warnings_of) return all;
  for (const TemplateWarning& warning : call.api->parts.warnings_of(html))
    all.push_back({{"code", warning.code}, {"place", warning.place}, {"message", warning.message}});
  return all;
}

void SaveTemplate(Call call) {
  Body body(call);
  templates::v1::SaveTemplate command;
  if (const auto name = body.Text("name", kNameBytesMax, kRequired)) command.set_name(*name);
  if (const auto subject = body.Text("subject", kSubjectBytesMax, kRequired)) command.set_subject(*subject);
  if (const auto html = body.Text("html", kTextBytesMax)) command.set_html(*html);
  if (const auto text = body.Text("text", kTextBytesMax)) command.set_text(*text);
  if (const auto of = body.Text("message_class", kNameBytesMax)) {
    if (*of != "transactional" && *of != "marketing") body.Violation("message_class", "out_of_range", "is marketing or transactional");
    command.set_transactional(*of == "transactional");
  }
  body.Each("attachments", kAttachmentsMax, [&command](Members& one) {
    auto& attachment = *command.add_attachments();
    if (const auto asset = one.Text("asset", kNameBytesMax, kRequired)) attachment.set_asset(*asset);
    if (const auto file_name = one.Text("file_name", kNameBytesMax)) attachment.set_file_name(*file_name);
  });
  if (!body.Accepted(call)) return;
  Json more{{"name", command.name()}, {"warnings", WarningsJson(call, command.html())}};
  gateway::Order order = gateway::PlainOrder(command, schema::HomeKey(call.caller.tenant));
  // A setting of this process is no part of the request that Idempotency-Key stands for.
  command.set_mail_bytes_max(call.api->parts.assets.mail_bytes_max);
  order.payload = command.SerializeAsString();
  Submit(std::move(call), std::move(order),
         {.status = 201, .id_member = "template_id", .collection = "/v1/templates", .more = std::move(more)});
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
    body["text_made"] = rows.at(0, "text_made").integer != 0;
    MAILY_TRY(const Rows assets, QueryOwn(c, "template_assets", {which, {"version", rows.at(0, "version")}}));
    body["assets"] = RowsJson(assets);
    return body;
  });
}

}  // namespace maily::api
