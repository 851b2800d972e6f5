// Folds events of consents, and the opt-outs that came about without one.
#include "projections/consents/fold.h"

#include "maily/consents/v1/events.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "maily/lists/v1/events.pb.h"
#include "projections/consents/sql.h"
#include "schemas/sealed.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace consents = maily::consents::v1;

// An opt-out by this method repeats a ConsentWithdrawn.
constexpr std::string_view kMethodOfConsent = "consent/";

class ConsentsFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<ConsentsFold>();
    MAILY_TRY(fold->record_, setup.Prepare("record"));
    MAILY_TRY(fold->record_personal_, setup.Prepare("record_personal"));
    MAILY_TRY(fold->define_text_, setup.Prepare("define_text"));
    MAILY_TRY(fold->define_form_, setup.Prepare("define_form"));
    MAILY_TRY(fold->archive_form_, setup.Prepare("archive_form"));
    MAILY_TRY(fold->erase_, setup.Prepare("erase"));
    MAILY_TRY(fold->erase_personal_, setup.Prepare("erase_personal"));
    fold->keyring_ = setup.keyring();
    setup.handlers.On(fold.get(), &ConsentsFold::TextDefined);
    setup.handlers.On(fold.get(), &ConsentsFold::FormDefined);
    setup.handlers.On(fold.get(), &ConsentsFold::FormArchived);
    setup.handlers.On(fold.get(), &ConsentsFold::Granted);
    setup.handlers.On(fold.get(), &ConsentsFold::Withdrawn);
    setup.handlers.On(fold.get(), &ConsentsFold::Asked);
    setup.handlers.On(fold.get(), &ConsentsFold::Unsubscribed);
    setup.handlers.On(fold.get(), &ConsentsFold::Resubscribed);
    setup.handlers.On(fold.get(), &ConsentsFold::ContactErased);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  struct Entry {
    uint64_t list_id = 0;
    std::string_view purpose = {};
    std::string_view state;
    std::string_view source = {};
    std::string_view text_hash = {};
    std::string_view proof = {};
    uint64_t form_id = 0;
    uint64_t campaign_id = 0;
    uint64_t number = 0;
    int64_t expires_at_us = 0;
    int mail = 0;  // as in the table
  };
  Result<void> Record(const EventAt& at, uint64_t ordinal, const Entry& entry) {
    return sql::Do(*record_, at.tenant.value(), at.ContactId(ordinal), at.sequence(), entry.list_id, entry.purpose, entry.state,
                   entry.source, entry.text_hash.empty() ? sql::Value::Null() : sql::Value::Blob(std::string(entry.text_hash)), entry.proof,
                   entry.form_id, entry.campaign_id, entry.number,
                   entry.expires_at_us == 0 ? sql::Value::Null() : sql::Value::Integer(entry.expires_at_us), entry.mail, at.time.us);
  }

  // The plaintext; null if there is none, or nobody can open it any more.
  Result<sql::Value> Open(TenantId tenant, std::string_view field_id, std::string_view box) {
    if (box.empty()) return sql::Value::Null();
    auto opened = schema::Open(*keyring_, tenant, field_id, box);
    if (opened) return sql::Value::Text(std::move(opened).value());
    if (opened.error().code == Code::kNotFound || opened.error().code == Code::kInvalid) return sql::Value::Null();
    return opened.error();
  }
  template <class Event>
  Result<void> RecordReader(const EventAt& at, const Event& e) {
    if (keyring_ == nullptr || (e.ip().empty() && e.user_agent().empty())) return Ok();
    MAILY_TRY(const sql::Value ip, Open(at.tenant, "ip", e.ip()));
    MAILY_TRY(const sql::Value agent, Open(at.tenant, "user_agent", e.user_agent()));
    return sql::Do(*record_personal_, at.tenant.value(), at.ContactId(e.ordinal()), at.sequence(), ip, agent);
  }

  Result<void> ContactErased(const EventAt& at, const maily::contacts::v1::ContactErased& e) {
    MAILY_TRY_VOID(sql::Do(*erase_, at.tenant.value(), at.ContactId(e.ordinal())));
    return sql::Do(*erase_personal_, at.tenant.value(), at.ContactId(e.ordinal()));
  }
  Result<void> TextDefined(const EventAt& at, const consents::ConsentTextDefined& e) {
    return sql::Do(*define_text_, at.tenant.value(), sql::Blob{e.hash()}, std::string_view(e.name()), std::string_view(e.language()),
                   std::string_view(e.text()), at.time.us);
  }
  Result<void> FormDefined(const EventAt& at, const consents::FormDefined& e) {
    return sql::Do(*define_form_, at.tenant.value(), e.form_id(), std::string_view(e.spec().name()), e.spec().list_id(),
                   sql::Blob{e.spec().text_hash()}, e.spec().double_opt_in() ? 1 : 0, std::string_view(e.spec().redirect_url()),
                   e.spec().mail().form_id(), e.spec().mail().template_id(), e.spec().mail().template_version(), at.time.us);
  }
  Result<void> FormArchived(const EventAt& at, const consents::FormArchived& e) {
    return sql::Do(*archive_form_, at.tenant.value(), e.form_id(), at.time.us);
  }
  Result<void> Granted(const EventAt& at, const consents::ConsentGranted& e) {
    MAILY_TRY_VOID(Record(at, e.ordinal(),
                          {.list_id = e.list_id(),
                           .purpose = e.purpose(),
                           .state = "granted",
                           .source = e.source(),
                           .text_hash = e.text_hash(),
                           .proof = e.proof(),
                           .form_id = e.form_id(),
                           .campaign_id = e.campaign_id(),
                           .number = e.number()}));
    return RecordReader(at, e);
  }
  Result<void> Withdrawn(const EventAt& at, const consents::ConsentWithdrawn& e) {
    MAILY_TRY_VOID(Record(at, e.ordinal(),
                          {.list_id = e.list_id(),
                           .purpose = e.purpose(),
                           .state = "withdrawn",
                           .source = e.source(),
                           .text_hash = e.text_hash(),
                           .proof = e.proof(),
                           .campaign_id = e.campaign_id()}));
    return RecordReader(at, e);
  }
  Result<void> Asked(const EventAt& at, const consents::ConfirmationAsked& e) {
    MAILY_TRY_VOID(Record(at, e.ordinal(),
                          {.list_id = e.list_id(),
                           .state = "pending",
                           .source = e.source(),
                           .text_hash = e.text_hash(),
                           .proof = e.proof(),
                           .form_id = e.form_id(),
                           .number = e.number(),
                           .expires_at_us = e.expires_at_us(),
                           .mail = e.mail()          ? 1
                                   : e.has_mailing() ? 2
                                                     : 0}));
    return RecordReader(at, e);
  }
  Result<void> Unsubscribed(const EventAt& at, const maily::engagements::v1::Unsubscribed& e) {
    if (e.method().starts_with(kMethodOfConsent)) return Ok();
    return Record(at, e.ordinal(), {.purpose = "marketing", .state = "withdrawn", .source = e.method(), .campaign_id = e.campaign_id()});
  }
  Result<void> Resubscribed(const EventAt& at, const maily::lists::v1::Resubscribed& e) {
    if (e.by_consent()) return Ok();
    return Record(at, e.ordinal(), {.purpose = "marketing", .state = "granted", .source = "api", .proof = e.proof()});
  }

  sql::Statement* record_ = nullptr;
  sql::Statement* record_personal_ = nullptr;
  sql::Statement* erase_ = nullptr;
  sql::Statement* erase_personal_ = nullptr;
  sql::Statement* define_text_ = nullptr;
  sql::Statement* define_form_ = nullptr;
  sql::Statement* archive_form_ = nullptr;
  keyring::Keyring* keyring_ = nullptr;
};

}  // namespace

ReadModel ConsentsReadModel() {
  return {.name = "consents",
          .version = 2,
          .schema_sql = consents_sql::kSchema,
          .queries_sql = consents_sql::kQueries,
          .tables = {{"consent_events"}, {"consent_events_pii", TableKind::kPersonal}, {"consent_texts"}, {"forms"}},
          .make = &ConsentsFold::Make};
}

}  // namespace maily::projections
