// GET /v1/contacts:export: contacts, all or of a list, a page at a time, as CSV or NDJSON that an import elsewhere takes back.
//
// CSV: email, the attributes that `columns` names (default: those that are registered), maily:status. Cells that a spreadsheet would take
// for a formula are guarded; an import of a file with that column takes the guard off. The header stands on the first page. NDJSON: an
// object a line, {"email", "attributes", "maily:status"}. Whose address nobody can open any more is left out and counted.
#include <algorithm>

#include "api/handlers.h"
#include "api/import/cells.h"
#include "api/import/columns.h"
#include "api/import/rejects.h"
#include "api/read.h"

namespace maily::api {
namespace {

using gateway::Registry;

constexpr size_t kColumnsMax = 500;
constexpr Duration kOwnWritesWait = Seconds(2);

struct Wanted {
  bool csv = true;
  bool first_page = true;
  std::vector<std::string> columns;
  std::shared_ptr<const Registry> registry;
};

std::string StatusOf(const Rows& rows, size_t row) {
  const auto& suppressed = rows.at(row, "suppressed_reason");
  if (suppressed.type != sql::Type::kNull && suppressed.bytes != "unsubscribed") return "suppressed:" + suppressed.bytes;
  const bool unsubscribed = suppressed.type != sql::Type::kNull || rows.at(row, "unsubscribed_at_us").type != sql::Type::kNull;
  return unsubscribed ? "unsubscribed" : "active";
}

Json AttributesOf(const Registry& registry, const Rows& rows, size_t row) {
  Json attributes = Json::object();
  const Json open = Json::parse(rows.at(row, "attributes").bytes, nullptr, false);
  if (open.is_object()) attributes.update(open);
  const Json personal = Json::parse(rows.at(row, "personal_attributes").bytes, nullptr, false);
  for (const auto& [name, value] : personal.items()) {
    attributes[name] = value.is_string() ? Json(gateway::AttributeToJson(registry, name, value.get<std::string>())) : value;
  }
  return attributes;
}

std::string Dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string Cell(const Json& value) {
  return import::CsvField(import::GuardCell(value.is_string() ? value.get<std::string>() : Dump(value)));
}

std::string LineOf(const Wanted& wanted, const Rows& rows, size_t row) {
  const std::string& address = rows.at(row, "address").bytes;
  Json attributes = AttributesOf(*wanted.registry, rows, row);
  if (!wanted.csv) {
    return Dump({{"email", address}, {"attributes", std::move(attributes)}, {std::string(import::kStatusColumn), StatusOf(rows, row)}}) +
           '\n';
  }
  std::string line = Cell(Json(address));
  for (const std::string& column : wanted.columns) {
    const auto found = attributes.find(column);
    line += ',';
    if (found != attributes.end()) line += Cell(*found);
  }
  return line + ',' + Cell(Json(StatusOf(rows, row))) + "\r\n";
}

std::string HeaderOf(const Wanted& wanted) {
  std::string header = "email";
  for (const std::string& column : wanted.columns) header += ',' + column;
  return header + ',' + std::string(import::kStatusColumn) + "\r\n";
}

// Those that are asked for, or all that are registered. Blocking.
Result<std::vector<std::string>> ColumnsOf(Call& call) {
  std::vector<std::string> columns;
  if (const auto asked = call.request.Query("columns")) {
    for (std::string_view left = *asked; !left.empty();) {
      const size_t comma = left.find(',');
      columns.emplace_back(left.substr(0, comma));
      left.remove_prefix(comma == std::string_view::npos ? left.size() : comma + 1);
    }
  } else {
    MAILY_TRY(const Rows rows, QueryOwn(call, "attributes", {{"after", Value::Text("")}, {"limit", Value::Integer(kPageSizeMax)}}));
    for (size_t row = 0; row < rows.size(); ++row) columns.push_back(rows.at(row, "name").bytes);
  }
  if (columns.size() > kColumnsMax) return Fail(Code::kInvalid, "a file has at most {} columns; take format=ndjson", kColumnsMax);
  for (const std::string& column : columns) {
    if (!gateway::IsAttributeName(column)) return Fail(Code::kInvalid, "\"{}\" is no name of an attribute", column.substr(0, 100));
  }
  return columns;
}

// On a thread that may block.
void WritePage(Call call, Wanted wanted, const Paging& paging, int64_t size) {
  if (wanted.csv) {
    auto columns = ColumnsOf(call);
    if (!columns) return Refuse(call, BadParameter("columns", columns.error().message, 422));
    wanted.columns = std::move(*columns);
  }
  const auto page = ReadPage(call, paging, call.request.Query("page_token").value_or(""), size);
  if (!page && page.error().code == Code::kInvalid) return Refuse(call, BadParameter("page_token", "not one that this export gave out"));
  if (!page) return Refuse(call, page.error());
  std::string body = wanted.csv && wanted.first_page ? HeaderOf(wanted) : "";
  size_t written = 0;
  for (size_t row = 0; row < page->count; ++row) {
    if (page->rows.at(row, "address").type == sql::Type::kNull) continue;
    body += LineOf(wanted, page->rows, row);
    ++written;
  }
  http::Response response{.body = std::move(body)};
  response.headers.Add("content-type", wanted.csv ? "text/csv; charset=utf-8" : "application/x-ndjson");
  response.headers.Add("maily-rows", std::to_string(written));
  response.headers.Add("maily-without-address", std::to_string(page->count - written));
  if (!page->next_page_token.empty()) response.headers.Add("maily-next-page-token", page->next_page_token);
  call.respond(std::move(response));
}

}  // namespace

void ExportContacts(Call call) {
  Wanted wanted;
  const std::string format = call.request.Query("format").value_or("csv");
  if (format != "csv" && format != "ndjson") return Refuse(call, BadParameter("format", "is csv or ndjson", 422));
  wanted.csv = format == "csv";
  wanted.first_page = !call.request.Query("page_token");
  const auto size = NumberParameter(call, "page_size", kPageSizeMax, 1, kPageSizeMax);
  if (!size) return Refuse(call, BadParameter("page_size", fmt::format("is 1 to {}", kPageSizeMax), 422));
  Paging paging{.query = "contacts", .key = {"contact_id"}};
  if (call.request.Query("list")) {
    const auto list = NumberParameter(call, "list", 0, 1, INT64_MAX);
    if (!list) return Refuse(call, BadParameter("list", "is the id of a list", 422));
    paging.query = "contacts_of_list";
    paging.fixed = {{"list_id", Value::Integer(*list)}};
  }
  gateway::Gateway& gateway = call.api->gateway;
  const TenantId tenant = call.caller.tenant;
  gateway.WithAttributes(tenant, [call = std::move(call), wanted = std::move(wanted), paging = std::move(paging),
                                  size = *size](Result<std::shared_ptr<const Registry>> registry) mutable {
    if (!registry) return Refuse(call, registry.error());
    wanted.registry = std::move(*registry);
    AfterOwnWrites(std::move(call), "contacts", kOwnWritesWait,
                   [wanted = std::move(wanted), paging = std::move(paging), size](Call c, bool) mutable {
                     WritePage(std::move(c), std::move(wanted), paging, size);
                   });
  });
}

}  // namespace maily::api
