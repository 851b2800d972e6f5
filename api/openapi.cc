// See openapi.h.
#include "api/openapi.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>

#include "api/codes.h"
#include "schemas/types.h"
#include "streams/base/html.h"

namespace maily::api {
namespace {

using google::protobuf::FieldDescriptor;

constexpr const char* kPendingExample = R"({"command_id":"AQ","status":"pending","status_url":"/v1/commands/AQ"})";

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

// Of an example's value: enough for tools to offer a form.
Json SchemaOf(const Json& value) {
  if (value.is_object()) {
    Json schema{{"type", "object"}, {"properties", Json::object()}};
    for (const auto& [name, member] : value.items()) schema["properties"][name] = SchemaOf(member);
    return schema;
  }
  if (value.is_array()) return {{"type", "array"}, {"items", value.empty() ? Json::object() : SchemaOf(value[0])}};
  return {{"type", value.is_boolean() ? "boolean" : value.is_number_integer() ? "integer" : value.is_number() ? "number" : "string"}};
}

Json SchemaOf(const google::protobuf::Descriptor& message) {
  Json properties = Json::object();
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    Json one;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL:
        one["type"] = "boolean";
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
      case FieldDescriptor::CPPTYPE_FLOAT:
        one["type"] = "number";
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        one["type"] = "string";
        break;
      case FieldDescriptor::CPPTYPE_MESSAGE:
        one = {{"$ref", "#/components/schemas/" + std::string(field.message_type()->name())}};
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        one["type"] = "string";
        one["enum"] = Json::array();
        for (int v = 0; v < field.enum_type()->value_count(); ++v) one["enum"].push_back(Lower(field.enum_type()->value(v)->name()));
        break;
      default:
        one["type"] = "integer";
        break;
    }
    properties[field.name()] = field.is_repeated() ? Json{{"type", "array"}, {"items", one}} : one;
  }
  return {{"type", "object"}, {"properties", std::move(properties)}};
}

void AddMessage(Json& schemas, const google::protobuf::Descriptor& message) {
  if (schemas.contains(message.name())) return;
  schemas[message.name()] = SchemaOf(message);
  for (int i = 0; i < message.field_count(); ++i) {
    if (const auto* inner = message.field(i)->message_type()) AddMessage(schemas, *inner);
  }
}

Json Parameter(std::string_view name, const char* in, bool required, const char* type, std::string_view description) {
  Json parameter{{"name", name}, {"in", in}, {"required", required}, {"schema", {{"type", type}}}};
  if (!description.empty()) parameter["description"] = description;
  return parameter;
}

struct Described {
  std::string_view name;
  const char* type;
  const char* description;
};
constexpr Described kCommon[] = {
    {"min", "string", "a Maily-Consistency-Token: wait until this view shows what it stands for"},
    {"wait_ms", "integer", "how long to wait at most; the answer says Maily-Applied: true or false"},
    {"strict", "boolean", "true: 412 instead of an answer that is not fresh"},
    {"page_size", "integer", "of lists"},
    {"page_token", "string", "of lists: next_page_token of the page before"},
    {"dry_run", "boolean", "true: everything short of the append; 200 with what would be appended"},
};

Json ParametersOf(std::string_view pattern, const std::vector<std::string>& query) {
  Json parameters = Json::array();
  for (size_t at = pattern.find('{'); at != std::string_view::npos; at = pattern.find('{', at + 1)) {
    parameters.push_back(Parameter(pattern.substr(at + 1, pattern.find('}', at) - at - 1), "path", true, "string", ""));
  }
  for (const std::string& name : query) {
    const auto* known = std::ranges::find(kCommon, name, &Described::name);
    const bool described = known != std::end(kCommon);
    parameters.push_back(Parameter(name, "query", false, described ? known->type : "string", described ? known->description : ""));
  }
  return parameters;
}

}  // namespace

std::string OpenApiJson(std::span<const RouteRow> rows, const std::vector<OperatorRoute>& more, const std::string& version) {
  Json schemas = Json::object();
  Json codes = Json::array();
  for (const ErrorCode& one : ErrorCodes()) codes.push_back(one.code);
  schemas["Problem"] = {
      {"type", "object"},
      {"description", "RFC 9457, and what most clients look for besides"},
      {"properties",
       {{"type", {{"type", "string"}}},
        {"title", {{"type", "string"}}},
        {"status", {{"type", "integer"}}},
        {"code", {{"type", "string"}, {"description", "stable; /api/docs says what each means"}, {"enum", codes}}},
        {"message", {{"type", "string"}}},
        {"detail", {{"type", "string"}}},
        {"instance", {{"type", "string"}}},
        {"details",
         {{"type", "array"},
          {"items",
           {{"type", "object"},
            {"properties", {{"path", {{"type", "string"}}}, {"code", {{"type", "string"}}}, {"hint", {{"type", "string"}}}}}}}}},
        {"traceId", {{"type", "string"}}}}}};
  const Json problem{{"description", "an error"},
                     {"content", {{"application/problem+json", {{"schema", {{"$ref", "#/components/schemas/Problem"}}}}}}}};
  const Json pending{{"description", "durable, and not decided yet: status_url tells when it is, and how"},
                     {"content", {{"application/json", {{"schema", SchemaOf(Json::parse(kPendingExample))}}}}}};
  Json paths = Json::object();
  const auto add = [&](http::Method method, std::string_view pattern, gateway::Scope scope, std::string_view summary) -> Json& {
    Json& operation = paths[std::string(pattern)][Lower(http::MethodName(method))];
    operation["summary"] = summary;
    if (scope == gateway::Scope::kNone) {
      operation["security"] = Json::array();
    } else {
      operation["x-maily-scope"] = gateway::ScopeName(scope);
    }
    return operation;
  };
  for (const RouteRow& row : rows) {
    Json& operation = add(row.method, row.pattern, row.scope, row.summary);
    if (Json parameters = ParametersOf(row.pattern, QueryParametersOf(row)); !parameters.empty())
      operation["parameters"] = std::move(parameters);
    if (TakesIdempotencyKey(row))
      operation["parameters"].push_back(
          Parameter("Idempotency-Key", "header", false, "string", "the same key and request get the first answer, for 24 h"));
    if (row.example.starts_with('{')) {
      const Json example = Json::parse(row.example);
      operation["requestBody"] = {{"content", {{"application/json", {{"schema", SchemaOf(example)}, {"example", example}}}}}};
    } else if (row.example == kMailType) {
      operation["requestBody"] = {{"content", {{kMailType, {{"schema", {{"type", "string"}}}}}}}};
    } else if (row.also == kFileBody) {
      operation["requestBody"] = {{"content", {{"application/octet-stream", {{"schema", {{"type", "string"}, {"format", "binary"}}}}}}}};
    } else if (row.handler == nullptr) {
      operation["requestBody"] = {{"content", {{"text/csv", {{"schema", {{"type", "string"}}}}}}}};
    }
    if (const schema::Type* type = row.uses.empty() ? nullptr : schema::FindType(row.uses); type != nullptr) {
      operation["x-maily-command"] = {{"$ref", "#/components/schemas/" + std::string(type->name)}};
      AddMessage(schemas, *type->descriptor);
    } else if (!row.uses.empty()) {
      operation["x-maily-query"] = row.uses;
    }
    operation["responses"] = {{row.method == http::Method::kDelete    ? "204"
                               : row.scope == gateway::Scope::kIngest ? "202"
                                                                      : "200",
                               {{"description", "done"}}},
                              {"default", problem}};
    if (row.summary.starts_with("Create") || row.summary.starts_with("Save") || row.summary.starts_with("Register"))
      operation["responses"]["201"] = {{"description", "made; Location names it where it has a path of its own"}};
    if (TakesIdempotencyKey(row)) operation["responses"]["202"] = pending;
    if (row.handler == nullptr) operation["responses"]["202"] = {{"description", "every row is decided; Location is the job's"}};
  }
  for (const OperatorRoute& route : more) {
    Json& operation = add(route.method, route.pattern, route.scope, route.summary);
    if (Json parameters = ParametersOf(route.pattern, {}); !parameters.empty()) operation["parameters"] = std::move(parameters);
    operation["responses"] = {{"200", {{"description", "done"}}}, {"default", problem}};
  }
  const Json document{
      {"openapi", "3.1.0"},
      {"info", {{"title", "Maily"}, {"version", version}, {"license", {{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
      {"servers", {{{"url", "/"}}}},
      {"security", {{{"key", Json::array()}}}},
      {"paths", std::move(paths)},
      {"components",
       {{"securitySchemes", {{"key", {{"type", "http"}, {"scheme", "bearer"}, {"description", "Authorization: Bearer mk_…"}}}}},
        {"schemas", std::move(schemas)}}}};
  return document.dump(1);
}

std::string DocsPage(std::span<const RouteRow> rows, const std::vector<OperatorRoute>& more) {
  std::string page =
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Maily API</title><style>body{font:16px/1.5 "
      "system-ui,sans-serif;margin:2em auto;max-width:60em;"
      "padding:0 1em}pre{background:#f4f4f4;padding:.7em;overflow:auto;margin:.3em 0 1.2em}code{background:#f4f4f4}h3{margin:1.2em 0 "
      "0}small{color:#555}</style></head><body>"
      "<h1>Maily API</h1><p>Machine-readable: <a href=\"/api/openapi.json\">OpenAPI 3.1</a>. Every route but <code>/v1/limits</code> and "
      "webhooks wants "
      "<code>Authorization: Bearer mk_…</code> with the scope named; admin may all, write may also read.</p>"
      "<p>Writes answer with <code>Maily-Consistency-Token</code>; give it to a read as <code>?min=TOKEN&amp;wait_ms=1000</code>, and it "
      "says "
      "<code>Maily-Applied: true</code> or <code>false</code> (with <code>strict=true</code>: 412). Lists are paged with "
      "<code>page_size</code> and <code>page_token</code>. "
      "<code>Idempotency-Key</code>: the same key and request get the first answer, for 24 hours, and one that comes while the first is "
      "under way is 409 with <code>Retry-After</code>; another request under that key is 422. What carries ids of its own (events, "
      "imports) does not need it. "
      "<code>?dry_run=true</code> on a write: the request is read and checked, nothing is appended, and the answer is 200 with "
      "<code>dry_run</code> and the <code>commands</code> that would be appended; how they would be decided is not foreseen. "
      "A write that is durable and not decided within <code>decision_timeout_ms</code> answers 202 with a <code>status_url</code>. "
      "A campaign has a revision, its <code>ETag</code>; a change of it says by <code>If-Match</code> which one was seen (428 without, 412 "
      "if it is stale). Of the rest nothing has versions that two writers could overwrite for each other: a contact is merged, a template "
      "gets a new version. Errors are <code>application/problem+json</code> with a stable "
      "<code>code</code>, see below.</p>";
  const auto heading = [&](http::Method method, std::string_view pattern, gateway::Scope scope, std::string_view summary) {
    page += fmt::format("<h3><code>{} {}</code></h3><div>{} <small>scope {}</small></div>", http::MethodName(method), Html(pattern),
                        Html(summary), gateway::ScopeName(scope));
  };
  for (const RouteRow& row : rows) {
    heading(row.method, row.pattern, row.scope, row.summary);
    std::string command = "curl -H \"Authorization: Bearer $KEY\"";
    if (row.method != http::Method::kGet) command += " -X " + std::string(http::MethodName(row.method));
    std::string path(row.pattern);
    constexpr std::pair<std::string_view, std::string_view> kExamples[] = {{"{id}", "1"},
                                                                           {"{contact_id}", "281474976710657"},
                                                                           {"{name}", "shop.example.com"},
                                                                           {"{site}", "google.com"},
                                                                           {"{provider}", "postmark"}};
    for (const auto& [name, example] : kExamples) {
      if (const size_t at = path.find(name); at != std::string::npos) path.replace(at, name.size(), example);
    }
    if (row.example.starts_with('?')) path += row.example;
    command += " '$URL" + path + "'";
    if (row.example.starts_with('{')) command += "\\\n  -H 'Content-Type: application/json' -d '" + std::string(row.example) + "'";
    if (row.example == kMailType) command += " \\\n  -H 'Content-Type: message/rfc822' --data-binary @mail.eml";
    if (row.also == kFileBody) command += " \\\n  -H 'Content-Type: image/png' --data-binary @logo.png";
    if (row.handler == nullptr) command += " \\\n  -H 'Content-Type: text/csv' --data-binary @contacts.csv";
    const size_t quoted = command.find("'$URL");
    command.replace(quoted, 5, "\"$URL");
    command.replace(command.find('\'', quoted), 1, "\"");
    page += "<pre>" + Html(command) + "</pre>";
  }
  for (const OperatorRoute& route : more) heading(route.method, route.pattern, route.scope, route.summary);
  page +=
      "<h2>In mails</h2><p><code>GET /o/{token}.gif</code> the open pixel, <code>GET /c/{token}</code> a tracked link, <code>GET "
      "/u/{token}</code> a page with one button, "
      "<code>POST /u/{token}</code> the opt-out (RFC 8058), <code>/p/{token}</code> the preference page, <code>/y/{token}</code> a "
      "confirmation. Public forms stand at <code>/f/{token}</code>. The token authorises.</p><h2>Errors</h2><dl>";
  for (const ErrorCode& one : ErrorCodes()) {
    std::string anchor(one.code);
    std::ranges::replace(anchor, '_', '-');
    page += fmt::format("<dt id=\"{}\"><code>{}</code></dt><dd>{}</dd>", anchor, one.code, Html(one.meaning));
  }
  page += "</dl></body></html>";
  return page;
}

}  // namespace maily::api
