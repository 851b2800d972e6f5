// Folds events of lists, and the opt-outs among engagements.
#include "projections/lists/fold.h"

#include <map>
#include <vector>

#include "maily/consents/v1/events.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "maily/lists/v1/events.pb.h"
#include "projections/lists/sql.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace lists = maily::lists::v1;

class ListsFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<ListsFold>();
    MAILY_TRY(fold->insert_list_, setup.Prepare("insert_list"));
    MAILY_TRY(fold->join_list_, setup.Prepare("join_list"));
    MAILY_TRY(fold->change_list_, setup.Prepare("change_list"));
    MAILY_TRY(fold->consent_, setup.Prepare("consent"));
    MAILY_TRY(fold->keep_past_, setup.Prepare("keep_past"));
    MAILY_TRY(fold->leave_list_, setup.Prepare("leave_list"));
    MAILY_TRY(fold->lists_of_, setup.Prepare("lists_of"));
    MAILY_TRY(fold->erase_past_, setup.Prepare("erase_past"));
    MAILY_TRY(fold->add_members_, setup.Prepare("add_members"));
    MAILY_TRY(fold->unsubscribe_, setup.Prepare("unsubscribe"));
    MAILY_TRY(fold->resubscribe_, setup.Prepare("resubscribe"));
    MAILY_TRY(fold->start_import_, setup.Prepare("start_import"));
    MAILY_TRY(fold->end_import_, setup.Prepare("end_import"));
    setup.handlers.On(fold.get(), &ListsFold::ListCreated);
    setup.handlers.On(fold.get(), &ListsFold::ListChanged);
    setup.handlers.On(fold.get(), &ListsFold::ConsentGranted);
    setup.handlers.On(fold.get(), &ListsFold::MemberJoined);
    setup.handlers.On(fold.get(), &ListsFold::MemberLeft);
    setup.handlers.On(fold.get(), &ListsFold::ContactErased);
    setup.handlers.On(fold.get(), &ListsFold::ContactMerged);
    setup.handlers.On(fold.get(), &ListsFold::Unsubscribed);
    setup.handlers.On(fold.get(), &ListsFold::Resubscribed);
    setup.handlers.On(fold.get(), &ListsFold::ImportStarted);
    setup.handlers.On(fold.get(), &ListsFold::ImportEnded);
    return std::unique_ptr<Fold>(std::move(fold));
  }

  // A list's members live in all partitions: their number is summed.
  Result<void> Flush() override {
    if (changed_.empty()) return Ok();
    MAILY_TRY_VOID(join_list_->Settle());
    for (const auto& [list, n] : changed_) {
      if (n.joined + n.joined_by_consent + n.left + n.consented == 0) continue;
      MAILY_TRY_VOID(sql::Do(*add_members_, list.first, list.second, n.joined + n.joined_by_consent - n.left, n.joined - n.consented));
    }
    changed_.clear();
    return Ok();
  }

 private:
  struct Changed {
    int64_t joined = 0;
    int64_t joined_by_consent = 0;
    int64_t left = 0;
    int64_t consented = 0;  // members without a consent that have one now, or have left
  };
  Result<void> ListCreated(const EventAt& at, const lists::ListCreated& e) {
    return sql::Do(*insert_list_, at.tenant.value(), e.list_id(), std::string_view(e.name()), e.public_() ? 1 : 0,
                   std::string_view(e.description()), at.time.us);
  }
  Result<void> ListChanged(const EventAt& at, const lists::ListChanged& e) {
    return sql::Do(*change_list_, at.tenant.value(), e.list_id(), std::string_view(e.name()), e.public_() ? 1 : 0,
                   std::string_view(e.description()));
  }
  Result<void> MemberJoined(const EventAt& at, const lists::MemberJoined& e) {
    sql::BindAll(*join_list_, at.tenant.value(), e.list_id(), at.ContactId(e.ordinal()), std::string_view(e.source()),
                 e.by_consent() ? 1 : 0, at.time.us);
    Changed& changed = changed_[{at.tenant.value(), e.list_id()}];
    return join_list_->SendCounting(e.by_consent() ? changed.joined_by_consent : changed.joined);
  }
  Result<void> ConsentGranted(const EventAt& at, const maily::consents::v1::ConsentGranted& e) {
    return e.list_id() == 0 ? Ok() : Consent(at, e.ordinal(), e.list_id());
  }
  Result<void> Consent(const EventAt& at, uint64_t ordinal, uint64_t list_id) {
    sql::BindAll(*consent_, at.tenant.value(), list_id, at.ContactId(ordinal));
    return consent_->SendCounting(changed_[{at.tenant.value(), list_id}].consented);
  }
  Result<void> MemberLeft(const EventAt& at, const lists::MemberLeft& e) {
    MAILY_TRY_VOID(sql::Do(*keep_past_, at.tenant.value(), e.list_id(), at.ContactId(e.ordinal()), at.sequence(),
                           std::string_view(e.source()), e.by_consent() ? 1 : 0, at.time.us));
    MAILY_TRY_VOID(Consent(at, e.ordinal(), e.list_id()));
    sql::BindAll(*leave_list_, at.tenant.value(), e.list_id(), at.ContactId(e.ordinal()));
    return leave_list_->SendCounting(changed_[{at.tenant.value(), e.list_id()}].left);
  }
  Result<void> Unsubscribed(const EventAt& at, const maily::engagements::v1::Unsubscribed& e) {
    return sql::Do(*unsubscribe_, at.tenant.value(), at.ContactId(e.ordinal()), e.campaign_id(), std::string_view(e.method()), at.time.us);
  }
  Result<void> Resubscribed(const EventAt& at, const lists::Resubscribed& e) {
    return sql::Do(*resubscribe_, at.tenant.value(), at.ContactId(e.ordinal()));
  }

  // Which lists there are say the totals of those whom this read model has seen join: a list itself comes from another partition, which
  // may be folded later.
  Result<std::vector<int64_t>> ListsOf(TenantId tenant, int64_t contact_id) {
    MAILY_TRY_VOID(Flush());
    std::vector<int64_t> list_ids;
    sql::BindAll(*lists_of_, tenant.value(), contact_id);
    Result<bool> row = lists_of_->Step();
    for (; row && *row; row = lists_of_->Step()) list_ids.push_back(lists_of_->integer(0));
    lists_of_->Reset();
    if (!row) return row.error();
    return list_ids;
  }
  // On no list any more: whom it was merged into is.
  Result<void> ContactMerged(const EventAt& at, const maily::contacts::v1::ContactMerged& e) {
    MAILY_TRY(const auto list_ids, ListsOf(at.tenant, at.ContactId(e.ordinal())));
    for (const int64_t list_id : list_ids) {
      lists::MemberLeft left;
      left.set_ordinal(e.ordinal());
      left.set_list_id(static_cast<uint64_t>(list_id));
      left.set_source("merge");
      MAILY_TRY_VOID(MemberLeft(at, left));
    }
    return Ok();
  }
  // On no list any more, and nothing is left of having been on any.
  Result<void> ContactErased(const EventAt& at, const maily::contacts::v1::ContactErased& e) {
    const int64_t contact_id = at.ContactId(e.ordinal());
    MAILY_TRY(const auto list_ids, ListsOf(at.tenant, contact_id));
    for (const int64_t list_id : list_ids) {
      MAILY_TRY_VOID(Consent(at, e.ordinal(), static_cast<uint64_t>(list_id)));
      sql::BindAll(*leave_list_, at.tenant.value(), list_id, contact_id);
      MAILY_TRY_VOID(leave_list_->SendCounting(changed_[{at.tenant.value(), static_cast<uint64_t>(list_id)}].left));
    }
    MAILY_TRY_VOID(sql::Do(*erase_past_, at.tenant.value(), contact_id));
    return sql::Do(*resubscribe_, at.tenant.value(), contact_id);
  }

  Result<void> ImportStarted(const EventAt& at, const lists::ImportStarted& e) {
    return sql::Do(*start_import_, at.tenant.value(), std::string_view(e.import_id()), e.list_id(), std::string_view(e.source()),
                   at.time.us);
  }
  Result<void> ImportEnded(const EventAt& at, const lists::ImportEnded& e) {
    const lists::ImportCounts& counts = e.counts();
    return sql::Do(*end_import_, at.tenant.value(), std::string_view(e.import_id()), at.time.us, OutcomeName(e.outcome()),
                   std::string_view(e.message()), std::string_view(e.token()), counts.rows(), counts.created(), counts.updated(),
                   counts.unchanged(), counts.duplicate(), counts.skipped(), counts.rejected());
  }
  static std::string_view OutcomeName(lists::ImportOutcome outcome) {
    return outcome == lists::COMPLETED ? "completed" : outcome == lists::INTERRUPTED ? "interrupted" : "failed";
  }

  sql::Statement* insert_list_ = nullptr;
  sql::Statement* join_list_ = nullptr;
  sql::Statement* change_list_ = nullptr;
  sql::Statement* consent_ = nullptr;
  sql::Statement* keep_past_ = nullptr;
  sql::Statement* leave_list_ = nullptr;
  sql::Statement* lists_of_ = nullptr;
  sql::Statement* erase_past_ = nullptr;
  sql::Statement* add_members_ = nullptr;
  sql::Statement* unsubscribe_ = nullptr;
  sql::Statement* resubscribe_ = nullptr;
  sql::Statement* start_import_ = nullptr;
  sql::Statement* end_import_ = nullptr;
  std::map<std::pair<uint32_t, uint64_t>, Changed> changed_;  // tenant, list -> members since the last flush
};

}  // namespace

ReadModel ListsReadModel() {
  return {.name = "lists",
          .version = 4,
          .schema_sql = lists_sql::kSchema,
          .queries_sql = lists_sql::kQueries,
          .tables = {{"lists"}, {"list_members"}, {"past_members"}, {"list_totals"}, {"unsubscribed"}, {"imports"}},
          .make = &ListsFold::Make};
}

}  // namespace maily::projections
