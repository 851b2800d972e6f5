// Imports as jobs: how one goes on, or what it came to. (Posting one: import/import.h.)
#include "api/handlers.h"
#include "api/import/undo.h"
#include "api/read.h"
#include "api/submit.h"

namespace maily::api {
namespace {

constexpr size_t kImportIdBytes = 32;

// As the journal has it; the rows that were rejected are not kept there, only their number.
Json JobJson(const Rows& rows, size_t row) {
  Json job = RowJson(rows, row, "import_id");
  job["status"] = rows.at(row, "outcome").type == sql::Type::kNull ? "interrupted" : rows.at(row, "outcome").bytes;
  job["status_url"] = "/v1/imports/" + rows.at(row, "import_id").bytes;
  job["rows"] = job["row_count"];
  job["pending"] = 0;
  job.erase("outcome");
  job.erase("row_count");
  return job;
}

// The id in the path; none: the call was refused.
std::optional<std::string> ImportId(Call& call) {
  std::string id(call.request.Param("id"));
  if (id.size() == kImportIdBytes) return id;
  Refuse(call, NoSuch("import"));
  return std::nullopt;
}

// `then` if the journal knows the import of this id.
void IfKnown(Call call, const std::string& id, std::move_only_function<void(Call call)> then) {
  Executor& blocking = call.api->blocking();
  blocking.Post([call = std::move(call), id, then = std::move(then)]() mutable {
    const auto rows = QueryOwn(call, "import", {{"import_id", Value::Text(id)}});
    if (!rows) return Refuse(call, rows.error());
    if (rows->empty()) return Refuse(call, NoSuch("import"));
    then(std::move(call));
  });
}

}  // namespace

void ListImports(Call call) {
  List(std::move(call), {.query = "imports", .key = {"import_id"}, .first = {Value::Text("")}, .row = [](const Rows& rows, size_t row) {
                           Json job = JobJson(rows, row);
                           if (rows.at(row, "outcome").type == sql::Type::kNull)
                             job["status"] = "started";  // whether it goes on, ShowImport says
                           return job;
                         }});
}

// While a process that has them in memory runs, no plaintext of them being stored anywhere.
void ShowImportRejects(Call call) {
  const auto id = ImportId(call);
  if (!id) return;
  import::Jobs& imports = call.api->imports;
  const TenantId tenant = call.caller.tenant;
  imports.AskRejects(tenant, *id, [call = std::move(call), id = *id](std::shared_ptr<const import::Rejects> rejects) mutable {
    Executor& blocking = call.api->blocking();
    if (rejects != nullptr) {
      return blocking.Post([call = std::move(call), rejects = std::move(rejects)]() mutable {
        http::Response response{.body = rejects->Csv()};
        response.headers.Add("content-type", "text/csv");
        response.headers.Add("maily-rejected", std::to_string(rejects->count()));
        response.headers.Add("maily-rejects-kept", std::to_string(rejects->kept()));
        call.respond(std::move(response));
      });
    }
    IfKnown(std::move(call), id, [](Call known) {
      Refuse(known, http::Problem{.status = 410,
                                  .code = "rejects_not_kept",
                                  .message = "rejects are personal data: they are kept in memory only, until the process ends or 32 later "
                                             "imports have ended; import the file again with dry_run=true"});
    });
  });
}

void CancelImport(Call call) {
  const auto id = ImportId(call);
  if (!id) return;
  if (call.dry_run()) return IfKnown(std::move(call), *id, [](Call known) { AnswerDry(known, {}); });
  import::Jobs& imports = call.api->imports;
  const TenantId tenant = call.caller.tenant;
  imports.Cancel(tenant, *id, [call = std::move(call), id = *id](bool goes_on) mutable {
    const std::string url = "/v1/imports/" + id;
    if (goes_on) return Answer(call, 202, Json{{"id", id}, {"status", "cancelling"}, {"status_url", url}}, {{"location", url}});
    IfKnown(std::move(call), id, [](Call known) {
      Refuse(known,
             http::Problem{.status = 409, .code = "import_not_running", .message = "this import is over, or goes on in another process"});
    });
  });
}

void UndoImport(Call call) {
  const auto id = ImportId(call);
  if (!id) return;
  import::Jobs& imports = call.api->imports;
  const TenantId tenant = call.caller.tenant;
  imports.Ask(tenant, *id, [call = std::move(call), id = *id](std::optional<Json> known) mutable {
    if (known && known->value("status", "") == "running")
      return Refuse(call, http::Problem{.status = 409, .code = "import_running", .message = "this import goes on; cancel it first"});
    Executor& blocking = call.api->blocking();
    blocking.Post([call = std::move(call), id = std::move(id)]() mutable {
      auto what = import::LookAtUndo(call.api->gateway.views(), call.caller.tenant, id);
      if (const auto* problem = std::get_if<import::CannotUndo>(&what)) return Refuse(call, *problem);
      const auto undoable = std::get<import::Undoable>(what);
      if (call.dry_run()) return AnswerDry(call, {}, Json{{"chunks", undoable.chunks}});
      import::UndoParts parts{.gateway = call.api->gateway, .jobs = call.api->imports, .bulk = call.api->parts.bulk, .owner = call.api};
      const gateway::Asker asker = call.asker();
      import::StartUndo(std::move(parts), asker, std::move(id), undoable,
                        [call = std::move(call)](std::variant<Json, http::Problem> begun) mutable {
                          if (const auto* problem = std::get_if<http::Problem>(&begun)) return Refuse(call, *problem);
                          const Json& job = std::get<Json>(begun);
                          Answer(call, 202, job, {{"location", job.at("status_url").get<std::string>()}});
                        });
    });
  });
}

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
      Json job = JobJson(rows, 0);
      if (rows.at(0, "outcome").type == sql::Type::kNull) {  // cut off with its process: what is noted tells what it has done
        MAILY_TRY(const Rows applied, QueryOwn(c, "import_applied", {{"import_id", Value::Text(id)}}));
        for (const char* count : {"created", "updated"}) job[count] = applied.at(0, count).integer;
        job["rows"] = applied.at(0, "created").integer + applied.at(0, "updated").integer;
      }
      return job;
    });
  });
}

}  // namespace maily::api
