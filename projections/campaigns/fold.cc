// Folds events of campaigns: those of the tenant's home, and those of each partition.
#include "projections/campaigns/fold.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "maily/campaigns/v1/events.pb.h"
#include "maily/templates/v1/events.pb.h"
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
    MAILY_TRY(fold->pin_template_, setup.Prepare("pin_template"));
    MAILY_TRY(fold->launch_, setup.Prepare("launch"));
    MAILY_TRY(fold->set_status_, setup.Prepare("set_status"));
    MAILY_TRY(fold->pause_, setup.Prepare("pause"));
    MAILY_TRY(fold->resume_, setup.Prepare("resume"));
    MAILY_TRY(fold->end_, setup.Prepare("end"));
    MAILY_TRY(fold->finish_, setup.Prepare("finish"));
    MAILY_TRY(fold->open_partition_, setup.Prepare("open_partition"));
    MAILY_TRY(fold->set_run_state_, setup.Prepare("set_run_state"));
    MAILY_TRY(fold->progress_, setup.Prepare("progress"));
    MAILY_TRY(fold->insert_draft_, setup.Prepare("insert_draft"));
    MAILY_TRY(fold->edit_campaign_, setup.Prepare("edit_campaign"));
    MAILY_TRY(fold->edit_draft_, setup.Prepare("edit_draft"));
    MAILY_TRY(fold->delete_arms_, setup.Prepare("delete_arms"));
    MAILY_TRY(fold->delete_draft_, setup.Prepare("delete_draft"));
    MAILY_TRY(fold->delete_campaign_, setup.Prepare("delete_campaign"));
    MAILY_TRY(fold->approve_, setup.Prepare("approve"));
    MAILY_TRY(fold->launch_draft_, setup.Prepare("launch_draft"));
    MAILY_TRY(fold->request_launch_preview_, setup.Prepare("request_launch_preview"));
    MAILY_TRY(fold->add_launch_rule_, setup.Prepare("add_launch_rule"));
    MAILY_TRY(fold->add_launch_arm_, setup.Prepare("add_launch_arm"));
    MAILY_TRY(fold->count_launch_part_, setup.Prepare("count_launch_part"));
    MAILY_TRY(fold->count_launch_verdict_, setup.Prepare("count_launch_verdict"));
    EventHandlers& on = setup.handlers;
    on.On(fold.get(), &CampaignsFold::Edited);
    on.On(fold.get(), &CampaignsFold::Deleted);
    on.On(fold.get(), &CampaignsFold::Approved);
    on.On(fold.get(), &CampaignsFold::PreviewRequested);
    on.On(fold.get(), &CampaignsFold::PreviewOpened);
    on.On(fold.get(), &CampaignsFold::PreviewCounted);
    on.On(fold.get(), &CampaignsFold::Created);
    on.On(fold.get(), &CampaignsFold::Launched);
    on.On(fold.get(), &CampaignsFold::Pinned);
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
    on.On(fold.get(), &CampaignsFold::Finishing);
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
                           spec.untracked() ? 1 : 0, std::string_view(spec.from_name()), spec.evergreen() ? 1 : 0));
    const bool derived = spec.has_derived();
    MAILY_TRY_VOID(sql::Do(*insert_draft_, tenant, e.campaign_id(), std::string_view(AudienceOf(spec)),
                           derived ? std::optional<int64_t>(spec.derived().campaign_id()) : std::nullopt,
                           TextOrNull(derived ? ResendName(spec.derived().as()) : "")));
    return InsertArms(tenant, e.campaign_id(), spec);
  }
  // With no arms, there is one.
  static std::vector<campaigns::Arm> ArmsOf(const campaigns::CampaignSpec& spec) {
    if (!spec.arms().empty()) return {spec.arms().begin(), spec.arms().end()};
    campaigns::Arm all;
    all.set_name("all");
    all.set_weight(1);
    return {all};
  }
  Result<void> InsertArms(uint32_t tenant, uint64_t campaign_id, const campaigns::CampaignSpec& spec) {
    int place = 0;
    for (const campaigns::Arm& arm : ArmsOf(spec)) {
      const uint64_t own = arm.template_id() == spec.template_id() ? 0 : arm.template_id();
      MAILY_TRY_VOID(InsertArm(tenant, campaign_id, place++, arm, own));
    }
    return Ok();
  }
  static std::string AudienceOf(const campaigns::CampaignSpec& spec) {
    const auto ids = [](const auto& all) { return nlohmann::ordered_json(std::vector<uint64_t>(all.begin(), all.end())); };
    return nlohmann::ordered_json{{"list_ids", ids(spec.list_ids())},
                                  {"segment_ids", ids(spec.segment_ids())},
                                  {"exclude_list_ids", ids(spec.exclude_list_ids())},
                                  {"exclude_segment_ids", ids(spec.exclude_segment_ids())}}
        .dump();
  }
  static std::string ResendName(campaigns::DerivedAs as) { return as == campaigns::FAILED ? "failed" : "non_openers"; }
  Result<void> Edited(const EventAt& at, const campaigns::CampaignEdited& e) {
    const campaigns::CampaignSpec& spec = e.spec();
    const auto tenant = at.tenant.value();
    MAILY_TRY_VOID(sql::Do(*edit_campaign_, tenant, e.campaign_id(), std::string_view(spec.name()), spec.template_id(),
                           std::string_view(spec.from()), std::string_view(spec.reply_to()), spec.list_id(), spec.untracked() ? 1 : 0,
                           std::string_view(spec.from_name()), spec.evergreen() ? 1 : 0));
    MAILY_TRY_VOID(sql::Do(*edit_draft_, tenant, e.campaign_id(), e.revision(), std::string_view(AudienceOf(spec))));
    MAILY_TRY_VOID(sql::Do(*delete_arms_, tenant, e.campaign_id()));
    return InsertArms(tenant, e.campaign_id(), spec);
  }
  Result<void> Deleted(const EventAt& at, const campaigns::CampaignDeleted& e) {
    for (sql::Statement* statement : {delete_arms_, delete_draft_, delete_campaign_}) {
      MAILY_TRY_VOID(sql::Do(*statement, at.tenant.value(), e.campaign_id()));
    }
    return Ok();
  }
  Result<void> Approved(const EventAt& at, const campaigns::CampaignApproved& e) {
    return sql::Do(*approve_, at.tenant.value(), e.campaign_id(), e.revision(), std::string_view(e.by()));
  }
  Result<void> PreviewRequested(const EventAt& at, const campaigns::LaunchPreviewRequested& e) {
    const auto tenant = at.tenant.value();
    MAILY_TRY_VOID(sql::Do(*request_launch_preview_, tenant, e.preview_id(), e.campaign_id(), at.time.us));
    for (int i = 0; i < e.rules_size(); ++i) {
      const campaigns::RuleVerdict& rule = e.rules(i);
      MAILY_TRY_VOID(sql::Do(*add_launch_rule_, tenant, e.preview_id(), i, std::string_view(rule.rule()), std::string_view(rule.path()),
                             std::string_view(rule.sentence())));
    }
    int place = 0;
    for (const campaigns::Arm& arm : ArmsOf(e.spec())) {
      MAILY_TRY_VOID(sql::Do(*add_launch_arm_, tenant, e.preview_id(), place++, std::string_view(arm.name()), arm.holdout() ? 1 : 0));
    }
    return Ok();
  }
  Result<void> PreviewOpened(const EventAt& at, const campaigns::LaunchPreviewOpened& e) {
    return sql::Do(*count_launch_part_, at.tenant.value(), e.preview_id(), at.partition.value(), 0, at.time.us);
  }
  Result<void> PreviewCounted(const EventAt& at, const campaigns::LaunchPreviewCounted& e) {
    for (const campaigns::VerdictCount& one : e.verdicts()) {
      MAILY_TRY_VOID(sql::Do(*count_launch_verdict_, at.tenant.value(), e.preview_id(), one.verdict(), one.contacts()));
    }
    return sql::Do(*count_launch_part_, at.tenant.value(), e.preview_id(), at.partition.value(), e.last() ? 1 : 0, at.time.us);
  }
  Result<void> InsertArm(uint32_t tenant, uint64_t campaign_id, int arm, const campaigns::Arm& a, uint64_t own_template) {
    return sql::Do(*insert_arm_, tenant, campaign_id, arm, std::string_view(a.name()), a.holdout() ? 1 : 0,
                   std::string_view(a.where_attribute()), std::string_view(a.where_value()), a.weight(), std::string_view(a.subject()),
                   std::string_view(a.from_name()), own_template);
  }
  Result<void> Launched(const EventAt& at, const campaigns::CampaignLaunched& e) {
    const auto& version = e.template_version();
    MAILY_TRY_VOID(sql::Do(*launch_, at.tenant.value(), e.campaign_id(), version.number(), std::string_view(e.postal_address()),
                           std::string_view(e.company()), at.time.us, e.spec().untracked() ? 1 : 0));
    MAILY_TRY_VOID(sql::Do(*launch_draft_, at.tenant.value(), e.campaign_id(), e.spec().holdout_bp()));
    for (int i = 0; i < version.links_size(); ++i) {
      MAILY_TRY_VOID(sql::Do(*insert_link_, at.tenant.value(), e.campaign_id(), i, std::string_view(version.links(i))));
    }
    return Ok();
  }
  Result<void> Pinned(const EventAt& at, const maily::templates::v1::TemplatePinned& e) {
    MAILY_TRY_VOID(sql::Do(*pin_template_, at.tenant.value(), e.campaign_id(), e.template_id(), e.version().number()));
    for (int i = 0; i < e.version().links_size(); ++i) {
      MAILY_TRY_VOID(
          sql::Do(*insert_link_, at.tenant.value(), e.campaign_id(), int64_t{e.first_link()} + i, std::string_view(e.version().links(i))));
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
  Result<void> Finishing(const EventAt& at, const campaigns::CampaignFinishing& e) {
    return sql::Do(*finish_, at.tenant.value(), e.campaign_id(), at.time.us);
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
                   n.audience(), n.to_send(), n.delivered(), n.bounced(), n.unknown(), n.skipped(), n.holdout(), n.failed(), n.entrants(),
                   at.time.us);
  }

  sql::Statement* insert_campaign_ = nullptr;
  sql::Statement* insert_draft_ = nullptr;
  sql::Statement* edit_campaign_ = nullptr;
  sql::Statement* edit_draft_ = nullptr;
  sql::Statement* delete_arms_ = nullptr;
  sql::Statement* delete_draft_ = nullptr;
  sql::Statement* delete_campaign_ = nullptr;
  sql::Statement* approve_ = nullptr;
  sql::Statement* launch_draft_ = nullptr;
  sql::Statement* request_launch_preview_ = nullptr;
  sql::Statement* add_launch_rule_ = nullptr;
  sql::Statement* add_launch_arm_ = nullptr;
  sql::Statement* count_launch_part_ = nullptr;
  sql::Statement* count_launch_verdict_ = nullptr;
  sql::Statement* insert_arm_ = nullptr;
  sql::Statement* insert_link_ = nullptr;
  sql::Statement* pin_template_ = nullptr;
  sql::Statement* launch_ = nullptr;
  sql::Statement* set_status_ = nullptr;
  sql::Statement* pause_ = nullptr;
  sql::Statement* resume_ = nullptr;
  sql::Statement* end_ = nullptr;
  sql::Statement* finish_ = nullptr;
  sql::Statement* open_partition_ = nullptr;
  sql::Statement* set_run_state_ = nullptr;
  sql::Statement* progress_ = nullptr;
};

}  // namespace

ReadModel CampaignsReadModel() {
  return {.name = "campaigns",
          .version = 8,
          .schema_sql = campaigns_sql::kSchema,
          .queries_sql = campaigns_sql::kQueries,
          .tables = {{"campaigns"},
                     {"campaign_statuses", TableKind::kConstant},
                     {"campaign_arms"},
                     {"campaign_links"},
                     {"campaign_partitions"},
                     {"campaign_drafts"},
                     {"launch_previews"},
                     {"launch_preview_rules"},
                     {"launch_preview_arms"},
                     {"launch_preview_parts"},
                     {"launch_preview_verdicts"}},
          .make = &CampaignsFold::Make};
}

}  // namespace maily::projections
