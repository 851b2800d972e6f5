// Folds what imports note.
#include "projections/imports/fold.h"

#include "maily/contacts/v1/events.pb.h"
#include "projections/imports/sql.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

class ImportsFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<ImportsFold>();
    MAILY_TRY(fold->note_rows_, setup.Prepare("note_rows"));
    MAILY_TRY(fold->forget_notes_, setup.Prepare("forget_notes"));
    setup.handlers.On(fold.get(), &ImportsFold::RowsImported);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  Result<void> RowsImported(const EventAt& at, const contacts::v1::RowsImported& e) {
    e.SerializeToString(&note_);
    MAILY_TRY_VOID(sql::Do(*forget_notes_, at.tenant.value(), at.partition.value(), at.time.us - kUndoableTime.us));
    return sql::Do(*note_rows_, at.tenant.value(), std::string_view(e.import_id()), at.partition.value(), at.sequence(), at.time.us,
                   e.created(), e.updated(), sql::Blob{note_});
  }

  sql::Statement* note_rows_ = nullptr;
  sql::Statement* forget_notes_ = nullptr;
  std::string note_;  // used again for every chunk
};

}  // namespace

ReadModel ImportsReadModel() {
  return {.name = "imports",
          .version = 1,
          .schema_sql = imports_sql::kSchema,
          .queries_sql = imports_sql::kQueries,
          .tables = {{"import_notes"}},
          .make = &ImportsFold::Make};
}

}  // namespace maily::projections
