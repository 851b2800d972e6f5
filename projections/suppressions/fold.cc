// Folds events of suppressions.
#include "projections/suppressions/fold.h"

#include "maily/contacts/v1/events.pb.h"
#include "maily/suppressions/v1/events.pb.h"
#include "projections/suppressions/sql.h"
#include "schemas/sealed.h"
#include "schemas/suppressions.h"
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
    MAILY_TRY(fold->set_personal_, setup.Prepare("set_personal"));
    MAILY_TRY(fold->forget_personal_, setup.Prepare("forget_personal"));
    fold->keyring_ = setup.keyring();
    setup.handlers.On(fold.get(), &SuppressionsFold::Added);
    setup.handlers.On(fold.get(), &SuppressionsFold::Removed);
    setup.handlers.On(fold.get(), &SuppressionsFold::Erased);
    setup.handlers.On(fold.get(), &SuppressionsFold::AddressErased);
    setup.handlers.On(fold.get(), &SuppressionsFold::DomainAdded);
    setup.handlers.On(fold.get(), &SuppressionsFold::DomainRemoved);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  // The plaintext; null if there is none, or nobody can open it any more.
  Result<sql::Value> Open(TenantId tenant, std::string_view field_id, std::string_view box) {
    if (box.empty()) return sql::Value::Null();
    auto opened = schema::Open(*keyring_, tenant, field_id, box);
    if (opened) return sql::Value::Text(std::move(opened).value());
    if (opened.error().code == Code::kNotFound || opened.error().code == Code::kInvalid) return sql::Value::Null();
    return opened.error();
  }
  static std::string ActorOf(const EventAt& at) { return at.decision == nullptr ? std::string() : std::string(at.decision->actor); }

  Result<void> Added(const EventAt& at, const suppressions::SuppressionAdded& e) {
    if (e.copy()) return Ok();  // the address's own partition says so too
    const std::string actor = ActorOf(at);
    MAILY_TRY_VOID(sql::Do(*add_, at.tenant.value(), sql::Blob{e.contact_key()}, sql::Value::Null(), sql::Blob{e.domain_key()},
                           schema::StreamName(e.stream()), std::string_view(e.reason()), std::string_view(e.source()),
                           std::string_view(actor), sql::Value::Null(), at.time.us));
    if (keyring_ == nullptr) return Ok();
    MAILY_TRY(const sql::Value address, Open(at.tenant, "address", e.address()));
    MAILY_TRY(const sql::Value note, Open(at.tenant, "suppression_note", e.note()));
    return sql::Do(*set_personal_, at.tenant.value(), sql::Blob{e.contact_key()}, address, note);
  }
  Result<void> Removed(const EventAt& at, const suppressions::SuppressionRemoved& e) {
    if (e.copy()) return Ok();
    MAILY_TRY_VOID(sql::Do(*remove_, at.tenant.value(), sql::Blob{e.contact_key()}));
    if (keyring_ == nullptr) return Ok();
    return sql::Do(*forget_personal_, at.tenant.value(), sql::Blob{e.contact_key()});
  }
  Result<void> AddressErased(const EventAt& at, const maily::contacts::v1::AddressErased& e) {
    if (keyring_ == nullptr) return Ok();
    return sql::Do(*forget_personal_, at.tenant.value(), sql::Blob{e.contact_key()});
  }
  // The entry stays, as a keyed hash.
  Result<void> Erased(const EventAt& at, const maily::contacts::v1::ContactErased& e) {
    if (keyring_ == nullptr) return Ok();
    return sql::Do(*forget_personal_, at.tenant.value(), sql::Blob{e.contact_key()});
  }
  Result<void> DomainAdded(const EventAt& at, const suppressions::DomainSuppressionAdded& e) {
    const std::string actor = ActorOf(at);
    return sql::Do(*add_, at.tenant.value(), sql::Blob{e.domain_key()}, std::string_view(e.domain()), sql::Blob{e.domain_key()},
                   schema::StreamName(e.stream()), std::string_view(e.reason()), std::string_view(e.source()), std::string_view(actor),
                   e.note().empty() ? sql::Value::Null() : sql::Value::Text(e.note()), at.time.us);
  }
  Result<void> DomainRemoved(const EventAt& at, const suppressions::DomainSuppressionRemoved& e) {
    return sql::Do(*remove_, at.tenant.value(), sql::Blob{e.domain_key()});
  }

  sql::Statement* add_ = nullptr;
  sql::Statement* remove_ = nullptr;
  sql::Statement* set_personal_ = nullptr;
  sql::Statement* forget_personal_ = nullptr;
  keyring::Keyring* keyring_ = nullptr;
};

}  // namespace

ReadModel SuppressionsReadModel() {
  return {.name = "suppressions",
          .version = 2,
          .schema_sql = suppressions_sql::kSchema,
          .queries_sql = suppressions_sql::kQueries,
          .tables = {{"suppressions"}, {"suppressions_pii", TableKind::kPersonal}},
          .make = &SuppressionsFold::Make};
}

}  // namespace maily::projections
