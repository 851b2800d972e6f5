// From a request to rows: named queries of the views, as JSON by column name.
//
// ?min=TOKEN&wait_ms=N waits until the view shows what the token's request did, and says so in Maily-Applied: true | false; with
// strict=true a read that is not there yet is 412. Lists are paged by keyset: page_size, page_token -> next_page_token, stable under
// inserts. Columns: `…_at_us` become RFC 3339 times without `_us`, ids of contacts are strings (64 bit), bytes are hexadecimal.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/call.h"

namespace maily::api {

using projections::Parameter;
using projections::Rows;
using sql::Value;

// A row as JSON. `id_column` is called "id".
Json RowJson(const Rows& rows, size_t row, std::string_view id_column = {});
// All rows so.
Json RowsJson(const Rows& rows, std::string_view id_column = {});
// What a column is called there, and its value.
std::string MemberOf(std::string_view column, std::string_view id_column = {});
Json CellJson(std::string_view column, const Value& value);

Value Number(uint64_t id);
// The named query. Blocking.
Result<Rows> Query(Call& call, std::string_view name, const std::vector<Parameter>& parameters);
// The query with the parameter :tenant besides.
Result<Rows> QueryOwn(Call& call, std::string_view name, std::vector<Parameter> parameters = {});
// The kNotFound of which NoSuch is the problem.
Error Missing(std::string_view what);

// Waits as ?min= asks for the group of `query` ("" = every group), then lets `answer` answer, on the blocking executor, with these headers.
using AnswerFn = std::move_only_function<void(Call& call, http::Headers headers)>;
void AnswerFresh(Call call, std::string_view query, AnswerFn answer);

// Waits as ?min= asks for the group of `query`, then answers with what `read` gives, which runs on the blocking executor.
using ReadFn = std::move_only_function<Result<Json>(Call& call)>;
void Read(Call call, std::string_view query, ReadFn read);

// The one of the id in the path, as the query `noun` gives it by its parameter `id_name`; 404 if the id is no number, or there is no row.
// `body` is made of that row; `which` = the parameter. `waits_for` = the query whose group ?min= waits for.
using ShowFn = std::move_only_function<Result<Json>(Call& call, const Rows& found, const Parameter& which)>;
void Show(Call call, std::string_view noun, std::string_view id_name, std::string_view waits_for, ShowFn body);

// One page of rows.
struct RowPage {
  Rows rows = {};
  size_t count = 0;                  // of the rows; one more may be there
  std::string next_page_token = {};  // empty: this is the last
};
// How a list is paged through.
struct Paging {
  std::string query;
  std::vector<std::string> key;                         // columns that the next page begins behind
  std::vector<std::string> key_parameters = {"after"};  // their parameters
  std::vector<Value> first = {Value::Integer(0)};       // what they are on the first page
  std::vector<Parameter> fixed = {};                    // the same on all pages; a cursor is good for these alone
  std::string id_column = {};
  bool of_tenant = true;                                 // the query has the parameter :tenant, of the caller's
  std::function<Json(const Rows&, size_t)> row = {};     // instead of RowJson
  std::function<Json(Call&, const RowPage&)> body = {};  // instead of {"items": rows}, next_page_token apart
};
void List(Call call, Paging paging);
// The page alone: at most `size` rows behind `token` (empty: the first). kInvalid: a token that this list has not given out. Blocking.
Result<RowPage> ReadPage(Call& call, const Paging& paging, std::string_view token, int64_t size);
// Of the `noun` of the id in the path, which is the query's parameter `id_name`.
void ListOf(Call call, std::string_view noun, std::string_view id_name, Paging paging);
// The contact of ?email= alone, a list of one or none, by the query's parameter :contact_key.
void ListByEmail(Call call, std::string query, std::function<Json(const Rows&, size_t)> row);

// ?as_of=, or the end of time - 1; none: the call was refused (422 of a malformed time, or one that is yet to come).
std::optional<int64_t> AsOf(Call& call);

// The contact key of ?email=; none: the call was refused.
std::optional<std::string> KeyOfEmail(Call& call);

// `then` on the blocking executor, once the group of `query` ("" = every group) shows all that this process asked before, or `wait_max`
// later all the same (false).
void AfterOwnWrites(Call call, std::string_view query, Duration wait_max, std::move_only_function<void(Call call, bool fresh)> then);

}  // namespace maily::api
