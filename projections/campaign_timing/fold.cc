// Folds when campaigns go: schedules, holds and throttles of the tenant's home, clocks of each partition.
#include "projections/campaign_timing/fold.h"

#include "maily/campaigns/v1/events.pb.h"
#include "projections/campaign_timing/sql.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace campaigns = maily::campaigns::v1;

class CampaignTimingFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<CampaignTimingFold>();
    MAILY_TRY(fold->create_, setup.Prepare("create_timing"));
    MAILY_TRY(fold->schedule_, setup.Prepare("schedule"));
    MAILY_TRY(fold->unschedule_, setup.Prepare("unschedule"));
    MAILY_TRY(fold->edit_, setup.Prepare("edit_timing"));
    MAILY_TRY(fold->delete_, setup.Prepare("delete_timing"));
    MAILY_TRY(fold->hold_, setup.Prepare("hold"));
    MAILY_TRY(fold->let_go_, setup.Prepare("let_go"));
    MAILY_TRY(fold->throttle_, setup.Prepare("throttle"));
    MAILY_TRY(fold->add_clocks_, setup.Prepare("add_clocks"));
    EventHandlers& on = setup.handlers;
    on.On(fold.get(), &CampaignTimingFold::Created);
    on.On(fold.get(), &CampaignTimingFold::Edited);
    on.On<campaigns::CampaignDeleted>([f = fold.get()](const EventAt& at, const auto& e) { return f->Only(*f->delete_, at, e); });
    on.On(fold.get(), &CampaignTimingFold::Scheduled);
    on.On<campaigns::CampaignUnscheduled>([f = fold.get()](const EventAt& at, const auto& e) { return f->Only(*f->unschedule_, at, e); });
    on.On<campaigns::CampaignLaunched>([f = fold.get()](const EventAt& at, const auto& e) { return f->Only(*f->let_go_, at, e); });
    on.On<campaigns::CampaignCancelled>([f = fold.get()](const EventAt& at, const auto& e) { return f->Only(*f->let_go_, at, e); });
    on.On(fold.get(), &CampaignTimingFold::Held);
    on.On(fold.get(), &CampaignTimingFold::Throttled);
    on.On(fold.get(), &CampaignTimingFold::ZonesPlanned);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  Result<void> Created(const EventAt& at, const campaigns::CampaignCreated& e) { return Take(*create_, at, e); }
  Result<void> Edited(const EventAt& at, const campaigns::CampaignEdited& e) { return Take(*edit_, at, e); }
  template <class Event>
  Result<void> Take(sql::Statement& statement, const EventAt& at, const Event& e) {
    const campaigns::CampaignSpec& spec = e.spec();
    const auto minute = [&](uint32_t value) { return spec.has_quiet_hours() ? sql::Value::Integer(value) : sql::Value::Null(); };
    return sql::Do(statement, at.tenant.value(), e.campaign_id(), spec.pace().per_minute(), spec.pace().over_minutes(),
                   minute(spec.quiet_hours().from_minute()), minute(spec.quiet_hours().to_minute()), spec.ttl_minutes());
  }
  Result<void> Scheduled(const EventAt& at, const campaigns::CampaignScheduled& e) {
    const campaigns::Start& start = e.start();
    return sql::Do(*schedule_, at.tenant.value(), e.campaign_id(), start.at_us(), TextOrNull(start.local()), TextOrNull(start.zone()),
                   start.per_contact() ? 1 : 0, start.skip_late() ? 1 : 0, TextOrNull(start.tz_version()));
  }
  Result<void> Held(const EventAt& at, const campaigns::CampaignHeld& e) {
    std::string codes;
    std::string why;
    for (const campaigns::StartObjection& one : e.objections()) {
      codes += (codes.empty() ? "" : " ") + one.code();
      why += (why.empty() ? "" : "; ") + one.sentence();
    }
    if (e.reason() == "overdue") why = "it was to start " + std::to_string(e.late_s() / 60) + " minutes before";
    return sql::Do(*hold_, at.tenant.value(), e.campaign_id(), at.time.us, std::string_view(e.reason()), TextOrNull(codes),
                   TextOrNull(why));
  }
  Result<void> Throttled(const EventAt& at, const campaigns::CampaignThrottled& e) {
    return sql::Do(*throttle_, at.tenant.value(), e.campaign_id(), e.pace().per_minute(), e.pace().over_minutes());
  }
  Result<void> ZonesPlanned(const EventAt& at, const campaigns::ZonesPlanned& e) {
    return sql::Do(*add_clocks_, at.tenant.value(), e.campaign_id(), at.partition.value(), e.new_buckets_size(), e.without_zone());
  }
  template <class Event>
  Result<void> Only(sql::Statement& statement, const EventAt& at, const Event& e) {
    return sql::Do(statement, at.tenant.value(), e.campaign_id());
  }
  static sql::Value TextOrNull(const std::string& text) { return text.empty() ? sql::Value::Null() : sql::Value::Text(text); }

  sql::Statement* create_ = nullptr;
  sql::Statement* edit_ = nullptr;
  sql::Statement* delete_ = nullptr;
  sql::Statement* schedule_ = nullptr;
  sql::Statement* unschedule_ = nullptr;
  sql::Statement* hold_ = nullptr;
  sql::Statement* let_go_ = nullptr;
  sql::Statement* throttle_ = nullptr;
  sql::Statement* add_clocks_ = nullptr;
};

}  // namespace

ReadModel CampaignTimingReadModel() {
  return {.name = "campaign_timing",
          .version = 1,
          .schema_sql = campaign_timing_sql::kSchema,
          .queries_sql = campaign_timing_sql::kQueries,
          .tables = {{"campaign_timings"}, {"campaign_clocks"}},
          .make = &CampaignTimingFold::Make};
}

}  // namespace maily::projections
