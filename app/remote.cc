// See remote.h.
#include "app/remote.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "api/http/client.h"

namespace maily::app {
namespace {

using nlohmann::json;

// How a flag or argument gets into the request.
enum class As {
  kPath,
  kQuery,
  kText,
  kNumber,
  kSwitch,
  kList,
  kAttach,  // kList of attachments
  kFileText,
  kWhole,
  kWho,      // kText; @example.com becomes the member "domain"
  kWhoQuery  // kQuery likewise
};

struct Field {
  const char* name;    // of the argument (no dashes) or flag (--name), and of {name} in the path
  const char* member;  // of the JSON body or the query
  As as;
  bool required;
  const char* help;
};

struct Row {
  const char* group;
  const char* name;
  const char* help;  // with an example
  const char* method;
  const char* path;
  std::vector<Field> fields;
  int (*print)(const Common& common, const HttpAnswer& answer) = PrintAnswer;  // gives the exit code
};

// A line a rule; whether all of them hold is the exit code.
int PrintCheck(const Common& common, const HttpAnswer& answer) {
  const json parsed = json::parse(answer.body, nullptr, false);
  if (answer.status != 200 || !parsed.is_object() || !parsed.contains("lines")) return PrintAnswer(common, answer);
  if (common.json) {
    std::printf("%s\n", answer.body.c_str());
  } else {
    for (const json& line : parsed["lines"]) {
      const std::string fix = line.value("fix", "");
      std::printf("%-4s %s: %s%s%s\n", line.value("ok", false) ? "ok" : "FAIL", line.value("rule", "").c_str(),
                  line.value("found", "").c_str(), fix.empty() ? "" : "; ", fix.c_str());
    }
  }
  return parsed.value("passed", false) ? kExitOk : kExitDifference;
}

// The entries as a table; whether there are any is the exit code.
int PrintSuppressionCheck(const Common& common, const HttpAnswer& answer) {
  const json parsed = json::parse(answer.body, nullptr, false);
  const int code = PrintAnswer(common, answer);
  return code == kExitOk && parsed.is_object() && parsed.value("suppressed", false) ? kExitDifference : code;
}

const std::vector<Row>& Rows() {
  static const Field kId{"id", "id", As::kPath, true, "its id"};
  static const Field kDomain{"name", "name", As::kPath, true, "its name"};
  static const Field kSite{"site", "site", As::kPath, true, "its name, as in maily site list"};
  static const Field kSize{"--page-size", "page_size", As::kQuery, false, "rows of a page"};
  static const Field kPage{"--page-token", "page_token", As::kQuery, false, "next_page_token of the page before"};
  static const std::vector<Row> rows = {
      {"tenant",
       "create",
       "maily tenant create acme",
       "POST",
       "/v1/tenants",
       {{"name", "name", As::kText, true, "lower-case letters, digits, dashes"}}},
      {"tenant", "list", "maily tenant list", "GET", "/v1/tenants", {kSize, kPage}},
      {"tenant", "settings", "maily tenant settings", "GET", "/v1/settings", {}},
      {"tenant",
       "configure",
       "maily tenant configure --sender news@example.com --company Shop --postal-address '1 Main St'",
       "PUT",
       "/v1/settings",
       {{"--sender", "senders", As::kList, false, "an address that may stand in From; repeat it for more"},
        {"--company", "company", As::kText, false, "who sends"},
        {"--postal-address", "postal_address", As::kText, false, "at the foot of marketing mail"},
        {"--tracking", "tracking", As::kText, false, "on or off: whether campaigns that are launched from now on track opens and clicks"},
        {"--time-zone", "time_zone", As::kText, false, "IANA, like Europe/Berlin: of schedules, and of contacts without a zone"},
        {"--overdue-minutes", "overdue_minutes", As::kNumber, false, "a scheduled start that is later than this is held"}}},
      {"tenant", "attributes", "maily tenant attributes", "GET", "/v1/attributes", {kSize, kPage}},
      {"tenant",
       "register",
       "maily tenant register recency --type integer",
       "POST",
       "/v1/attributes",
       {{"name", "name", As::kText, true, "of the attribute"},
        {"--type", "type", As::kText, true, "text, integer, number or boolean"},
        {"--personal", "personal", As::kSwitch, false, "sealed at rest; cannot be used in conditions"}}},
      {"domain",
       "add",
       "maily domain add shop.example.com",
       "POST",
       "/v1/domains",
       {{"name", "name", As::kText, true, "the domain in From"},
        {"--return-path", "return_path", As::kText, false, "host of envelope senders; default bounces.<name>"},
        {"--algorithm", "algorithms", As::kList, false, "rsa-sha256 or ed25519-sha256; repeat it for both, which is the default"}}},
      {"domain", "list", "maily domain list", "GET", "/v1/domains", {kSize, kPage}},
      {"domain", "show", "maily domain show shop.example.com (with the DNS records to publish)", "GET", "/v1/domains/{name}", {kDomain}},
      {"domain", "rotate", "maily domain rotate shop.example.com", "POST", "/v1/domains/{name}:rotate", {kDomain}},
      {"domain", "activate", "maily domain activate shop.example.com", "POST", "/v1/domains/{name}:activate", {kDomain}},
      {"domain",
       "check",
       "maily domain check shop.example.com (a line a rule, with what to publish)",
       "POST",
       "/v1/domains/{name}:check",
       {kDomain},
       PrintCheck},
      {"domain", "remove", "maily domain remove shop.example.com", "DELETE", "/v1/domains/{name}", {kDomain}},
      {"key",
       "create",
       "maily key create --label shop --scope ingest",
       "POST",
       "/v1/keys",
       {{"--label", "label", As::kText, true, "what it is for"},
        {"--scope", "scopes", As::kList, true, "admin, read, write or ingest; repeat it for more"}}},
      {"key", "list", "maily key list", "GET", "/v1/keys", {kSize, kPage}},
      {"key", "revoke", "maily key revoke k1", "DELETE", "/v1/keys/{id}", {kId}},
      {"contact",
       "upsert",
       "maily contact upsert --file contact.json",
       "POST",
       "/v1/contacts",
       {{"--file", "", As::kWhole, true, "JSON body; - = standard input"}}},
      {"contact", "show", "maily contact show 281474976710657", "GET", "/v1/contacts/{id}", {kId}},
      {"contact",
       "find",
       "maily contact find ann@example.com",
       "GET",
       "/v1/contacts",
       {{"email", "email", As::kQuery, true, "its address"}}},
      {"contact", "list", "maily contact list --page-size 50", "GET", "/v1/contacts", {kSize, kPage}},
      {"list", "create", "maily list create customers", "POST", "/v1/lists", {{"name", "name", As::kText, true, "its name"}}},
      {"list", "list", "maily list list", "GET", "/v1/lists", {kSize, kPage}},
      {"list", "show", "maily list show 1", "GET", "/v1/lists/{id}", {kId}},
      {"asset",
       "list",
       "maily asset list --archived true",
       "GET",
       "/v1/assets",
       {{"--archived", "archived", As::kQuery, false, "true: the archived ones, too"}, kSize, kPage}},
      {"asset",
       "show",
       "maily asset show 9f86d081884c7d65… (its address, and which template versions use it)",
       "GET",
       "/v1/assets/{id}",
       {kId}},
      {"asset",
       "archive",
       "maily asset archive 9f86d081884c7d65… (no new template version can use it)",
       "POST",
       "/v1/assets/{id}:archive",
       {kId}},
      {"asset", "restore", "maily asset restore 9f86d081884c7d65…", "POST", "/v1/assets/{id}:restore", {kId}},
      {"asset",
       "delete",
       "maily asset delete 9f86d081884c7d65… (one that no template version was saved with)",
       "DELETE",
       "/v1/assets/{id}",
       {kId}},
      {"segment",
       "create",
       "maily segment create 'active pros' 'plan = \"pro\" and clicked(last: 7d) >= 1'",
       "POST",
       "/v1/segments",
       {{"name", "name", As::kText, true, "its name"},
        {"where", "where", As::kText, true, "the expression, as text or JSON: docs/segments.md"}}},
      {"segment",
       "change",
       "maily segment change 1 'plan = \"pro\"' --based-on 1 (a new version; maily segment preview --segment 1 shows who enters and "
       "leaves)",
       "PUT",
       "/v1/segments/{id}",
       {kId,
        {"where", "where", As::kText, true, "the expression, as text or JSON"},
        {"--based-on", "based_on", As::kNumber, false, "only if this is its newest version"}}},
      {"segment", "list", "maily segment list", "GET", "/v1/segments", {kSize, kPage}},
      {"segment",
       "show",
       "maily segment show 1 --as-of 2026-11-21T00:00:00Z",
       "GET",
       "/v1/segments/{id}",
       {kId, {"--as-of", "as_of", As::kQuery, false, "also how many were members at this time"}}},
      {"segment",
       "members",
       "maily segment members 1 --as-of 2026-11-21T00:00:00Z",
       "GET",
       "/v1/segments/{id}/members",
       {kId, {"--as-of", "as_of", As::kQuery, false, "who were members at this time; default: now"}, kSize, kPage}},
      {"segment", "archive", "maily segment archive 1", "POST", "/v1/segments/{id}:archive", {kId}},
      {"template",
       "save",
       "maily template save --name spring --subject Hi --html spring.html --attach 'list.pdf=Price list.pdf' (text made from the HTML)",
       "POST",
       "/v1/templates",
       {{"--name", "name", As::kText, true, "a new version if it exists"},
        {"--subject", "subject", As::kText, true, "may hold placeholders"},
        {"--html", "html", As::kFileText, false, "file with the HTML part"},
        {"--text", "text", As::kFileText, false, "file with the text part; without one, it is made from the HTML"},
        {"--attach", "attachments", As::kAttach, false, "an asset, NAME or NAME=FILE NAME; once for each"}}},
      {"template", "list", "maily template list", "GET", "/v1/templates", {kSize, kPage}},
      {"template", "show", "maily template show 1", "GET", "/v1/templates/{id}", {kId}},
      {"campaign",
       "create",
       "maily campaign create --file campaign.json",
       "POST",
       "/v1/campaigns",
       {{"--file", "", As::kWhole, true, "JSON body; - = standard input"}}},
      {"campaign", "list", "maily campaign list", "GET", "/v1/campaigns", {kSize, kPage}},
      {"campaign", "show", "maily campaign show 1", "GET", "/v1/campaigns/{id}", {kId}},
      {"campaign", "report", "maily campaign report 1", "GET", "/v1/campaigns/{id}/report", {kId}},
      {"campaign", "skips", "maily campaign skips 1", "GET", "/v1/campaigns/{id}/skips", {kId}},
      {"campaign", "launch", "maily campaign launch 1", "POST", "/v1/campaigns/{id}:launch", {kId}},
      {"campaign",
       "schedule",
       "maily campaign schedule 1 --local 2026-12-01T09:00 --zone Europe/Berlin; maily campaign schedule 1 --local 2026-12-01T09:00 "
       "--per-contact-zone; maily campaign schedule 1 --at 2026-12-01T08:00:00Z",
       "POST",
       "/v1/campaigns/{id}:schedule",
       {kId,
        {"--at", "at", As::kText, false, "the instant, with an offset"},
        {"--local", "local", As::kText, false, "the wall time, without one"},
        {"--zone", "zone", As::kText, false, "of --local, like Europe/Berlin; default: the tenant's"},
        {"--per-contact-zone", "per_contact_zone", As::kSwitch, false,
         "each contact when its own clock (attribute time_zone) shows --local"},
        {"--late", "late", As::kText, false, "with it, whoever is past that time at the start: send, the default, or skip"}}},
      {"campaign", "unschedule", "maily campaign unschedule 1", "POST", "/v1/campaigns/{id}:unschedule", {kId}},
      {"campaign",
       "release",
       "maily campaign release 1 (one that was held: its start was overdue, or refused)",
       "POST",
       "/v1/campaigns/{id}:release",
       {kId}},
      {"campaign",
       "throttle",
       "maily campaign throttle 1 --per-minute 600; maily campaign throttle 1 --over-minutes 240; without either: as fast as it can",
       "POST",
       "/v1/campaigns/{id}:throttle",
       {kId,
        {"--per-minute", "per_minute", As::kNumber, false, "mails a minute at most"},
        {"--over-minutes", "over_minutes", As::kNumber, false, "the audience evenly over so long"}}},
      {"campaign", "pause", "maily campaign pause 1", "POST", "/v1/campaigns/{id}:pause", {kId}},
      {"campaign",
       "resume",
       "maily campaign resume 1 (of one that a safety stop has paused: --override --why 'the list was cleaned')",
       "POST",
       "/v1/campaigns/{id}:resume",
       {kId,
        {"--override", "override", As::kSwitch, false, "go on though a safety stop has paused it"},
        {"--why", "why", As::kText, false, "the reason of the override"}}},
      {"campaign", "cancel", "maily campaign cancel 1", "POST", "/v1/campaigns/{id}:cancel", {kId}},
      {"suppression",
       "add",
       "maily suppression add ann@example.com --reason manual --note 'asked on the phone'; maily suppression add @example.org",
       "POST",
       "/v1/suppressions",
       {{"who", "email", As::kWho, true, "an address; or @ and a domain, for every address there"},
        {"--reason", "reason", As::kText, false,
         "manual, the default, hard_bounce, soft_bounces, complaint, unsubscribed, blocked, invalid, erased or other"},
        {"--stream", "stream", As::kText, false, "for which mails: all, the default, marketing or transactional"},
        {"--note", "note", As::kText, false, "in free words; of an address it is sealed"}}},
      {"suppression",
       "remove",
       "maily suppression remove ann@example.com --reason 'asked for mail again'",
       "DELETE",
       "/v1/suppressions",
       {{"who", "email", As::kWhoQuery, true, "the address; or @ and the domain"},
        {"--reason", "reason", As::kQuery, true, "why, in free words"}}},
      {"suppression",
       "list",
       "maily suppression list --reason complaint --since 2026-11-21T00:00:00Z",
       "GET",
       "/v1/suppressions",
       {{"--reason", "reason", As::kQuery, false, "only of this reason"},
        {"--domain", "domain", As::kQuery, false, "only of this domain: itself, and addresses there"},
        {"--since", "since", As::kQuery, false, "only what was added at this time or later"},
        kSize,
        kPage}},
      {"suppression",
       "check",
       "maily suppression check ann@example.com (whether mail to it is stopped, and by which entries; exit code 4 if it is)",
       "GET",
       "/v1/suppressions:check",
       {{"email", "email", As::kQuery, true, "the address"}},
       PrintSuppressionCheck},
      {"site", "list", "maily site list (where mail goes, how fast, and why not faster)", "GET", "/v1/sites", {}},
      {"site",
       "show",
       "maily site show google.com (suspended, drained, slowed and why; what waits there; how this process sees it)",
       "GET",
       "/v1/sites/{site}",
       {kSite}},
      {"site",
       "drain",
       "maily site drain google.com --reason \"its servers move tonight\" (no mail begins there until it is resumed; those under way end)",
       "POST",
       "/v1/sites/{site}:drain",
       {kSite, {"--reason", "reason", As::kText, false, "why, for those who look later"}}},
      {"site",
       "flush",
       "maily site flush google.com --reason \"they have lifted the block\" (what waits for a retry there is due now; --dry-run counts it)",
       "POST",
       "/v1/sites/{site}:flush",
       {kSite, {"--reason", "reason", As::kText, false, "why, for those who look later"}}},
      {"site",
       "suspend",
       "maily site suspend google.com --reason \"they asked us to wait\" (no mail goes there until it is resumed)",
       "POST",
       "/v1/sites/{site}:suspend",
       {kSite, {"--reason", "reason", As::kText, false, "why, for those who look later"}}},
      {"site",
       "resume",
       "maily site resume google.com",
       "POST",
       "/v1/sites/{site}:resume",
       {kSite, {"--reason", "reason", As::kText, false, "why, for those who look later"}}},
      {"site",
       "changes",
       "maily site changes google.com (why it was slow: each decision with its cause, newest first)",
       "GET",
       "/v1/sites/{site}/changes",
       {kSite, kSize, kPage}},
      {"deadletter", "list", "maily deadletter list", "GET", "/v1/deadletters", {kSize, kPage}},
      {"projection", "list", "maily projection list", "GET", "/v1/projections", {}},
      {"projection", "verify", "maily projection verify (digests of the read models)", "GET", "/v1/projections/digests", {}},
      {"projection",
       "rebuild",
       "maily projection rebuild campaigns",
       "POST",
       "/v1/projections/{group}:rebuild",
       {{"group", "group", As::kPath, true, "see maily projection list"}}},
  };
  return rows;
}

Result<std::string> ReadFile(const std::string& path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream in(path, std::ios::binary);
  if (!in) return Fail(Code::kInvalid, "{}: cannot be read", path);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

struct Values {
  ServerFlags server;
  bool dry_run = false;
  std::vector<std::string> texts;
  std::vector<std::vector<std::string>> lists;
  std::vector<char> switches;
};

int Run(const Common& common, const Row& row, const Values& values) {
  auto server = values.server.Resolve();
  if (!server) return PrintError(common, server.error());
  std::string path = row.path;
  std::string query;
  std::string whole;
  json body = json::object();
  for (size_t i = 0; i < row.fields.size(); ++i) {
    const Field& field = row.fields[i];
    const std::string& text = values.texts[i];
    if (field.as == As::kSwitch) {
      body[field.member] = values.switches[i] != 0;
    } else if (field.as == As::kList) {
      if (!values.lists[i].empty()) body[field.member] = values.lists[i];
    } else if (field.as == As::kAttach) {
      for (const std::string& one : values.lists[i]) {
        const size_t equals = one.find('=');
        json attachment{{"asset", one.substr(0, equals)}};
        if (equals != std::string::npos) attachment["file_name"] = one.substr(equals + 1);
        body[field.member].push_back(std::move(attachment));
      }
    } else if (text.empty()) {
      continue;
    } else if (field.as == As::kPath) {
      const std::string placeholder = std::string("{") + field.name + "}";
      path.replace(path.find(placeholder), placeholder.size(), PercentEncode(text));
    } else if (field.as == As::kQuery || field.as == As::kWhoQuery) {
      const bool domain = field.as == As::kWhoQuery && text[0] == '@';
      query +=
          std::string(query.empty() ? "?" : "&") + (domain ? "domain" : field.member) + "=" + PercentEncode(domain ? text.substr(1) : text);
    } else if (field.as == As::kWho && text[0] == '@') {
      body["domain"] = text.substr(1);
    } else if (field.as == As::kFileText || field.as == As::kWhole) {
      auto content = ReadFile(text);
      if (!content) return PrintError(common, content.error());
      if (field.as == As::kWhole) {
        whole = *content;
      } else {
        body[field.member] = *content;
      }
    } else if (field.as == As::kNumber) {
      const json number = json::parse(text, nullptr, false);
      body[field.member] = number.is_number_integer() ? number : json(text);  // the server says what is wrong with it
    } else {
      body[field.member] = text;
    }
  }
  if (values.dry_run) query += query.empty() ? "?dry_run=true" : "&dry_run=true";
  const bool has_body = std::string_view(row.method) == "POST" || std::string_view(row.method) == "PUT";
  auto answer =
      Ask(*server, row.method, path + query, !whole.empty() ? whole : (has_body ? body.dump() : ""), has_body ? "application/json" : "");
  if (!answer) return PrintError(common, answer.error());
  return row.print(common, *answer);
}

std::string Cell(const json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return value.get<std::string>();
  return value.dump();
}

// Rows of objects as a table; the columns are those of the first.
void PrintTable(const json& items) {
  if (items.empty()) {
    std::puts("(none)");
    return;
  }
  std::vector<std::string> columns;
  for (const auto& [name, value] : items[0].items()) columns.push_back(name);
  std::vector<size_t> widths;
  for (const std::string& column : columns) {
    size_t width = column.size();
    for (const json& item : items) width = std::max(width, std::min<size_t>(Cell(item.value(column, json())).size(), 60));
    widths.push_back(width);
  }
  for (size_t i = 0; i < columns.size(); ++i)
    std::printf("%-*s%s", static_cast<int>(widths[i]), columns[i].c_str(), i + 1 < columns.size() ? "  " : "\n");
  for (const json& item : items) {
    for (size_t i = 0; i < columns.size(); ++i) {
      std::printf("%-*s%s", static_cast<int>(widths[i]), Cell(item.value(columns[i], json())).c_str(),
                  i + 1 < columns.size() ? "  " : "\n");
    }
  }
}

http::Method MethodOf(std::string_view name) {
  using enum http::Method;
  for (const http::Method method : {kGet, kHead, kPost, kPut, kPatch, kDelete}) {
    if (http::MethodName(method) == name) return method;
  }
  return kOther;
}

}  // namespace

Result<HttpAnswer> Ask(const Server& server, const std::string& method, const std::string& path, const std::string& body,
                       const std::string& content_type, std::function<std::string()> pieces) {
  MAILY_TRY(http::Client client, http::Client::FromUrl(server.url));
  http::Call call;
  call.method = MethodOf(method);
  call.target = path;
  if (!server.key.empty()) call.headers.Add("authorization", "Bearer " + server.key);
  if (!content_type.empty()) call.headers.Add("content-type", content_type);
  call.body = body;
  if (pieces) call.upload = [&pieces]() -> Result<std::string> { return pieces(); };
  MAILY_TRY(const http::Response response, client.Send(call));
  HttpAnswer answer;
  answer.status = response.status;
  answer.body = response.body;
  for (size_t i = 0; i < response.headers.size(); ++i) {
    const auto [name, value] = response.headers.at(i);
    answer.headers[std::string(name)] = value;
  }
  return answer;
}

void ServerFlags::AddTo(CLI::App& app) {
  app.add_option("--server", server, "where Maily serves; default $MAILY_SERVER or http://127.0.0.1:8080");
  app.add_option("--key-file", key_file, "file with the API key; default $MAILY_KEY_FILE, or $MAILY_KEY itself, or maily-data/admin.key");
}

Result<Server> ServerFlags::Resolve() const {
  const auto environment = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  Server resolved;
  resolved.url = !server.empty() ? server : environment("MAILY_SERVER");
  if (resolved.url.empty()) resolved.url = "http://127.0.0.1:8080";
  std::string file = !key_file.empty() ? key_file : environment("MAILY_KEY_FILE");
  if (file.empty()) {
    resolved.key = environment("MAILY_KEY");
    if (!resolved.key.empty()) return resolved;
    const std::string data = environment("MAILY_DATA");
    file = (data.empty() ? "maily-data" : data) + "/admin.key";
  }
  MAILY_TRY(resolved.key, ReadFile(file));
  while (!resolved.key.empty() && (resolved.key.back() == '\n' || resolved.key.back() == '\r')) resolved.key.pop_back();
  return resolved;
}

int PrintAnswer(const Common& common, const HttpAnswer& answer) {
  const json parsed = json::parse(answer.body, nullptr, false);
  const bool ok = answer.status >= 200 && answer.status < 300;
  if (common.json || parsed.is_discarded()) {
    if (!answer.body.empty()) std::printf("%s\n", answer.body.c_str());
  } else if (ok) {
    if (parsed.is_object() && parsed.contains("items") && parsed["items"].is_array()) {
      PrintTable(parsed["items"]);
      if (const std::string next = parsed.value("next_page_token", ""); !next.empty()) std::printf("more: --page-token %s\n", next.c_str());
    } else if (parsed.is_object()) {
      for (const auto& [name, value] : parsed.items()) {
        if (value.is_array() && !value.empty() && value[0].is_object()) {
          std::printf("%s:\n", name.c_str());
          PrintTable(value);
        } else {
          std::printf("%s: %s\n", name.c_str(), Cell(value).c_str());
        }
      }
    }
  }
  if (ok) return kExitOk;
  if (parsed.is_object()) {
    std::fprintf(stderr, "maily: %s (%s, HTTP %d)\n", parsed.value("message", "").c_str(), parsed.value("code", "").c_str(), answer.status);
    if (!common.json && parsed.contains("details")) {
      for (const json& detail : parsed["details"]) {
        std::fprintf(stderr, "  %s: %s %s\n", detail.value("path", "").c_str(), detail.value("code", "").c_str(),
                     detail.value("hint", "").c_str());
      }
    }
  } else {
    std::fprintf(stderr, "maily: HTTP %d\n", answer.status);
  }
  return answer.status == 409 || answer.status == 412 || answer.status == 428 ? kExitRefused
                                                                              : (answer.status == 503 ? kExitUnreachable : kExitFailed);
}

bool Confirm(const Common& common, const std::string& question) {
  if (common.yes) return true;
  if (::isatty(STDIN_FILENO) == 0) {
    if (common.json) {
      std::printf("%s\n", json({{"code", "unconfirmed"}, {"message", question}, {"details", json::array()}}).dump().c_str());
    }
    std::fprintf(stderr, "maily: %s Give --yes to do it without a terminal.\n", question.c_str());
    return false;
  }
  std::fprintf(stderr, "%s [y/N] ", question.c_str());
  std::string line;
  std::getline(std::cin, line);
  return line == "y" || line == "Y" || line == "yes";
}

std::string PercentEncode(const std::string& text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_' || c == '~') {
      out.push_back(c);
    } else {
      out += {'%', kDigits[static_cast<unsigned char>(c) >> 4], kDigits[c & 15]};
    }
  }
  return out;
}

void AddRemote(CLI::App& app, Chosen& chosen) {
  for (const Row& row : Rows()) {
    CLI::App* group = nullptr;
    for (CLI::App* known : app.get_subcommands([&row](const CLI::App* sub) { return sub->get_name() == row.group; })) group = known;
    if (group == nullptr) {
      const std::string_view noun = std::string_view(row.group) == "deadletter" ? "dead letter" : row.group;
      group = app.add_subcommand(row.group, fmt::format("{}s of a running server", noun));
      group->require_subcommand(1);
      group->fallthrough();
    }
    CLI::App* sub = group->add_subcommand(row.name, std::string("example: ") + row.help);
    sub->fallthrough();
    auto values = std::make_shared<Values>();
    values->texts.resize(row.fields.size());
    values->lists.resize(row.fields.size());
    values->switches.resize(row.fields.size());
    values->server.AddTo(*sub);
    // A rebuild appends nothing.
    if (std::string_view(row.method) != "GET" && std::string_view(row.group) != "projection")
      sub->add_flag("--dry-run", values->dry_run, "only check what is asked, and say what would be appended; nothing is");
    for (size_t i = 0; i < row.fields.size(); ++i) {
      const Field& field = row.fields[i];
      CLI::Option* option = nullptr;
      if (field.as == As::kSwitch) {
        option = sub->add_flag_callback(field.name, [values, i] { values->switches[i] = 1; }, field.help);
      } else if (field.as == As::kList || field.as == As::kAttach) {
        option = sub->add_option(field.name, values->lists[i], field.help);
      } else {
        option = sub->add_option(field.name, values->texts[i], field.help);
      }
      if (field.required) option->required();
    }
    sub->callback([&chosen, &row, values] { chosen = [&row, values](const Common& common) { return Run(common, row, *values); }; });
  }
  AddAssetAdd(*app.get_subcommand("asset"), chosen);
  AddSuppressionFiles(*app.get_subcommand("suppression"), chosen);
  AddSegmentPreviews(*app.get_subcommand("segment"), chosen);
}

}  // namespace maily::app
