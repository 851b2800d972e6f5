// Folds events of sending domains; the private keys stay in the events.
#include "projections/domains/fold.h"

#include <optional>

#include "maily/domains/v1/events.pb.h"
#include "projections/domains/sql.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace domains = maily::domains::v1;

class DomainsFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<DomainsFold>();
    MAILY_TRY(fold->insert_domain_, setup.Prepare("insert_domain"));
    MAILY_TRY(fold->set_generation_, setup.Prepare("set_generation"));
    MAILY_TRY(fold->set_checked_, setup.Prepare("set_checked"));
    MAILY_TRY(fold->delete_domain_, setup.Prepare("delete_domain"));
    MAILY_TRY(fold->insert_key_, setup.Prepare("insert_key"));
    MAILY_TRY(fold->forget_old_keys_, setup.Prepare("forget_old_keys"));
    MAILY_TRY(fold->retire_keys_, setup.Prepare("retire_keys"));
    MAILY_TRY(fold->activate_keys_, setup.Prepare("activate_keys"));
    MAILY_TRY(fold->delete_keys_, setup.Prepare("delete_keys"));
    MAILY_TRY(fold->delete_lines_, setup.Prepare("delete_lines"));
    MAILY_TRY(fold->insert_line_, setup.Prepare("insert_line"));
    setup.handlers.On(fold.get(), &DomainsFold::Added);
    setup.handlers.On(fold.get(), &DomainsFold::KeysAdded);
    setup.handlers.On(fold.get(), &DomainsFold::KeysActivated);
    setup.handlers.On(fold.get(), &DomainsFold::Checked);
    setup.handlers.On(fold.get(), &DomainsFold::Removed);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  template <class Keys>
  Result<void> Insert(const EventAt& at, const std::string& name, const Keys& keys, sql::Value active_from) {
    for (const domains::SigningKey& key : keys) {
      MAILY_TRY_VOID(sql::Do(*insert_key_, at.tenant.value(), std::string_view(name), std::string_view(key.selector()),
                             std::string_view(key.algorithm()), std::string_view(key.dns_value()), active_from));
    }
    return Ok();
  }
  Result<void> Added(const EventAt& at, const domains::DomainAdded& e) {
    MAILY_TRY_VOID(sql::Do(*insert_domain_, at.tenant.value(), std::string_view(e.name()), std::string_view(e.return_path()), at.time.us));
    return Insert(at, e.name(), e.keys(), sql::Value::Integer(at.time.us));
  }
  Result<void> KeysAdded(const EventAt& at, const domains::DomainKeysAdded& e) {
    MAILY_TRY_VOID(sql::Do(*set_generation_, at.tenant.value(), std::string_view(e.name()), e.generation()));
    return Insert(at, e.name(), e.keys(), sql::Value::Null());
  }
  Result<void> KeysActivated(const EventAt& at, const domains::DomainKeysActivated& e) {
    const std::string_view name = e.name();
    MAILY_TRY_VOID(sql::Do(*forget_old_keys_, at.tenant.value(), name));
    MAILY_TRY_VOID(sql::Do(*retire_keys_, at.tenant.value(), name, at.time.us));
    return sql::Do(*activate_keys_, at.tenant.value(), name, at.time.us);
  }
  Result<void> Checked(const EventAt& at, const domains::DomainChecked& e) {
    const std::string_view name = e.name();
    MAILY_TRY_VOID(sql::Do(*set_checked_, at.tenant.value(), name, at.time.us, e.passed() ? 1 : 0));
    MAILY_TRY_VOID(sql::Do(*delete_lines_, at.tenant.value(), name));
    for (int i = 0; i < e.lines_size(); ++i) {
      const domains::CheckLine& line = e.lines(i);
      MAILY_TRY_VOID(sql::Do(*insert_line_, at.tenant.value(), name, i, std::string_view(line.rule()), line.ok() ? 1 : 0,
                             std::string_view(line.found()), std::string_view(line.fix())));
    }
    return Ok();
  }
  Result<void> Removed(const EventAt& at, const domains::DomainRemoved& e) {
    for (sql::Statement* statement : {delete_domain_, delete_keys_, delete_lines_}) {
      MAILY_TRY_VOID(sql::Do(*statement, at.tenant.value(), std::string_view(e.name())));
    }
    return Ok();
  }

  sql::Statement* insert_domain_ = nullptr;
  sql::Statement* set_generation_ = nullptr;
  sql::Statement* set_checked_ = nullptr;
  sql::Statement* delete_domain_ = nullptr;
  sql::Statement* insert_key_ = nullptr;
  sql::Statement* forget_old_keys_ = nullptr;
  sql::Statement* retire_keys_ = nullptr;
  sql::Statement* activate_keys_ = nullptr;
  sql::Statement* delete_keys_ = nullptr;
  sql::Statement* delete_lines_ = nullptr;
  sql::Statement* insert_line_ = nullptr;
};

}  // namespace

ReadModel DomainsReadModel() {
  return {.name = "domains",
          .version = 1,
          .schema_sql = domains_sql::kSchema,
          .queries_sql = domains_sql::kQueries,
          .tables = {{"domains"}, {"domain_keys"}, {"domain_check_lines"}},
          .make = &DomainsFold::Make};
}

}  // namespace maily::projections
