// Folds events of suppressions.
#include "projections/suppressions/fold.h"

#include "maily/suppressions/v1/events.pb.h"
#include "projections/suppressions/sql.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace suppressions = maily::suppressions::v1;

class SuppressionsFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<SuppressionsFold>();
    MAILY_TRY(fold->add_, setup.Prepare("add_suppression"));
    MAILY_TRY(fold->remove_, setup.Prepare("remove_suppression"));
    setup.handlers.On(fold.get(), &SuppressionsFold::Added);
    setup.handlers.On(fold.get(), &SuppressionsFold::Removed);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  Result<void> Added(const EventAt& at, const suppressions::SuppressionAdded& e) {
    return sql::Do(*add_, at.tenant.value(), sql::Blob{e.contact_key()}, std::string_view(e.reason()), at.time.us);
  }
  Result<void> Removed(const EventAt& at, const suppressions::SuppressionRemoved& e) {
    return sql::Do(*remove_, at.tenant.value(), sql::Blob{e.contact_key()});
  }

  sql::Statement* add_ = nullptr;
  sql::Statement* remove_ = nullptr;
};

}  // namespace

ReadModel SuppressionsReadModel() {
  return {.name = "suppressions",
          .version = 1,
          .schema_sql = suppressions_sql::kSchema,
          .queries_sql = suppressions_sql::kQueries,
          .tables = {{"suppressions"}},
          .make = &SuppressionsFold::Make};
}

}  // namespace maily::projections
