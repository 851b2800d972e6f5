// Folds events of campaigns: those of the tenant's home, and those of each partition.
#include "projections/campaigns/fold.h"

#include "maily/campaigns/v1/events.pb.h"
#include "projections/campaigns/sql.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace campaigns = maily::campaigns::v1;

class CampaignsFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<CampaignsFold>();
    MAILY_TRY(fold->insert_campaign_, setup.Prepare("insert_campaign"));
    MAILY_TRY(fold->insert_arm_, setup.Prepare("insert_arm"));
    MAILY_TRY(fold->insert_link_, setup.Prepare("insert_link"));
    MAILY_TRY(fold->launch_, setup.Prepare("launch"));
    MAILY_TRY(fold->set_status_, setup.Prepare("set_status"));
    MAILY_TRY(fold->pause_, setup.Prepare("pause"));
    MAILY_TRY(fold->resume_, setup.Prepare("resume"));
    MAILY_TRY(fold->end_, setup.Prepare("end"));
    MAILY_TRY(fold->open_partition_, setup.Prepare("open_partition"));
    MAILY_TRY(fold->set_run_state_, setup.Prepare("set_run_state"));
    MAILY_TRY(fold->progress_, setup.Prepare("progress"));
    EventHandlers& on = setup.handlers;
    on.On(fold.get(), &CampaignsFold::Created);
    on.On(fold.get(), &CampaignsFold::Launched);
    on.On(fold.get(), &CampaignsFold::Paused);
    on.On(fold.get(), &CampaignsFold::Resumed);
    on.On<campaigns::CampaignCancelled>(
        [f = fold.get()](const EventAt& at, const auto& e) { return f->End(at, e, campaigns::STATUS_CANCELLED); });
    on.On<campaigns::CampaignCompleted>([f = fold.get()](const EventAt& at, const auto& e) { return f->End(at, e, campaigns::COMPLETED); });
    on.On<campaigns::CampaignScheduled>(
        [f = fold.get()](const EventAt& at, const auto& e) { return f->SetStatus(at, e, campaigns::SCHEDULED); });
    on.On<campaigns::CampaignUnscheduled>(
        [f = fold.get()](const EventAt& at, const auto& e) { return f->SetStatus(at, e, campaigns::DRAFT); });
    on.On<campaigns::CampaignHeld>([f = fold.get()](const EventAt& at, const auto& e) { return f->SetStatus(at, e, campaigns::HELD); });
    on.On(fold.get(), &CampaignsFold::Refused);
    on.On(fold.get(), &CampaignsFold::Opened);
    on.On(fold.get(), &CampaignsFold::RunStateChanged);
    on.On(fold.get(), &CampaignsFold::Progressed);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  Result<void> Created(const EventAt& at, const campaigns::CampaignCreated& e) {
    const campaigns::CampaignSpec& spec = e.spec();
    const auto tenant = at.tenant.value();
    MAILY_TRY_VOID(sql::Do(*insert_campaign_, tenant, e.campaign_id(), std::string_view(spec.name()), spec.template_id(),
                           std::string_view(spec.from()), std::string_view(spec.reply_to()), spec.list_id(), at.time.us,
                           spec.untracked() ? 1 : 0));
    for (int i = 0; i < spec.arms_size(); ++i) MAILY_TRY_VOID(InsertArm(tenant, e.campaign_id(), i, spec.arms(i)));
    if (!spec.arms().empty()) return Ok();
    campaigns::Arm all;
    all.set_name("all");
    all.set_weight(1);
    return InsertArm(tenant, e.campaign_id(), 0, all);
  }
  Result<void> InsertArm(uint32_t tenant, uint64_t campaign_id, int arm, const campaigns::Arm& a) {
    return sql::Do(*insert_arm_, tenant, campaign_id, arm, std::string_view(a.name()), a.holdout() ? 1 : 0,
                   std::string_view(a.where_attribute()), std::string_view(a.where_value()), a.weight());
  }
  Result<void> Launched(const EventAt& at, const campaigns::CampaignLaunched& e) {
    const auto& version = e.template_version();
    MAILY_TRY_VOID(sql::Do(*launch_, at.tenant.value(), e.campaign_id(), version.number(), std::string_view(e.postal_address()),
                           std::string_view(e.company()), at.time.us, e.spec().untracked() ? 1 : 0));
    for (int i = 0; i < version.links_size(); ++i) {
      MAILY_TRY_VOID(sql::Do(*insert_link_, at.tenant.value(), e.campaign_id(), i, std::string_view(version.links(i))));
    }
    return Ok();
  }
  Result<void> Paused(const EventAt& at, const campaigns::CampaignPaused& e) {
    constexpr auto none = std::nullopt;
    const campaigns::SafetyStop& stop = e.stop();
    if (!e.has_stop()) return sql::Do(*pause_, at.tenant.value(), e.campaign_id(), none, none, none, none, none, none);
    return sql::Do(*pause_, at.tenant.value(), e.campaign_id(), std::string_view(stop.reason()), stop.count(), stop.of(), stop.limit_bp(),
                   TextOrNull(stop.site()), TextOrNull(stop.code()));
  }
  Result<void> Resumed(const EventAt& at, const campaigns::CampaignResumed& e) {
    return sql::Do(*resume_, at.tenant.value(), e.campaign_id(), TextOrNull(e.overridden()), TextOrNull(e.why()));
  }
  template <class Event>
  Result<void> SetStatus(const EventAt& at, const Event& e, campaigns::CampaignStatus status) {
    return sql::Do(*set_status_, at.tenant.value(), e.campaign_id(), static_cast<int>(status));
  }
  static sql::Value TextOrNull(const std::string& text) { return text.empty() ? sql::Value::Null() : sql::Value::Text(text); }
  template <class Event>
  Result<void> End(const EventAt& at, const Event& e, campaigns::CampaignStatus status) {
    return sql::Do(*end_, at.tenant.value(), e.campaign_id(), static_cast<int>(status), at.time.us, std::nullopt);
  }
  Result<void> Refused(const EventAt& at, const campaigns::CampaignRefused& e) {
    return sql::Do(*end_, at.tenant.value(), e.campaign_id(), static_cast<int>(campaigns::REFUSED), at.time.us,
                   std::string_view(e.reason()));
  }
  Result<void> Opened(const EventAt& at, const campaigns::CampaignOpened& e) {
    return sql::Do(*open_partition_, at.tenant.value(), e.campaign_id(), at.partition.value(), e.last_ordinal(), at.time.us);
  }
  Result<void> RunStateChanged(const EventAt& at, const campaigns::RunStateChanged& e) {
    return sql::Do(*set_run_state_, at.tenant.value(), e.campaign_id(), at.partition.value(), static_cast<int>(e.state()), at.time.us);
  }
  Result<void> Progressed(const EventAt& at, const campaigns::CampaignProgressed& e) {
    const campaigns::CampaignCounts& n = e.counts();
    return sql::Do(*progress_, at.tenant.value(), e.campaign_id(), at.partition.value(), e.planned() ? 1 : 0, e.settled() ? 1 : 0,
                   n.audience(), n.to_send(), n.delivered(), n.bounced(), n.unknown(), n.skipped(), n.holdout(), n.failed(), at.time.us);
  }

  sql::Statement* insert_campaign_ = nullptr;
  sql::Statement* insert_arm_ = nullptr;
  sql::Statement* insert_link_ = nullptr;
  sql::Statement* launch_ = nullptr;
  sql::Statement* set_status_ = nullptr;
  sql::Statement* pause_ = nullptr;
  sql::Statement* resume_ = nullptr;
  sql::Statement* end_ = nullptr;
  sql::Statement* open_partition_ = nullptr;
  sql::Statement* set_run_state_ = nullptr;
  sql::Statement* progress_ = nullptr;
};

}  // namespace

ReadModel CampaignsReadModel() {
  return {.name = "campaigns",
          .version = 5,
          .schema_sql = campaigns_sql::kSchema,
          .queries_sql = campaigns_sql::kQueries,
          .tables =
              {{"campaigns"}, {"campaign_statuses", TableKind::kConstant}, {"campaign_arms"}, {"campaign_links"}, {"campaign_partitions"}},
          .make = &CampaignsFold::Make};
}

}  // namespace maily::projections
