// Imports as jobs: how one goes on, or what it came to. (Posting one: import/import.h.)
#include "api/handlers.h"
#include "api/read.h"

namespace maily::api {
namespace {

constexpr size_t kImportIdBytes = 32;

// As the journal has it; the rows that were rejected are not kept there, only their number.
Json JobJson(const Rows& rows) {
  Json job = RowJson(rows, 0, "import_id");
  job["status"] = rows.at(0, "outcome").type == sql::Type::kNull ? "interrupted" : rows.at(0, "outcome").bytes;
  job["status_url"] = "/v1/imports/" + rows.at(0, "import_id").bytes;
  job["rows"] = job["row_count"];
  job["pending"] = 0;
  job.erase("outcome");
  job.erase("row_count");
  return job;
}

}  // namespace

void ShowImport(Call call) {
  std::string id(call.request.Param("id"));
  if (id.size() != kImportIdBytes) return Refuse(call, NoSuch("import"));
  import::Jobs& imports = call.api->imports;
  const TenantId tenant = call.caller.tenant;
  imports.Ask(tenant, id, [call = std::move(call), id](std::optional<Json> known) mutable {
    Read(std::move(call), "import", [id = std::move(id), known = std::move(known)](Call& c) mutable -> Result<Json> {
      if (known) return std::move(*known);
      MAILY_TRY(const Rows rows, QueryOwn(c, "import", {{"import_id", Value::Text(id)}}));
      if (rows.empty()) return Missing("import");
      return JobJson(rows);
    });
  });
}

}  // namespace maily::api
