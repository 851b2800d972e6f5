// Folds A/B tests of campaigns, as the tenant's home tells of them.
#include "projections/campaign_tests/fold.h"

#include "maily/campaigns/v1/events.pb.h"
#include "projections/campaign_tests/sql.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace campaigns = maily::campaigns::v1;

std::string_view MetricName(campaigns::TestMetric metric) {
  switch (metric) {
    case campaigns::TEST_OPENS:
      return "opens";
    case campaigns::TEST_CONVERSIONS:
      return "conversions";
    default:
      return "clicks";
  }
}

class CampaignTestsFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<CampaignTestsFold>();
    MAILY_TRY(fold->insert_, setup.Prepare("insert_test"));
    MAILY_TRY(fold->delete_, setup.Prepare("delete_test"));
    MAILY_TRY(fold->wait_, setup.Prepare("wait_for_test"));
    MAILY_TRY(fold->close_, setup.Prepare("close_test"));
    MAILY_TRY(fold->decide_, setup.Prepare("decide_test"));
    MAILY_TRY(fold->insert_arm_, setup.Prepare("insert_test_arm"));
    EventHandlers& on = setup.handlers;
    on.On<campaigns::CampaignCreated>([f = fold.get()](const EventAt& at, const auto& e) { return f->Take(at, e); });
    on.On<campaigns::CampaignEdited>([f = fold.get()](const EventAt& at, const auto& e) -> Result<void> {
      MAILY_TRY_VOID(f->Forget(at, e));
      return f->Take(at, e);
    });
    on.On<campaigns::CampaignDeleted>([f = fold.get()](const EventAt& at, const auto& e) { return f->Forget(at, e); });
    on.On(fold.get(), &CampaignTestsFold::Waiting);
    on.On(fold.get(), &CampaignTestsFold::Closed);
    on.On(fold.get(), &CampaignTestsFold::Chosen);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  template <class Event>
  Result<void> Take(const EventAt& at, const Event& e) {
    if (!e.spec().has_test()) return Ok();
    const campaigns::Test& test = e.spec().test();
    return sql::Do(*insert_, at.tenant.value(), e.campaign_id(), test.sample_percent(), MetricName(test.metric()), test.wait_minutes(),
                   test.enough(), e.spec().seed() == 0 ? e.campaign_id() : e.spec().seed());
  }
  template <class Event>
  Result<void> Forget(const EventAt& at, const Event& e) {
    return sql::Do(*delete_, at.tenant.value(), e.campaign_id());
  }
  Result<void> Waiting(const EventAt& at, const campaigns::TestWaiting& e) {
    return sql::Do(*wait_, at.tenant.value(), e.campaign_id(), e.decides_at_us());
  }
  Result<void> Closed(const EventAt& at, const campaigns::TestClosed& e) {
    return sql::Do(*close_, at.tenant.value(), e.campaign_id(), at.time.us, std::string_view(e.why()));
  }
  Result<void> Chosen(const EventAt& at, const campaigns::WinnerChosen& e) {
    MAILY_TRY_VOID(sql::Do(*decide_, at.tenant.value(), e.campaign_id(), at.time.us, e.arm(), std::string_view(e.name()),
                           std::string_view(e.reason()), e.by_hand() ? 1 : 0,
                           e.by().empty() ? sql::Value::Null() : sql::Value::Text(e.by()), e.evidence() ? 1 : 0));
    for (const campaigns::ArmOutcome& arm : e.arms()) {
      MAILY_TRY_VOID(sql::Do(*insert_arm_, at.tenant.value(), e.campaign_id(), arm.arm(), std::string_view(arm.name()), arm.delivered(),
                             arm.did(), arm.rate_ppm(), arm.low_ppm(), arm.high_ppm(), arm.best_ppm(), arm.sample_propensity_ppm(),
                             arm.rest_propensity_ppm()));
    }
    return Ok();
  }

  sql::Statement* insert_ = nullptr;
  sql::Statement* delete_ = nullptr;
  sql::Statement* wait_ = nullptr;
  sql::Statement* close_ = nullptr;
  sql::Statement* decide_ = nullptr;
  sql::Statement* insert_arm_ = nullptr;
};

}  // namespace

ReadModel CampaignTestsReadModel() {
  return {.name = "campaign_tests",
          .version = 1,
          .schema_sql = campaign_tests_sql::kSchema,
          .queries_sql = campaign_tests_sql::kQueries,
          .tables = {{"campaign_tests"}, {"campaign_test_arms"}},
          .make = &CampaignTestsFold::Make};
}

}  // namespace maily::projections
