// See read.h.
#include "api/read.h"

#include "api/gateway/token.h"
#include "schemas/address.h"
#include "schemas/keys.h"
#include "schemas/message_id.h"

namespace maily::api {
namespace {

using http::Problem;

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) hex += {kDigits[static_cast<uint8_t>(c) >> 4], kDigits[c & 15]};
  return hex;
}

// "at_us", "created_at_us", …: microseconds since 1970.
bool IsTime(std::string_view column) { return column == "at_us" || column.ends_with("_at_us"); }

// What a cursor is signed for: the query and all that does not change from page to page.
std::string LabelOf(const Paging& paging) {
  std::string label = paging.query + "?";
  for (const Parameter& one : paging.fixed) {
    if (!label.ends_with('?')) label += '/';
    label += one.value.type == sql::Type::kInteger ? std::to_string(one.value.integer) : one.value.bytes;
  }
  return label;
}

Json ItemsOf(const Paging& paging, const RowPage& page) {
  Json items = Json::array();
  for (size_t row = 0; row < page.count; ++row)
    items.push_back(paging.row ? paging.row(page.rows, row) : RowJson(page.rows, row, paging.id_column));
  return {{"items", std::move(items)}};
}

void AnswerRead(Call& call, const Result<Json>& body, http::Headers headers) {
  if (!body) return Refuse(call, body.error(), std::move(headers));  // a 404 too says whether the view is fresh
  if (body->contains("revision")) headers.Add("etag", '"' + (*body)["revision"].dump() + '"');
  Answer(call, 200, *body, std::move(headers));
}

}  // namespace

void AnswerFresh(Call call, std::string_view query, AnswerFn answer) {
  Executor& blocking = call.api->blocking();
  const auto min = call.request.Query("min");
  if (!min || min->empty()) {
    blocking.Post([call = std::move(call), answer = std::move(answer)]() mutable { answer(call, {}); });
    return;
  }
  const auto wait = NumberParameter(call, "wait_ms", 1000, 0, kWaitMsMax);
  if (!wait) return Refuse(call, BadParameter("wait_ms", fmt::format("milliseconds from 0 to {}", kWaitMsMax), 422));
  const auto strict = call.request.Query("strict");
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  auto at = gateway::DecodeToken(*min, **keys);
  if (!at) return Refuse(call, BadParameter("min", "not a Maily-Consistency-Token of this tenant"));
  projections::Views& views = call.api->parts.views;
  views.freshness().Wait(views.GroupOf(query), std::move(*at), Milliseconds(*wait), blocking,
                         [call = std::move(call), answer = std::move(answer), strict = strict == "true"](bool fresh) mutable {
                           http::Headers headers{{"maily-applied", fresh ? "true" : "false"}};
                           if (!fresh && strict) {
                             Problem problem{
                                 .status = 412, .code = "not_applied", .message = "the view does not show what the token stands for yet"};
                             problem.headers = std::move(headers);
                             return Refuse(call, problem);
                           }
                           answer(call, std::move(headers));
                         });
}

std::string MemberOf(std::string_view column, std::string_view id_column) {
  if (column == id_column) return "id";
  return std::string(IsTime(column) ? column.substr(0, column.size() - 3) : column);
}

Json CellJson(std::string_view column, const Value& value) {
  switch (value.type) {
    case sql::Type::kNull:
      return nullptr;
    case sql::Type::kInteger:
      if (IsTime(column)) return Rfc3339(value.integer);
      if (column == "contact_id" || column == "merged_into" || column == "sequence") return std::to_string(value.integer);
      if (column == "campaign_id" && schema::IsMessage(static_cast<uint64_t>(value.integer))) return std::to_string(value.integer);
      if (column == "holdout" || column == "personal" || column == "public" || column == "double_opt_in") return value.integer != 0;
      return value.integer;
    case sql::Type::kText:
      return value.bytes;
    case sql::Type::kBlob:
      return Hex(value.bytes);
  }
  return nullptr;
}

Json RowJson(const Rows& rows, size_t row, std::string_view id_column) {
  Json out = Json::object();
  for (size_t column = 0; column < rows.columns.size(); ++column) {
    const std::string& name = rows.columns[column];
    if (name == "tenant" && id_column != "tenant") continue;
    out[MemberOf(name, id_column)] = CellJson(name, rows.at(row, column));
  }
  return out;
}

Json RowsJson(const Rows& rows, std::string_view id_column) {
  Json out = Json::array();
  for (size_t row = 0; row < rows.size(); ++row) out.push_back(RowJson(rows, row, id_column));
  return out;
}

Value Number(uint64_t id) { return Value::Integer(static_cast<int64_t>(id)); }

Result<Rows> Query(Call& call, std::string_view name, const std::vector<Parameter>& parameters) {
  return call.api->parts.views.Query(name, parameters);
}

Result<Rows> QueryOwn(Call& call, std::string_view name, std::vector<Parameter> parameters) {
  parameters.push_back({"tenant", call.tenant()});
  return Query(call, name, parameters);
}

Error Missing(std::string_view what) { return Fail(Code::kNotFound, "{}", NoSuch(what).message); }

void Read(Call call, std::string_view query, ReadFn read) {
  AnswerFresh(std::move(call), query,
              [read = std::move(read)](Call& c, http::Headers headers) mutable { AnswerRead(c, read(c), std::move(headers)); });
}

void Show(Call call, std::string_view noun, std::string_view id_name, std::string_view waits_for, ShowFn body) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch(noun));
  Read(std::move(call), waits_for,
       [noun, which = Parameter{id_name, Number(*id)}, body = std::move(body)](Call& c) mutable -> Result<Json> {
         MAILY_TRY(const Rows found, QueryOwn(c, noun, {which}));
         if (found.empty()) return Missing(noun);
         return body(c, found, which);
       });
}

Result<RowPage> ReadPage(Call& call, const Paging& paging, std::string_view token, int64_t size) {
  MAILY_TRY(const keyring::TenantKeys* keys, KeysOf(call));
  std::vector<Value> after = paging.first;
  if (!token.empty()) {
    auto decoded = gateway::DecodeCursor(token, LabelOf(paging), *keys);
    if (!decoded || decoded->size() != after.size()) return Fail(Code::kInvalid, "not one that this list gave out");
    after = std::move(*decoded);
  }
  std::vector<Parameter> parameters = paging.fixed;
  parameters.push_back({"limit", Value::Integer(size + 1)});
  for (size_t i = 0; i < after.size(); ++i) parameters.push_back({paging.key_parameters[i], after[i]});
  if (paging.of_tenant) parameters.push_back({"tenant", call.tenant()});
  RowPage page;
  MAILY_TRY(page.rows, Query(call, paging.query, parameters));
  page.count = std::min(page.rows.size(), static_cast<size_t>(size));
  if (page.rows.size() > page.count) {
    std::vector<Value> last;
    for (const std::string& column : paging.key) last.push_back(page.rows.at(page.count - 1, column));
    page.next_page_token = gateway::EncodeCursor(LabelOf(paging), last, *keys);
  }
  return page;
}

void List(Call call, Paging paging) {
  const auto size = NumberParameter(call, "page_size", kPageSizeDefault, 1, kPageSizeMax);
  if (!size) return Refuse(call, BadParameter("page_size", fmt::format("a number from 1 to {}", kPageSizeMax), 422));
  const std::string query = paging.query;
  AnswerFresh(std::move(call), query, [paging = std::move(paging), size = *size](Call& c, http::Headers headers) {
    const auto token = c.request.Query("page_token");
    const auto page = token && token->empty() ? Fail(Code::kInvalid, "") : ReadPage(c, paging, token.value_or(""), size);
    if (!page && page.error().code == Code::kInvalid) return Refuse(c, BadParameter("page_token", "not one that this list gave out"));
    if (!page) return Refuse(c, page.error(), std::move(headers));
    Json body = paging.body ? paging.body(c, *page) : ItemsOf(paging, *page);
    if (!page->next_page_token.empty()) body["next_page_token"] = page->next_page_token;
    AnswerRead(c, body, std::move(headers));
  });
}

void ListOf(Call call, std::string_view noun, std::string_view id_name, Paging paging) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch(noun));
  paging.fixed.insert(paging.fixed.begin(), {id_name, Number(*id)});
  List(std::move(call), std::move(paging));
}

std::optional<int64_t> AsOf(Call& call) {
  const auto given = call.request.Query("as_of");
  if (!given) return INT64_MAX - 1;
  const auto at_us = ParseRfc3339(*given);
  if (!at_us) {
    Refuse(call, BadParameter("as_of", "a time like 2026-11-21T05:00:00Z", 422));
    return std::nullopt;
  }
  if (*at_us > call.api->parts.clock.Now().us) {
    Refuse(call, BadParameter("as_of", "lies in the future, of which nothing is known", 422));
    return std::nullopt;
  }
  return *at_us;
}

void ListByEmail(Call call, std::string query, std::function<Json(const Rows&, size_t)> row) {
  auto key = KeyOfEmail(call);
  if (!key) return;
  const std::string group_of = query;
  Read(std::move(call), group_of, [query = std::move(query), row = std::move(row), key = std::move(*key)](Call& c) -> Result<Json> {
    MAILY_TRY(const Rows rows, QueryOwn(c, query, {{"contact_key", Value::Blob(key)}}));
    Json items = Json::array();
    if (!rows.empty()) items.push_back(row(rows, 0));
    return Json{{"items", std::move(items)}};
  });
}

std::optional<std::string> KeyOfEmail(Call& call) {
  const auto email = call.request.Query("email");
  const auto address = email ? schema::ParseAddress(*email) : Fail(Code::kInvalid, "say which address: ?email=…");
  if (!address) {
    Refuse(call, BadParameter("email", address.error().message, 422));
    return std::nullopt;
  }
  const auto keys = KeysOf(call);
  if (keys) return schema::ContactKey(**keys, address->normalised);
  Refuse(call, keys.error());
  return std::nullopt;
}

void AfterOwnWrites(Call call, std::string_view query, Duration wait_max, std::move_only_function<void(Call call, bool fresh)> then) {
  projections::Views& views = call.api->parts.views;
  Executor& blocking = call.api->blocking();
  auto latest = call.api->gateway.Latest();
  views.freshness().Wait(views.GroupOf(query), std::move(latest), wait_max, blocking,
                         [call = std::move(call), then = std::move(then)](bool fresh) mutable { then(std::move(call), fresh); });
}

}  // namespace maily::api
