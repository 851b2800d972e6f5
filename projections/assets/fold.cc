// Folds events of assets, and of the templates that use them.
#include "projections/assets/fold.h"

#include "maily/assets/v1/events.pb.h"
#include "maily/templates/v1/events.pb.h"
#include "projections/assets/sql.h"
#include "schemas/asset_store.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

using maily::templates::v1::UsedAsset;

std::string_view HowOf(UsedAsset::Use use) {
  return use == UsedAsset::RELATED ? "related" : use == UsedAsset::ATTACHED ? "attached" : "hosted";
}

class AssetsFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<AssetsFold>();
    MAILY_TRY(fold->put_asset_, setup.Prepare("put_asset"));
    MAILY_TRY(fold->set_archived_, setup.Prepare("set_archived"));
    MAILY_TRY(fold->delete_asset_, setup.Prepare("delete_asset"));
    MAILY_TRY(fold->insert_use_, setup.Prepare("insert_use"));
    setup.handlers.On(fold.get(), &AssetsFold::Added);
    setup.handlers.On(fold.get(), &AssetsFold::Archived);
    setup.handlers.On(fold.get(), &AssetsFold::Deleted);
    setup.handlers.On(fold.get(), &AssetsFold::Saved);
    MAILY_TRY(fold->delete_uses_, setup.Prepare("delete_uses"));
    setup.handlers.On(fold.get(), &AssetsFold::TemplateDeleted);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  Result<void> Added(const EventAt& at, const maily::assets::v1::AssetAdded& e) {
    const std::string id = schema::AssetIdOf(e.asset());
    return sql::Do(*put_asset_, at.tenant.value(), std::string_view(id), std::string_view(e.name()), std::string_view(e.content_type()),
                   e.size(), std::string_view(e.blob()), at.time.us);
  }
  Result<void> Archived(const EventAt& at, const maily::assets::v1::AssetArchived& e) {
    const std::string id = schema::AssetIdOf(e.asset());
    return sql::Do(*set_archived_, at.tenant.value(), std::string_view(id), e.restored() ? 0 : 1);
  }
  Result<void> Deleted(const EventAt& at, const maily::assets::v1::AssetDeleted& e) {
    const std::string id = schema::AssetIdOf(e.asset());
    return sql::Do(*delete_asset_, at.tenant.value(), std::string_view(id));
  }
  Result<void> Saved(const EventAt& at, const maily::templates::v1::TemplateSaved& e) {
    for (const UsedAsset& used : e.version().assets()) {
      const std::string id = schema::AssetIdOf(used.asset());
      MAILY_TRY_VOID(sql::Do(*insert_use_, at.tenant.value(), std::string_view(id), e.template_id(), e.version().number(),
                             HowOf(used.use()), std::string_view(used.file_name())));
    }
    return Ok();
  }

  Result<void> TemplateDeleted(const EventAt& at, const maily::templates::v1::TemplateDeleted& e) {
    return sql::Do(*delete_uses_, at.tenant.value(), e.template_id());
  }

  sql::Statement* delete_uses_ = nullptr;
  sql::Statement* put_asset_ = nullptr;
  sql::Statement* set_archived_ = nullptr;
  sql::Statement* delete_asset_ = nullptr;
  sql::Statement* insert_use_ = nullptr;
};

}  // namespace

ReadModel AssetsReadModel() {
  return {.name = "assets",
          .version = 2,
          .schema_sql = assets_sql::kSchema,
          .queries_sql = assets_sql::kQueries,
          .tables = {{"assets"}, {"asset_uses"}},
          .make = &AssetsFold::Make};
}

}  // namespace maily::projections
