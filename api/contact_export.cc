// All that is known of a person, for the person (GDPR 15, 20): as JSON, or as a page that anybody can read.
#include <algorithm>

#include "api/contact_gone.h"
#include "api/contact_json.h"
#include "api/contact_timeline.h"
#include "api/handlers.h"
#include "streams/base/html.h"

namespace maily::api {
namespace {

using gateway::Registry;

constexpr int64_t kPage = 1'000;
constexpr size_t kRowsMax = 100'000;  // of each kind; beyond it the export says that it is not complete

// All pages of a list of the contact, the newest first.
Result<Json> All(Call& call, const Value& contact_id, std::string_view query, const std::string& key, bool& complete) {
  Json items = Json::array();
  Value before = Value::Integer(INT64_MAX);
  while (true) {
    MAILY_TRY(const Rows rows, QueryOwn(call, query, {{"contact_id", contact_id}, {"before", before}, {"limit", Value::Integer(kPage)}}));
    for (Json& item : RowsJson(rows)) items.push_back(std::move(item));
    if (rows.size() < static_cast<size_t>(kPage)) return items;
    before = rows.at(rows.size() - 1, key);
    if (items.size() < kRowsMax) continue;
    complete = false;
    return items;
  }
}

Result<Json> WholeTimeline(Call& call, const std::vector<int64_t>& contact_id, bool& complete) {
  Json items = Json::array();
  TimelinePlace before;
  while (true) {
    MAILY_TRY(TimelinePage page, ReadTimeline(call, contact_id, before, kPage));
    for (Json& item : page.items) items.push_back(std::move(item));
    if (!page.more) return items;
    before = page.last;
    if (items.size() < kRowsMax) continue;
    complete = false;
    return items;
  }
}

// Puts what is known of one contact to that of the others, saying whose it is.
void Append(Json& to, const Json& items, const Value& contact_id) {
  if (!to.is_array()) to = Json::array();
  for (Json item : items) {
    item["contact_id"] = std::to_string(contact_id.integer);
    to.push_back(std::move(item));
  }
}

// Of one contact, beside the others that are the same person.
Result<void> ExportOne(Call& call, const Rows& found, Json& out, bool& complete) {
  const Value contact_id = found.at(0, "contact_id");
  const Parameter which{"contact_id", contact_id};
  MAILY_TRY(const Rows lists, QueryOwn(call, "lists_of_contact", {which}));
  Append(out["lists"], RowsJson(lists, "list_id"), contact_id);
  MAILY_TRY(const Rows past, QueryOwn(call, "past_lists_of_contact", {which}));
  Append(out["past_lists"], RowsJson(past, "list_id"), contact_id);
  MAILY_TRY(const Rows suppressions, QueryOwn(call, "suppression", {{"contact_key", found.at(0, "contact_key")}}));
  Json entries = RowsJson(suppressions);
  for (Json& entry : entries) {
    entry.erase("entry_key");
    entry.erase("added_by");
  }
  Append(out["suppressions"], entries, contact_id);
  MAILY_TRY(const Json mails, All(call, contact_id, "sends_of_contact", "campaign_id", complete));
  Append(out["mails"], mails, contact_id);
  MAILY_TRY(const Json engagements, All(call, contact_id, "engagements_of_contact", "sequence", complete));
  Append(out["engagements"], engagements, contact_id);
  return Ok();
}

Result<Json> Export(Call& call, const Registry& registry, const Rows& found) {
  const Value contact_id = found.at(0, "contact_id");
  bool complete = true;
  Json out;
  out["exported_at"] = Rfc3339(call.api->gateway.clock().Now().us);
  out["contact"] = ContactJson(registry, found, 0);
  MAILY_TRY(const auto contact_ids, MergedContacts(call, contact_id));
  MAILY_TRY_VOID(ExportOne(call, found, out, complete));
  out["merged"] = Json::array();
  for (const int64_t merged : contact_ids) {
    if (merged == contact_id.integer) continue;
    MAILY_TRY(const Rows other, QueryOwn(call, "contact", {{"contact_id", Value::Integer(merged)}}));
    if (other.empty()) continue;  // erased just now
    out["merged"].push_back(ContactJson(registry, other, 0));
    MAILY_TRY_VOID(ExportOne(call, other, out, complete));
  }
  MAILY_TRY(out["timeline"], WholeTimeline(call, contact_ids, complete));
  out["complete"] = complete;
  return out;
}

std::string Shown(const Json& value) {
  if (value.is_null()) return {};
  return Html(value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void PutPairs(std::string& out, const Json& object) {
  out += "<table>";
  for (const auto& [name, value] : object.items()) {
    if (!value.is_structured() || value.is_array()) out += "<tr><th>" + Html(name) + "</th><td>" + Shown(value) + "</td></tr>\n";
  }
  out += "</table>\n";
}

// A column for each member that any of them has.
void PutTable(std::string& out, std::string_view title, const Json& items) {
  out += fmt::format("<h2>{} ({})</h2>\n", Html(title), items.size());
  if (items.empty()) return;
  std::vector<std::string> columns;
  for (const Json& item : items) {
    for (const auto& [name, value] : item.items()) {
      if (std::ranges::find(columns, name) == columns.end()) columns.push_back(name);
    }
  }
  out += "<table><tr>";
  for (const std::string& column : columns) out += "<th>" + Html(column) + "</th>";
  out += "</tr>\n";
  for (const Json& item : items) {
    out += "<tr>";
    for (const std::string& column : columns) out += "<td>" + Shown(item.value(column, Json())) + "</td>";
    out += "</tr>\n";
  }
  out += "</table>\n";
}

std::string Page(const Json& exported) {
  std::string out =
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Your data</title><style>body{font:16px/1.5 "
      "system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em}table{border-collapse:collapse}th,td{text-align:left;"
      "vertical-align:top;padding:.15em .8em .15em 0;border-bottom:1px solid #ddd}</style>\n<h1>What is known of you</h1>\n";
  out += "<p>As of " + Shown(exported["exported_at"]);
  out += exported["complete"].get<bool>() ? ".</p>\n" : ". There is more than is shown here: ask again for the rest.</p>\n";
  PutPairs(out, exported["contact"]);
  out += "<h2>Attributes</h2>\n";
  PutPairs(out, exported["contact"]["attributes"]);
  if (!exported["merged"].empty()) PutTable(out, "Contacts that were merged into this one", exported["merged"]);
  PutTable(out, "Lists", exported["lists"]);
  PutTable(out, "Lists you have left", exported["past_lists"]);
  PutTable(out, "Why you get no mail", exported["suppressions"]);
  PutTable(out, "Mails", exported["mails"]);
  PutTable(out, "Opens, clicks and events", exported["engagements"]);
  PutTable(out, "Everything, the newest first", exported["timeline"]);
  return out + "</html>\n";
}

bool WantsHtml(const Call& call) {
  const auto format = call.request.Query("format");
  if (format) return *format == "html";
  return call.request.headers["accept"].find("text/html") != std::string_view::npos;
}

}  // namespace

void ExportContact(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("contact"));
  const auto format = call.request.Query("format");
  if (format && *format != "html" && *format != "json") return Refuse(call, BadParameter("format", "json or html", 422));
  WithTypes(std::move(call), [id = *id](Call typed, const std::shared_ptr<const Registry>& registry) {
    AnswerOfContact(std::move(typed), id, "", [registry](Call& c, const Rows& found, http::Headers headers) {
      const auto exported = Export(c, *registry, found);
      if (!exported) return Refuse(c, exported.error(), std::move(headers));
      headers.Add("cache-control", "no-store");
      if (!WantsHtml(c)) return Answer(c, 200, *exported, std::move(headers));
      http::Response response = http::Response::Html(200, Page(*exported));
      for (size_t i = 0; i < headers.size(); ++i) response.headers.Add(headers.at(i).first, headers.at(i).second);
      c.respond(std::move(response));
    });
  });
}

}  // namespace maily::api
