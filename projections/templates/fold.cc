// Folds events of templates.
#include "projections/templates/fold.h"

#include "maily/templates/v1/events.pb.h"
#include "projections/templates/sql.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

class TemplatesFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<TemplatesFold>();
    MAILY_TRY(fold->insert_version_, setup.Prepare("insert_version"));
    MAILY_TRY(fold->insert_link_, setup.Prepare("insert_link"));
    setup.handlers.On(fold.get(), &TemplatesFold::Saved);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  Result<void> Saved(const EventAt& at, const maily::templates::v1::TemplateSaved& e) {
    const auto& version = e.version();
    std::string attributes;
    for (const std::string& attribute : version.attributes()) attributes += attributes.empty() ? attribute : " " + attribute;
    MAILY_TRY_VOID(sql::Do(*insert_version_, at.tenant.value(), e.template_id(), version.number(), std::string_view(version.name()),
                           std::string_view(version.subject()), std::string_view(version.html()), std::string_view(version.text()),
                           version.text_made() ? 1 : 0, std::string_view(attributes), at.time.us));
    for (int i = 0; i < version.links_size(); ++i) {
      MAILY_TRY_VOID(sql::Do(*insert_link_, at.tenant.value(), e.template_id(), version.number(), i, std::string_view(version.links(i))));
    }
    return Ok();
  }

  sql::Statement* insert_version_ = nullptr;
  sql::Statement* insert_link_ = nullptr;
};

}  // namespace

ReadModel TemplatesReadModel() {
  return {.name = "templates",
          .version = 2,
          .schema_sql = templates_sql::kSchema,
          .queries_sql = templates_sql::kQueries,
          .tables = {{"template_versions"}, {"template_links"}},
          .make = &TemplatesFold::Make};
}

}  // namespace maily::projections
