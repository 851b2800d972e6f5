// See queries.h.
#include "api/queries.h"

#include "api/commands.h"
#include "api/gateway/token.h"
#include "schemas/address.h"
#include "schemas/keys.h"

namespace maily::api {
namespace {

using http::Problem;
using projections::Parameter;
using projections::Rows;
using sql::Value;
namespace gw = maily::gateway;

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) hex += {kDigits[static_cast<uint8_t>(c) >> 4], kDigits[c & 15]};
  return hex;
}

Json CellJson(std::string_view column, const Value& value) {
  switch (value.type) {
    case sql::Type::kNull:
      return nullptr;
    case sql::Type::kInteger:
      if (column.ends_with("_at_us")) return Rfc3339(value.integer);
      if (column == "contact_id" || column == "sequence") return std::to_string(value.integer);
      if (column == "holdout" || column == "personal") return value.integer != 0;
      return value.integer;
    case sql::Type::kText:
      return value.bytes;
    case sql::Type::kBlob:
      return Hex(value.bytes);
  }
  return nullptr;
}

std::string NameOf(std::string_view column, std::string_view id_column) {
  if (column == id_column) return "id";
  return std::string(column.ends_with("_at_us") ? column.substr(0, column.size() - 3) : column);
}

// How a list is paged through.
struct Paging {
  std::string query;
  std::vector<Parameter> fixed;
  std::vector<std::string> key;             // columns that the next page begins behind
  std::vector<std::string> key_parameters;  // their parameters
  std::vector<Value> first;                 // what they are on the first page
  std::string filters = {};                 // part of what a cursor is signed for
  std::string id_column = {};
  std::function<Json(const Rows&, size_t)> row = {};  // instead of RowJson
};

void List(Call call, Paging paging) {
  const auto size = NumberParameter(call, "page_size", kPageSizeDefault, 1, kPageSizeMax);
  if (!size) return Refuse(call, BadParameter("page_size", fmt::format("a number from 1 to {}", kPageSizeMax), 422));
  const std::string query = paging.query;
  Read(std::move(call), query, [paging = std::move(paging), size = *size](Call& c, http::Headers headers) {
    const auto keys = KeysOf(c);
    if (!keys) return Refuse(c, keys.error());
    const std::string label = paging.query + "?" + paging.filters;
    std::vector<Value> after = paging.first;
    if (const auto cursor = c.request.Query("page_token")) {
      auto decoded = gw::DecodeCursor(*cursor, label, **keys);
      if (!decoded || decoded->size() != after.size()) return Refuse(c, BadParameter("page_token", "not one that this list gave out"));
      after = std::move(*decoded);
    }
    std::vector<Parameter> parameters = paging.fixed;
    parameters.push_back({"tenant", c.tenant()});
    parameters.push_back({"limit", Value::Integer(size + 1)});
    for (size_t i = 0; i < after.size(); ++i) parameters.push_back({paging.key_parameters[i], after[i]});
    const auto rows = c.api->parts.views.Query(paging.query, parameters);
    if (!rows) return Refuse(c, rows.error());
    const size_t count = std::min(rows->size(), static_cast<size_t>(size));
    Json items = Json::array();
    for (size_t row = 0; row < count; ++row) items.push_back(paging.row ? paging.row(*rows, row) : RowJson(*rows, row, paging.id_column));
    Json body{{"items", std::move(items)}};
    if (rows->size() > count) {
      std::vector<Value> last;
      for (const std::string& column : paging.key) last.push_back(rows->at(count - 1, column));
      body["next_page_token"] = gw::EncodeCursor(label, last, **keys);
    }
    Answer(c, 200, body, std::move(headers));
  });
}

// A list of everything, for what is few.
void All(Call call, std::string query, std::string id_column, std::function<Json(const Rows&, size_t)> row = {}) {
  const std::string group_of = query;
  Read(std::move(call), group_of,
       [query = std::move(query), id_column = std::move(id_column), row = std::move(row)](Call& c, http::Headers headers) {
         const auto rows = c.api->parts.views.Query(query, {{"tenant", c.tenant()}});
         if (!rows) return Refuse(c, rows.error());
         Json items = Json::array();
         for (size_t i = 0; i < rows->size(); ++i) items.push_back(row ? row(*rows, i) : RowJson(*rows, i, id_column));
         Answer(c, 200, {{"items", std::move(items)}}, std::move(headers));
       });
}

Json ContactJson(const Rows& rows, size_t row) {
  Json out;
  out["id"] = std::to_string(rows.at(row, "contact_id").integer);
  out["email"] = CellJson("address", rows.at(row, "address"));
  Json attributes = Json::object();
  for (const char* column : {"attributes", "personal_attributes"}) {
    const Json part = Json::parse(rows.at(row, column).bytes, nullptr, false);
    if (!part.is_object()) continue;
    for (const auto& [name, value] : part.items()) attributes[name] = value;
  }
  out["attributes"] = std::move(attributes);
  for (const char* column : {"source", "created_at_us", "changed_at_us", "unsubscribed_at_us", "suppressed_reason", "suppressed_at_us"}) {
    out[NameOf(column, {})] = CellJson(column, rows.at(row, column));
  }
  return out;
}

Value Number(uint64_t id) { return Value::Integer(static_cast<int64_t>(id)); }

// Counts of a campaign that add up: audience = pending + delivered + bounced + unknown + expired + skipped + holdout.
Result<Json> CountsOf(Call& c, uint64_t id, const Rows& report) {
  MAILY_TRY(const Rows sums, c.api->parts.views.Query("campaign_sums", {{"tenant", c.tenant()}, {"campaign_id", Number(id)}}));
  int64_t assigned = 0, holdout = 0, delivered = 0, bounced = 0, unknown = 0, expired = 0, skipped = 0;
  for (size_t row = 0; row < report.size(); ++row) {
    const int64_t recipients = report.at(row, "recipients").integer;
    assigned += recipients;
    if (report.at(row, "holdout").integer != 0) holdout += recipients;
    delivered += report.at(row, "delivered").integer;
    bounced += report.at(row, "bounced").integer;
    unknown += report.at(row, "unknown").integer;
    expired += report.at(row, "expired").integer;
    skipped += report.at(row, "skipped").integer;
  }
  // Skipped before an arm was chosen: in the sums, in no arm.
  const int64_t without_arm = std::max<int64_t>(0, sums.at(0, "skipped").integer - skipped);
  return Json{{"audience", assigned + without_arm},
              {"pending", std::max<int64_t>(0, assigned - holdout - delivered - bounced - unknown - expired - skipped)},
              {"delivered", delivered},
              {"bounced", bounced},
              {"unknown", unknown},
              {"expired", expired},
              {"skipped", skipped + without_arm},
              {"holdout", holdout}};
}

}  // namespace

Json RowJson(const Rows& rows, size_t row, std::string_view id_column) {
  Json out = Json::object();
  for (size_t column = 0; column < rows.columns.size(); ++column) {
    const std::string& name = rows.columns[column];
    if (name == "tenant" && id_column != "tenant") continue;
    out[NameOf(name, id_column)] = CellJson(name, rows.at(row, column));
  }
  return out;
}

void Read(Call call, std::string_view query, ReadFn read) {
  Executor& blocking = call.api->blocking();
  const auto min = call.request.Query("min");
  if (!min || min->empty()) {
    blocking.Post([call = std::move(call), read = std::move(read)]() mutable { read(call, {}); });
    return;
  }
  const auto wait = NumberParameter(call, "wait_ms", 1000, 0, kWaitMsMax);
  if (!wait) return Refuse(call, BadParameter("wait_ms", fmt::format("milliseconds from 0 to {}", kWaitMsMax), 422));
  const auto strict = call.request.Query("strict");
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  auto at = gw::DecodeToken(*min, **keys);
  if (!at) return Refuse(call, BadParameter("min", "not a Maily-Consistency-Token of this tenant"));
  projections::Views& views = call.api->parts.views;
  views.freshness().Wait(views.GroupOf(query), std::move(*at), Milliseconds(*wait), blocking,
                         [call = std::move(call), read = std::move(read), strict = strict == "true"](bool fresh) mutable {
                           http::Headers headers{{"maily-applied", fresh ? "true" : "false"}};
                           if (!fresh && strict) {
                             Problem problem{
                                 .status = 412, .code = "not_applied", .message = "the view does not show what the token stands for yet"};
                             problem.headers = std::move(headers);
                             return Refuse(call, problem);
                           }
                           read(call, std::move(headers));
                         });
}

// --- tenants

void ListTenants(Call call) {
  if (call.caller.tenant != TenantId(1)) {
    return Refuse(
        call,
        {.status = 403, .code = "forbidden", .message = "only an admin key of the tenant `default`, the platform's operator, may do this"});
  }
  Read(std::move(call), "tenants", [](Call& c, http::Headers headers) {
    Json items = Json::array();
    for (int64_t after = 0;;) {
      const auto rows = c.api->parts.views.Query("tenants", {{"after", Value::Integer(after)}, {"limit", Value::Integer(1000)}});
      if (!rows) return Refuse(c, rows.error());
      for (size_t row = 0; row < rows->size(); ++row) items.push_back(RowJson(*rows, row, "tenant"));
      if (rows->size() < 1000 || items.size() >= 10'000) break;
      after = rows->at(rows->size() - 1, "tenant").integer;
    }
    Answer(c, 200, {{"items", std::move(items)}}, std::move(headers));
  });
}

void ShowSettings(Call call) {
  Read(std::move(call), "settings", [](Call& c, http::Headers headers) {
    const auto settings = c.api->parts.views.Query("settings", {{"tenant", c.tenant()}});
    if (!settings) return Refuse(c, settings.error());
    const auto senders = c.api->parts.views.Query("senders", {{"tenant", c.tenant()}});
    if (!senders) return Refuse(c, senders.error());
    Json body{{"senders", Json::array()}, {"company", ""}, {"postal_address", ""}};
    for (size_t row = 0; row < senders->size(); ++row) body["senders"].push_back(senders->at(row, "address").bytes);
    if (!settings->empty()) body.update(RowJson(*settings, 0));
    Answer(c, 200, body, std::move(headers));
  });
}

void ListAttributes(Call call) { All(std::move(call), "attributes", ""); }

void ListKeys(Call call) {
  All(std::move(call), "api_keys", "key_id", [](const Rows& rows, size_t row) {
    Json key = RowJson(rows, row, "key_id");
    Json scopes = Json::array();
    std::string word;
    for (const char c : rows.at(row, "scopes").bytes + " ") {
      if (c != ' ') {
        word.push_back(c);
      } else if (!word.empty()) {
        scopes.push_back(std::exchange(word, {}));
      }
    }
    key["scopes"] = std::move(scopes);
    return key;
  });
}

// --- contacts

void ListContacts(Call call) {
  const auto email = call.request.Query("email");
  if (!email) {
    return List(std::move(call), {.query = "contacts",
                                  .fixed = {},
                                  .key = {"contact_id"},
                                  .key_parameters = {"after"},
                                  .first = {Value::Integer(0)},
                                  .row = ContactJson});
  }
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  const auto address = schema::ParseAddress(*email);
  if (!address) return Refuse(call, BadParameter("email", address.error().message, 422));
  Read(std::move(call), "contact_by_key", [key = schema::ContactKey(**keys, address->normalised)](Call& c, http::Headers headers) {
    const auto rows = c.api->parts.views.Query("contact_by_key", {{"tenant", c.tenant()}, {"contact_key", Value::Blob(key)}});
    if (!rows) return Refuse(c, rows.error());
    Json items = Json::array();
    if (!rows->empty()) items.push_back(ContactJson(*rows, 0));
    Answer(c, 200, {{"items", std::move(items)}}, std::move(headers));
  });
}

void ShowContact(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("contact"));
  Read(std::move(call), "contact", [id = *id](Call& c, http::Headers headers) {
    const auto rows = c.api->parts.views.Query("contact", {{"tenant", c.tenant()}, {"contact_id", Number(id)}});
    if (!rows) return Refuse(c, rows.error());
    if (rows->empty()) return Refuse(c, NoSuch("contact"));
    const auto lists = c.api->parts.views.Query("lists_of_contact", {{"tenant", c.tenant()}, {"contact_id", Number(id)}});
    if (!lists) return Refuse(c, lists.error());
    Json body = ContactJson(*rows, 0);
    body["lists"] = Json::array();
    for (size_t row = 0; row < lists->size(); ++row) body["lists"].push_back(RowJson(*lists, row, "list_id"));
    Answer(c, 200, body, std::move(headers));
  });
}

void ListContactSends(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("contact"));
  List(std::move(call), {.query = "sends_of_contact",
                         .fixed = {{"contact_id", Number(*id)}},
                         .key = {"campaign_id"},
                         .key_parameters = {"before"},
                         .first = {Value::Integer(INT64_MAX)},
                         .filters = std::to_string(*id)});
}

void ListContactEngagements(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("contact"));
  List(std::move(call), {.query = "engagements_of_contact",
                         .fixed = {{"contact_id", Number(*id)}},
                         .key = {"sequence"},
                         .key_parameters = {"before"},
                         .first = {Value::Integer(INT64_MAX)},
                         .filters = std::to_string(*id)});
}

// --- lists, suppressions, templates

void ListLists(Call call) {
  List(std::move(call), {.query = "lists",
                         .fixed = {},
                         .key = {"list_id"},
                         .key_parameters = {"after"},
                         .first = {Value::Integer(0)},
                         .id_column = "list_id"});
}

void ShowList(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("list"));
  Read(std::move(call), "list", [id = *id](Call& c, http::Headers headers) {
    const auto rows = c.api->parts.views.Query("list", {{"tenant", c.tenant()}, {"list_id", Number(id)}});
    if (!rows) return Refuse(c, rows.error());
    if (rows->empty()) return Refuse(c, NoSuch("list"));
    Answer(c, 200, RowJson(*rows, 0, "list_id"), std::move(headers));
  });
}

void ListMembers(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("list"));
  List(std::move(call), {.query = "list_members",
                         .fixed = {{"list_id", Number(*id)}},
                         .key = {"contact_id"},
                         .key_parameters = {"after"},
                         .first = {Value::Integer(0)},
                         .filters = std::to_string(*id)});
}

void ListSuppressions(Call call) {
  const auto email = call.request.Query("email");
  if (!email) {
    return List(std::move(call),
                {.query = "suppressions", .fixed = {}, .key = {"contact_key"}, .key_parameters = {"after"}, .first = {Value::Blob("")}});
  }
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  const auto address = schema::ParseAddress(*email);
  if (!address) return Refuse(call, BadParameter("email", address.error().message, 422));
  Read(std::move(call), "suppression", [key = schema::ContactKey(**keys, address->normalised)](Call& c, http::Headers headers) {
    const auto rows = c.api->parts.views.Query("suppression", {{"tenant", c.tenant()}, {"contact_key", Value::Blob(key)}});
    if (!rows) return Refuse(c, rows.error());
    Json items = Json::array();
    if (!rows->empty()) items.push_back(RowJson(*rows, 0));
    Answer(c, 200, {{"items", std::move(items)}}, std::move(headers));
  });
}

void ListTemplates(Call call) {
  List(std::move(call), {.query = "templates",
                         .fixed = {},
                         .key = {"template_id"},
                         .key_parameters = {"after"},
                         .first = {Value::Integer(0)},
                         .id_column = "template_id"});
}

void ShowTemplate(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("template"));
  const auto version = NumberParameter(call, "version", 0, 1, INT32_MAX);
  if (!version) return Refuse(call, BadParameter("version", "a number from 1", 422));
  Read(std::move(call), "template", [id = *id, version = *version](Call& c, http::Headers headers) {
    projections::Views& views = c.api->parts.views;
    std::vector<Parameter> parameters{{"tenant", c.tenant()}, {"template_id", Number(id)}};
    if (version != 0) parameters.push_back({"version", Value::Integer(version)});
    const auto rows = views.Query(version == 0 ? "template" : "template_version", parameters);
    if (!rows) return Refuse(c, rows.error());
    if (rows->empty()) return Refuse(c, NoSuch("template"));
    const auto links =
        views.Query("template_links", {{"tenant", c.tenant()}, {"template_id", Number(id)}, {"version", rows->at(0, "version")}});
    if (!links) return Refuse(c, links.error());
    Json body = RowJson(*rows, 0, "template_id");
    body["links"] = Json::array();
    for (size_t row = 0; row < links->size(); ++row) body["links"].push_back(links->at(row, "target").bytes);
    Answer(c, 200, body, std::move(headers));
  });
}

// --- campaigns and sends

void ListCampaigns(Call call) {
  List(std::move(call), {.query = "campaigns",
                         .fixed = {},
                         .key = {"campaign_id"},
                         .key_parameters = {"after"},
                         .first = {Value::Integer(0)},
                         .id_column = "campaign_id"});
}

void ShowCampaign(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  Read(std::move(call), "campaign", [id = *id](Call& c, http::Headers headers) {
    projections::Views& views = c.api->parts.views;
    const std::vector<Parameter> which{{"tenant", c.tenant()}, {"campaign_id", Number(id)}};
    const auto campaign = views.Query("campaign", which);
    if (!campaign) return Refuse(c, campaign.error());
    if (campaign->empty()) return Refuse(c, NoSuch("campaign"));
    const auto arms = views.Query("campaign_report", which);
    if (!arms) return Refuse(c, arms.error());
    auto counts = CountsOf(c, id, *arms);
    if (!counts) return Refuse(c, counts.error());
    Json body = RowJson(*campaign, 0, "campaign_id");
    body["counts"] = std::move(*counts);
    body["arms"] = Json::array();
    for (size_t row = 0; row < arms->size(); ++row) body["arms"].push_back(RowJson(*arms, row));
    Answer(c, 200, body, std::move(headers));
  });
}

void ShowReport(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  Read(std::move(call), "campaign_report", [id = *id](Call& c, http::Headers headers) {
    projections::Views& views = c.api->parts.views;
    const std::vector<Parameter> which{{"tenant", c.tenant()}, {"campaign_id", Number(id)}};
    const auto campaign = views.Query("campaign", which);
    if (!campaign) return Refuse(c, campaign.error());
    if (campaign->empty()) return Refuse(c, NoSuch("campaign"));
    const auto arms = views.Query("campaign_report", which);
    if (!arms) return Refuse(c, arms.error());
    const auto sums = views.Query("campaign_sums", which);
    if (!sums) return Refuse(c, sums.error());
    auto counts = CountsOf(c, id, *arms);
    if (!counts) return Refuse(c, counts.error());
    Json body{{"id", id},
              {"name", campaign->at(0, "name").bytes},
              {"status", campaign->at(0, "status").bytes},
              {"counts", std::move(*counts)},
              {"totals", RowJson(*sums, 0)}};
    body["arms"] = Json::array();
    for (size_t row = 0; row < arms->size(); ++row) body["arms"].push_back(RowJson(*arms, row));
    Answer(c, 200, body, std::move(headers));
  });
}

void ListSkips(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  Read(std::move(call), "campaign_skips", [id = *id](Call& c, http::Headers headers) {
    projections::Views& views = c.api->parts.views;
    const std::vector<Parameter> which{{"tenant", c.tenant()}, {"campaign_id", Number(id)}};
    const auto campaign = views.Query("campaign", which);
    if (!campaign) return Refuse(c, campaign.error());
    if (campaign->empty()) return Refuse(c, NoSuch("campaign"));
    const auto skips = views.Query("campaign_skips", which);
    if (!skips) return Refuse(c, skips.error());
    Json items = Json::array();
    for (size_t row = 0; row < skips->size(); ++row) {
      items.push_back({{"reason", skips->at(row, "reason").bytes}, {"count", skips->at(row, "contacts").integer}});
    }
    Answer(c, 200, {{"items", std::move(items)}}, std::move(headers));
  });
}

void ListSends(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  const std::string status = call.request.Query("status").value_or("");
  const std::string reason = call.request.Query("reason").value_or("");
  for (const std::string& filter : {status, reason}) {
    if (filter.size() > 64) return Refuse(call, BadParameter("status, reason", "a name of at most 64 letters", 422));
  }
  List(std::move(call), {.query = "sends",
                         .fixed = {{"campaign_id", Number(*id)}, {"status", Value::Text(status)}, {"reason", Value::Text(reason)}},
                         .key = {"contact_id"},
                         .key_parameters = {"after"},
                         .first = {Value::Integer(0)},
                         .filters = fmt::format("{}/{}/{}", *id, status, reason)});
}

void ShowSend(Call call) {
  const auto id = IdParam(call);
  const auto contact = IdParam(call, "contact_id");
  if (!id || !contact) return Refuse(call, NoSuch("send"));
  Read(std::move(call), "send", [id = *id, contact = *contact](Call& c, http::Headers headers) {
    projections::Views& views = c.api->parts.views;
    const std::vector<Parameter> which{{"tenant", c.tenant()}, {"campaign_id", Number(id)}, {"contact_id", Number(contact)}};
    const auto send = views.Query("send", which);
    if (!send) return Refuse(c, send.error());
    if (send->empty()) return Refuse(c, NoSuch("send"));
    auto with_limit = which;
    with_limit.push_back({"limit", Value::Integer(1000)});
    const auto history = views.Query("send_history", with_limit);
    if (!history) return Refuse(c, history.error());
    Json body = RowJson(*send, 0);
    body["history"] = Json::array();
    for (size_t row = 0; row < history->size(); ++row) body["history"].push_back(RowJson(*history, row));
    Answer(c, 200, body, std::move(headers));
  });
}

void ListUnknown(Call call) {
  const auto text = call.request.Query("campaign_id");
  if (!text) {
    return List(std::move(call), {.query = "unknown_sends_of_all",
                                  .fixed = {},
                                  .key = {"campaign_id", "contact_id"},
                                  .key_parameters = {"after_campaign_id", "after"},
                                  .first = {Value::Integer(0), Value::Integer(0)}});
  }
  const auto id = NumberParameter(call, "campaign_id", 0, 1, INT64_MAX);
  if (!id) return Refuse(call, BadParameter("campaign_id", "the id of a campaign", 422));
  List(std::move(call), {.query = "unknown_sends",
                         .fixed = {{"campaign_id", Value::Integer(*id)}},
                         .key = {"contact_id"},
                         .key_parameters = {"after"},
                         .first = {Value::Integer(0)},
                         .filters = *text});
}

void CountEngagements(Call call) {
  Read(std::move(call), "engagement_count", [](Call& c, http::Headers headers) {
    const auto rows =
        c.api->parts.views.Query("engagement_count", {{"tenant", c.tenant()}, {"type", Value::Text(c.request.Query("type").value_or(""))}});
    if (!rows) return Refuse(c, rows.error());
    Answer(c, 200, RowJson(*rows, 0), std::move(headers));
  });
}

void ListDeadLetters(Call call) {
  List(std::move(call), {.query = "dead_letters",
                         .fixed = {},
                         .key = {"partition", "sequence"},
                         .key_parameters = {"after_partition", "after"},
                         .first = {Value::Integer(-1), Value::Integer(-1)}});
}

void ShowCommand(Call call) {
  Refuse(call, {.status = 404,
                .code = "not_found",
                .message = "what became of a command is not kept under its id; repeat the request with its Idempotency-Key, or read what "
                           "it was about with ?min= and the token"});
}

void ShowLimits(Call call) {
  Answer(call, 200,
         {{"body_bytes_max", kBodyBytesMax},
          {"json_depth_max", 64},
          {"page_size_max", kPageSizeMax},
          {"page_size_default", kPageSizeDefault},
          {"wait_ms_max", kWaitMsMax},
          {"decision_timeout_ms", kDecisionTimeout.us / 1000},
          {"idempotency_key_hours", 24},
          {"event_id_hours", 24},
          {"events_per_batch_max", 1000},
          {"event_bytes_max", 64 * 1024},
          {"suppressions_per_batch_max", 1000},
          {"import_field_bytes_max", 64 * 1024},
          {"import_row_bytes_max", 256 * 1024},
          {"import_columns_max", 500},
          {"attribute_bytes_max", gw::kAttributeBytesMax}});
}

}  // namespace maily::api
