// See openapi.h.
#include "api/openapi.h"

#include <google/protobuf/descriptor.h>

#include "schemas/types.h"

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

Json ParametersOf(std::string_view pattern, std::string_view example, bool reads) {
  Json parameters = Json::array();
  for (size_t at = pattern.find('{'); at != std::string_view::npos; at = pattern.find('{', at + 1)) {
    parameters.push_back(Parameter(pattern.substr(at + 1, pattern.find('}', at) - at - 1), "path", true, "string", ""));
  }
  for (size_t at = example.starts_with('?') ? 1 : std::string_view::npos; at < example.size();) {
    const size_t equals = example.find('=', at);
    parameters.push_back(Parameter(example.substr(at, equals - at), "query", false, "string", ""));
    const size_t next = example.find('&', equals);
    at = next == std::string_view::npos ? next : next + 1;
  }
  if (reads) {
    parameters.push_back(
        Parameter("min", "query", false, "string", "a Maily-Consistency-Token: wait until this view shows what it stands for"));
    parameters.push_back(
        Parameter("wait_ms", "query", false, "integer", "how long to wait at most; the answer says Maily-Applied: true or false"));
    parameters.push_back(Parameter("strict", "query", false, "boolean", "true: 412 instead of an answer that is not fresh"));
    parameters.push_back(Parameter("page_size", "query", false, "integer", "of lists"));
    parameters.push_back(Parameter("page_token", "query", false, "string", "of lists: next_page_token of the page before"));
  }
  return parameters;
}

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

std::string OpenApiJson(std::span<const RouteRow> rows, const std::vector<OperatorRoute>& more, const std::string& version) {
  Json schemas = Json::object();
  schemas["Problem"] = {
      {"type", "object"},
      {"description", "RFC 9457, and what most clients look for besides"},
      {"properties",
       {{"type", {{"type", "string"}}},
        {"title", {{"type", "string"}}},
        {"status", {{"type", "integer"}}},
        {"code", {{"type", "string"}, {"description", "stable"}}},
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
    const bool reads = row.method == http::Method::kGet;
    if (Json parameters = ParametersOf(row.pattern, row.example, reads && !row.uses.empty()); !parameters.empty())
      operation["parameters"] = std::move(parameters);
    if (!reads)
      operation["parameters"].push_back(
          Parameter("Idempotency-Key", "header", false, "string", "the same key and request get the first answer, for 24 h"));
    if (row.example.starts_with('{')) {
      const Json example = Json::parse(row.example);
      operation["requestBody"] = {{"content", {{"application/json", {{"schema", SchemaOf(example)}, {"example", example}}}}}};
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
    if (const bool waits = !reads && row.scope != gateway::Scope::kIngest && row.handler != nullptr; waits)
      operation["responses"]["202"] = pending;
  }
  for (const OperatorRoute& route : more) {
    Json& operation = add(route.method, route.pattern, route.scope, route.summary);
    if (Json parameters = ParametersOf(route.pattern, "", false); !parameters.empty()) operation["parameters"] = std::move(parameters);
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
      "<h1>Maily API</h1><p>Machine-readable: <a href=\"/api/openapi.json\">OpenAPI 3.1</a>. Every route but <code>/v1/limits</code> wants "
      "<code>Authorization: Bearer mk_…</code> with the scope named; admin may all, write may also read.</p>"
      "<p>Writes answer with <code>Maily-Consistency-Token</code>; give it to a read as <code>?min=TOKEN&amp;wait_ms=1000</code>, and it "
      "says "
      "<code>Maily-Applied: true</code> or <code>false</code> (with <code>strict=true</code>: 412). Lists are paged with "
      "<code>page_size</code> and <code>page_token</code>. "
      "<code>Idempotency-Key</code>: the same key and request get the first answer, for 24 hours. A write that is durable and not decided "
      "within <code>decision_timeout_ms</code> answers 202 with a <code>status_url</code>. Errors are "
      "<code>application/problem+json</code> with a stable <code>code</code>.</p>";
  const auto heading = [&](http::Method method, std::string_view pattern, gateway::Scope scope, std::string_view summary) {
    page += fmt::format("<h3><code>{} {}</code></h3><div>{} <small>scope {}</small></div>", http::MethodName(method), Escaped(pattern),
                        Escaped(summary), gateway::ScopeName(scope));
  };
  for (const RouteRow& row : rows) {
    heading(row.method, row.pattern, row.scope, row.summary);
    std::string command = "curl -H \"Authorization: Bearer $KEY\"";
    if (row.method != http::Method::kGet) command += " -X " + std::string(http::MethodName(row.method));
    std::string path(row.pattern);
    for (const std::string_view name : {"{id}", "{contact_id}"}) {
      if (const size_t at = path.find(name); at != std::string::npos)
        path.replace(at, name.size(), name == "{id}" ? "1" : "281474976710657");
    }
    if (row.example.starts_with('?')) path += row.example;
    command += " '$URL" + path + "'";
    if (row.example.starts_with('{')) command += "\\\n  -H 'Content-Type: application/json' -d '" + std::string(row.example) + "'";
    if (row.handler == nullptr) command += " \\\n  -H 'Content-Type: text/csv' --data-binary @contacts.csv";
    const size_t quoted = command.find("'$URL");
    command.replace(quoted, 5, "\"$URL");
    command.replace(command.find('\'', quoted), 1, "\"");
    page += "<pre>" + Escaped(command) + "</pre>";
  }
  for (const OperatorRoute& route : more) heading(route.method, route.pattern, route.scope, route.summary);
  page +=
      "<h2>In mails</h2><p><code>GET /o/{token}.gif</code> the open pixel, <code>GET /c/{token}</code> a tracked link, <code>GET "
      "/u/{token}</code> a page with one button, "
      "<code>POST /u/{token}</code> the opt-out (RFC 8058). The token authorises.</p></body></html>";
  return page;
}

}  // namespace maily::api
