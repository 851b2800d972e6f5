// Folds events of templates.
#include "projections/templates/fold.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "maily/templates/v1/events.pb.h"
#include "projections/templates/sql.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

using Json = nlohmann::json;

std::string Hex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return hex;
}

Json PartialsOf(const maily::templates::v1::TemplateVersion& version) {
  Json all = Json::array();
  for (const auto& partial : version.partials())
    all.push_back({{"name", partial.name()}, {"version", partial.version()}, {"html", partial.html()}, {"text", partial.text()}});
  return all;
}

Json VariantsOf(const maily::templates::v1::TemplateVersion& version) {
  Json all = Json::array();
  for (const auto& variant : version.variants()) {
    all.push_back({{"locale", variant.locale()},
                   {"subject", variant.subject()},
                   {"preheader", variant.preheader()},
                   {"html", variant.html()},
                   {"text", variant.text()},
                   {"text_made", variant.text_made()},
                   {"mjml_sha256", Hex(variant.mjml_sha256())}});
  }
  return all;
}

class TemplatesFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<TemplatesFold>();
    MAILY_TRY(fold->insert_version_, setup.Prepare("insert_version"));
    MAILY_TRY(fold->insert_link_, setup.Prepare("insert_link"));
    MAILY_TRY(fold->put_partial_, setup.Prepare("put_partial"));
    MAILY_TRY(fold->archive_partial_, setup.Prepare("archive_partial"));
    setup.handlers.On(fold.get(), &TemplatesFold::Saved);
    setup.handlers.On(fold.get(), &TemplatesFold::Put);
    setup.handlers.On(fold.get(), &TemplatesFold::Archived);
    MAILY_TRY(fold->archive_template_, setup.Prepare("archive_template"));
    MAILY_TRY(fold->restore_template_, setup.Prepare("restore_template"));
    MAILY_TRY(fold->delete_versions_, setup.Prepare("delete_versions"));
    MAILY_TRY(fold->delete_links_, setup.Prepare("delete_links"));
    setup.handlers.On(fold.get(), &TemplatesFold::TemplateArchived);
    setup.handlers.On(fold.get(), &TemplatesFold::Deleted);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  Result<void> Saved(const EventAt& at, const maily::templates::v1::TemplateSaved& e) {
    const auto& version = e.version();
    std::string attributes;
    for (const std::string& attribute : version.attributes()) attributes += attributes.empty() ? attribute : " " + attribute;
    MAILY_TRY_VOID(sql::Do(*insert_version_, at.tenant.value(), e.template_id(), version.number(), std::string_view(version.name()),
                           std::string_view(version.subject()), std::string_view(version.html()), std::string_view(version.text()),
                           version.text_made() ? 1 : 0, std::string_view(attributes), at.time.us, std::string_view(version.preheader()),
                           std::string_view(version.mjml()), std::string_view(Hex(version.mjml_sha256())),
                           std::string_view(version.mjml_compiler()), std::string_view(version.locale()),
                           std::string_view(PartialsOf(version).dump()), std::string_view(VariantsOf(version).dump())));
    for (int i = 0; i < version.links_size(); ++i) {
      MAILY_TRY_VOID(sql::Do(*insert_link_, at.tenant.value(), e.template_id(), version.number(), i, std::string_view(version.links(i))));
    }
    return Ok();
  }

  Result<void> Put(const EventAt& at, const maily::templates::v1::PartialPut& e) {
    return sql::Do(*put_partial_, at.tenant.value(), std::string_view(e.name()), e.version(), std::string_view(e.html()),
                   std::string_view(e.text()), e.text_made() ? 1 : 0, at.time.us);
  }
  Result<void> Archived(const EventAt& at, const maily::templates::v1::PartialArchived& e) {
    return sql::Do(*archive_partial_, at.tenant.value(), std::string_view(e.name()), at.time.us);
  }

  Result<void> TemplateArchived(const EventAt& at, const maily::templates::v1::TemplateArchived& e) {
    if (e.restored()) return sql::Do(*restore_template_, at.tenant.value(), e.template_id());
    return sql::Do(*archive_template_, at.tenant.value(), e.template_id(), at.time.us);
  }
  Result<void> Deleted(const EventAt& at, const maily::templates::v1::TemplateDeleted& e) {
    for (sql::Statement* statement : {restore_template_, delete_links_, delete_versions_}) {
      MAILY_TRY_VOID(sql::Do(*statement, at.tenant.value(), e.template_id()));
    }
    return Ok();
  }

  sql::Statement* archive_template_ = nullptr;
  sql::Statement* restore_template_ = nullptr;
  sql::Statement* delete_versions_ = nullptr;
  sql::Statement* delete_links_ = nullptr;
  sql::Statement* put_partial_ = nullptr;
  sql::Statement* archive_partial_ = nullptr;
  sql::Statement* insert_version_ = nullptr;
  sql::Statement* insert_link_ = nullptr;
};

}  // namespace

ReadModel TemplatesReadModel() {
  return {.name = "templates",
          .version = 4,
          .schema_sql = templates_sql::kSchema,
          .queries_sql = templates_sql::kQueries,
          .tables = {{"template_versions"}, {"template_links"}, {"archived_templates"}, {"partials"}},
          .make = &TemplatesFold::Make};
}

}  // namespace maily::projections
