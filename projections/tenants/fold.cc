// Folds events of tenants.
#include "projections/tenants/fold.h"

#include "maily/tenants/v1/events.pb.h"
#include "projections/tenants/sql.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace tenants = maily::tenants::v1;

class TenantsFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<TenantsFold>();
    MAILY_TRY(fold->insert_tenant_, setup.Prepare("insert_tenant"));
    MAILY_TRY(fold->change_settings_, setup.Prepare("change_settings"));
    MAILY_TRY(fold->change_timing_, setup.Prepare("change_timing"));
    MAILY_TRY(fold->delete_senders_, setup.Prepare("delete_senders"));
    MAILY_TRY(fold->insert_sender_, setup.Prepare("insert_sender"));
    MAILY_TRY(fold->insert_attribute_, setup.Prepare("insert_attribute"));
    MAILY_TRY(fold->insert_api_key_, setup.Prepare("insert_api_key"));
    MAILY_TRY(fold->revoke_api_key_, setup.Prepare("revoke_api_key"));
    setup.handlers.On(fold.get(), &TenantsFold::TenantCreated);
    setup.handlers.On(fold.get(), &TenantsFold::SettingsChanged);
    setup.handlers.On(fold.get(), &TenantsFold::AttributeRegistered);
    setup.handlers.On(fold.get(), &TenantsFold::ApiKeyCreated);
    setup.handlers.On(fold.get(), &TenantsFold::ApiKeyRevoked);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  Result<void> TenantCreated(const EventAt& at, const tenants::TenantCreated& e) {
    return sql::Do(*insert_tenant_, e.tenant_id(), std::string_view(e.name()), at.time.us);
  }
  Result<void> SettingsChanged(const EventAt& at, const tenants::SettingsChanged& e) {
    const auto tenant = at.tenant.value();
    MAILY_TRY_VOID(sql::Do(*change_settings_, tenant, std::string_view(e.postal_address()), std::string_view(e.company()), at.time.us,
                           e.safety().hard_bounces_bp(), e.safety().complaints_bp(), e.safety().policy_bp(), e.safety().after_sends(),
                           e.safety().after_replies(), static_cast<int>(e.tracking()),
                           e.has_holdout_bp() ? std::optional<int64_t>(e.holdout_bp()) : std::nullopt,
                           e.has_approval_over() ? std::optional<int64_t>(e.approval_over()) : std::nullopt));
    MAILY_TRY_VOID(ChangeTiming(tenant, e));
    if (e.senders().empty()) return Ok();
    MAILY_TRY_VOID(sql::Do(*delete_senders_, tenant));
    for (int i = 0; i < e.senders_size(); ++i) MAILY_TRY_VOID(sql::Do(*insert_sender_, tenant, i, std::string_view(e.senders(i))));
    return Ok();
  }
  Result<void> ChangeTiming(uint32_t tenant, const tenants::SettingsChanged& e) {
    const auto number = [](bool has, uint32_t value) { return has ? sql::Value::Integer(value) : sql::Value::Null(); };
    return sql::Do(*change_timing_, tenant, e.time_zone().empty() ? sql::Value::Null() : sql::Value::Text(e.time_zone()),
                   number(e.has_quiet_hours(), e.quiet_hours().from_minute()), number(e.has_quiet_hours(), e.quiet_hours().to_minute()),
                   number(e.has_cap(), e.cap().per_day()), number(e.has_cap(), e.cap().per_week()),
                   number(e.overdue_minutes() != 0, e.overdue_minutes()));
  }
  Result<void> AttributeRegistered(const EventAt& at, const tenants::AttributeRegistered& e) {
    return sql::Do(*insert_attribute_, at.tenant.value(), std::string_view(e.name()), static_cast<int>(e.attribute_type()),
                   e.personal() ? 1 : 0, at.time.us);
  }
  Result<void> ApiKeyCreated(const EventAt& at, const tenants::ApiKeyCreated& e) {
    std::string scopes;
    for (const std::string& scope : e.scopes()) scopes += scopes.empty() ? scope : " " + scope;
    return sql::Do(*insert_api_key_, std::string_view(e.key_id()), at.tenant.value(), sql::Blob{e.secret_hash()}, std::string_view(scopes),
                   std::string_view(e.label()), at.time.us);
  }
  Result<void> ApiKeyRevoked(const EventAt& at, const tenants::ApiKeyRevoked& e) {
    return sql::Do(*revoke_api_key_, std::string_view(e.key_id()), at.tenant.value(), at.time.us);
  }

  sql::Statement* insert_tenant_ = nullptr;
  sql::Statement* change_settings_ = nullptr;
  sql::Statement* change_timing_ = nullptr;
  sql::Statement* delete_senders_ = nullptr;
  sql::Statement* insert_sender_ = nullptr;
  sql::Statement* insert_attribute_ = nullptr;
  sql::Statement* insert_api_key_ = nullptr;
  sql::Statement* revoke_api_key_ = nullptr;
};

}  // namespace

ReadModel TenantsReadModel() {
  return {
      .name = "tenants",
      .version = 4,
      .schema_sql = tenants_sql::kSchema,
      .queries_sql = tenants_sql::kQueries,
      .tables = {{"tenants"}, {"tenant_settings"}, {"senders"}, {"attributes"}, {"attribute_types", TableKind::kConstant}, {"api_keys"}},
      .make = &TenantsFold::Make};
}

}  // namespace maily::projections
