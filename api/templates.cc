// Templates and their versions.
#include "api/body.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/templates/v1/commands.pb.h"
#include "schemas/keys.h"
#include "streams/keyring/cipher.h"

namespace maily::api {

constexpr size_t kSubjectBytesMax = 1000;
constexpr size_t kTextBytesMax = 64 * 1024;
constexpr size_t kAttachmentsMax = 64;

namespace {

constexpr size_t kPreheaderBytesMax = 1000;
constexpr size_t kLocaleBytesMax = 35;
constexpr size_t kVariantsMax = 32;
constexpr int64_t kPartialsMax = 1000;

Json WarningJson(const TemplateWarning& warning) {
  Json one{{"code", warning.code}, {"place", warning.place}, {"message", warning.message}};
  if (!warning.fix.empty()) one["fix"] = warning.fix;
  return one;
}

template <class Content>
void ReadContent(Members& body, Content& content, bool required) {
  if (const auto subject = body.Text("subject", kSubjectBytesMax, required)) content.set_subject(*subject);
  if (const auto preheader = body.Text("preheader", kPreheaderBytesMax)) content.set_preheader(*preheader);
  if (const auto html = body.Text("html", kTextBytesMax)) content.set_html(*html);
  if (const auto text = body.Text("text", kTextBytesMax)) content.set_text(*text);
  if (const auto mjml = body.Text("mjml", kTextBytesMax)) {
    content.set_mjml(*mjml);
    const keyring::Digest digest = keyring::Sha256(*mjml);
    content.set_mjml_sha256(digest.data(), digest.size());
    if (body.Has("html")) body.Violation("mjml", "twice", "give the HTML, or the MJML that it is compiled from");
  }
}

http::Problem NoMjml() {
  return {.status = 501,
          .code = "not_implemented",
          .message =
              "this process compiles no MJML: install Node and the module mjml, and set mjml_modules to its folder node_modules; or "
              "compile it yourself and give html"};
}

// The HTML of a source; a problem: it is refused. On `bulk`.
std::optional<http::Problem> Compile(const Call& call, const std::string& member, const std::string& mjml, std::string& html,
                                     std::string& compiler) {
  const Result<MjmlAnswer> made = call.api->parts.compile_mjml(mjml);
  if (!made) return http::Problem{.status = 503, .code = "unavailable", .message = made.error().message};
  http::Problem wrong{.status = 422, .code = "mjml_invalid", .message = "the MJML has problems; details list each with its line"};
  for (const TemplateWarning& problem : made->problems) wrong.details.push_back({member + problem.place, problem.code, problem.message});
  if (!wrong.details.empty()) return wrong;
  if (made->html.size() > kTextBytesMax) {
    wrong.code = "template_too_large";
    wrong.message = fmt::format("compiled, the MJML is HTML of {} bytes, more than {}", made->html.size(), kTextBytesMax);
    return wrong;
  }
  html = made->html;
  compiler = made->compiler;
  return std::nullopt;
}

std::optional<http::Problem> CompileAll(const Call& call, templates::v1::SaveTemplate& command) {
  std::string compiler;
  if (!command.mjml().empty()) {
    if (auto wrong = Compile(call, "", command.mjml(), *command.mutable_html(), compiler)) return wrong;
  }
  for (auto& variant : *command.mutable_variants()) {
    if (variant.mjml().empty()) continue;
    if (auto wrong = Compile(call, fmt::format("variants/{}/", variant.locale()), variant.mjml(), *variant.mutable_html(), compiler))
      return wrong;
  }
  command.set_mjml_compiler(compiler);
  return std::nullopt;
}

Json FindingsJson(Call& call, TemplateDraft draft, std::string_view mjml) {
  std::vector<TemplateFinding> findings;
  if (!mjml.empty()) {
    const Result<MjmlAnswer> made = call.api->parts.compile_mjml(mjml);
    if (!made) {
      findings.push_back({true, {"mjml_invalid", "mjml", made.error().message}});
    } else {
      for (const TemplateWarning& problem : made->problems) findings.push_back({true, problem});
      draft.html = made->html;
    }
  }
  if (findings.empty() && call.api->parts.lint_template) findings = call.api->parts.lint_template(draft);
  Json all = Json::array();
  size_t errors = 0;
  for (const TemplateFinding& finding : findings) {
    Json one{{"level", finding.is_error ? "error" : "warning"}};
    const Json what = WarningJson(finding.what);
    for (const auto& [name, value] : what.items()) one[name == "code" ? "rule" : name] = value;
    all.push_back(std::move(one));
    errors += finding.is_error;
  }
  return {{"ok", errors == 0}, {"errors", errors}, {"warnings", findings.size() - errors}, {"findings", std::move(all)}};
}

}  // namespace

Json WarningsJson(const Call& call, std::string_view html) {
  Json all = Json::array();
  if (!call.api->parts.warnings_of) return all;
  for (const TemplateWarning& warning : call.api->parts.warnings_of(html)) all.push_back(WarningJson(warning));
  return all;
}

void SaveTemplate(Call call) {
  Body body(call);
  templates::v1::SaveTemplate command;
  if (const auto name = body.Text("name", kNameBytesMax, kRequired)) command.set_name(*name);
  ReadContent(body, command, kRequired);
  if (const auto locale = body.Text("locale", kLocaleBytesMax)) command.set_locale(*locale);
  body.Each("variants", kVariantsMax, [&command](Members& one) {
    auto& variant = *command.add_variants();
    if (const auto locale = one.Text("locale", kLocaleBytesMax, kRequired)) variant.set_locale(*locale);
    ReadContent(one, variant, kRequired);
  });
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
  bool compiles = !command.mjml().empty();
  for (const auto& variant : command.variants()) compiles = compiles || !variant.mjml().empty();
  if (compiles && !call.api->parts.compile_mjml) return Refuse(call, NoMjml());
  gateway::Order order = gateway::PlainOrder(command, schema::HomeKey(call.caller.tenant));
  const auto submit = [](Call of, templates::v1::SaveTemplate saved, gateway::Order as) {
    Json more{{"name", saved.name()}, {"warnings", WarningsJson(of, saved.html())}};
    // What this process makes of the request is no part of what Idempotency-Key stands for.
    saved.set_mail_bytes_max(of.api->parts.assets.mail_bytes_max);
    as.payload = saved.SerializeAsString();
    Submit(std::move(of), std::move(as),
           {.status = 201, .id_member = "template_id", .collection = "/v1/templates", .more = std::move(more)});
  };
  if (!compiles) return submit(std::move(call), std::move(command), std::move(order));
  Executor& bulk = call.api->parts.bulk;
  bulk.Post([call = std::move(call), command = std::move(command), order = std::move(order), submit]() mutable {
    if (const auto wrong = CompileAll(call, command)) return Refuse(call, *wrong);
    submit(std::move(call), std::move(command), std::move(order));
  });
}

void LintTemplate(Call call) {
  Body body(call);
  TemplateDraft draft;
  std::string mjml;
  const auto read = [&](const char* name, size_t bytes_max, std::string& into) {
    if (auto text = body.Text(name, bytes_max)) into = std::move(*text);
  };
  read("subject", kSubjectBytesMax, draft.subject);
  read("preheader", kPreheaderBytesMax, draft.preheader);
  read("html", kBodyBytesMax, draft.html);
  read("text", kTextBytesMax, draft.text);
  read("mjml", kTextBytesMax, mjml);
  read("from_name", kEmailBytesMax, draft.from_name);
  if (!body.Accepted(call)) return;
  if (!mjml.empty() && !call.api->parts.compile_mjml) return Refuse(call, NoMjml());
  AfterOwnWrites(std::move(call), "partial_sources", Seconds(2), [draft = std::move(draft), mjml = std::move(mjml)](Call c, bool) mutable {
    const auto known = QueryOwn(c, "attributes", {{"after", Value::Text("")}, {"limit", Value::Integer(kPartialsMax)}});
    if (!known) return Refuse(c, known.error());
    const auto partials = QueryOwn(c, "partial_sources", {{"limit", Value::Integer(kPartialsMax)}});
    if (!partials) return Refuse(c, partials.error());
    for (size_t row = 0; row < known->size(); ++row) draft.attributes.push_back(known->at(row, "name").bytes);
    for (size_t row = 0; row < partials->size(); ++row) {
      const auto text = [&](std::string_view column) { return partials->at(row, column).bytes; };
      draft.partials.push_back({text("name"), text("html"), text("text")});
    }
    Executor& bulk = c.api->parts.bulk;
    bulk.Post([c = std::move(c), draft = std::move(draft), mjml = std::move(mjml)]() mutable {
      const Json found = FindingsJson(c, std::move(draft), mjml);
      Answer(c, 200, found);
    });
  });
}

void ListTemplates(Call call) {
  const bool archived = call.request.Query("archived").value_or("false") == "true";
  List(std::move(call), {.query = "templates",
                         .key = {"template_id"},
                         .fixed = {{"archived", Value::Integer(archived ? 1 : 0)}},
                         .id_column = "template_id"});
}

namespace {

template <class M>
void ChangeTemplate(Call call, Shape shape) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("template"));
  if (!call.request.body.empty() && !Body(call).Accepted(call)) return;
  M command;
  command.set_template_id(*id);
  SubmitHome(std::move(call), command, std::move(shape));
}

}  // namespace

void ArchiveTemplate(Call call) { ChangeTemplate<templates::v1::ArchiveTemplate>(std::move(call), {.id_member = "template_id"}); }
void RestoreTemplate(Call call) { ChangeTemplate<templates::v1::RestoreTemplate>(std::move(call), {.id_member = "template_id"}); }
void DeleteTemplate(Call call) { ChangeTemplate<templates::v1::DeleteTemplate>(std::move(call), {.status = 204}); }

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
    for (const char* name : {"partials", "variants"}) body[name] = Json::parse(rows.at(0, name).bytes, nullptr, false);
    MAILY_TRY(const Rows assets, QueryOwn(c, "template_assets", {which, {"version", rows.at(0, "version")}}));
    body["assets"] = RowsJson(assets);
    return body;
  });
}

}  // namespace maily::api
