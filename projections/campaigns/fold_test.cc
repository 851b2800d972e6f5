// Tests the read model of campaigns.
#include "projections/campaigns/fold.h"

#include <fmt/format.h>

#include "maily/campaigns/v1/events.pb.h"
#include "maily/templates/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace campaigns = maily::campaigns::v1;

template <class Event>
Event Of() {
  Event event;
  event.set_campaign_id(9);
  return event;
}

class CampaignsFoldTest : public FoldFixture {
 protected:
  CampaignsFoldTest() : FoldFixture(ReadModelGroups()[1]) {}
  void Launch() {
    auto created = Of<campaigns::CampaignCreated>();
    created.mutable_spec()->set_name("spring");
    created.mutable_spec()->set_template_id(4);
    Happens(0, created);
    auto launched = Of<campaigns::CampaignLaunched>();
    launched.mutable_template_version()->set_number(2);
    launched.set_postal_address("1 Main Street");
    launched.set_company("Shop");
    launched.mutable_template_version()->add_links("https://example.com/a");
    Happens(0, launched);
    for (uint16_t p = 0; p < 2; ++p) {
      auto opened = Of<campaigns::CampaignOpened>();
      opened.set_last_ordinal(10);
      Happens(p, opened);
    }
  }
  Rows Campaign() { return Ask("campaign", parameters_); }
  const std::vector<Parameter> parameters_ = {{"tenant", Value::Integer(1)}, {"campaign_id", Value::Integer(9)}};
};

TEST_F(CampaignsFoldTest, TheLaunchSaysWhetherItIsTracked) {
  Launch();
  EXPECT_EQ(Campaign().at(0, "untracked"), Value::Integer(0));
  auto again = Of<campaigns::CampaignLaunched>();
  again.mutable_spec()->set_untracked(true);
  Happens(0, again);
  EXPECT_EQ(Campaign().at(0, "untracked"), Value::Integer(1));
}

TEST_F(CampaignsFoldTest, ArmsShowTheTemplatesThatTheLaunchHasPinnedAndLinksOfAllHaveOneRowOfNumbers) {
  auto created = Of<campaigns::CampaignCreated>();
  created.mutable_spec()->set_template_id(4);
  for (const uint64_t id : {0, 5, 4, 6}) {
    auto& arm = *created.mutable_spec()->add_arms();
    arm.set_name(fmt::format("of {}", id));
    arm.set_template_id(id);
  }
  created.mutable_spec()->mutable_arms(3)->set_holdout(true);
  Happens(0, created);
  EXPECT_EQ(Ask("campaign_arms", parameters_).at(1, "template_version").type, sql::Type::kNull);
  auto pinned = Of<maily::templates::v1::TemplatePinned>();
  pinned.set_template_id(5);
  pinned.set_first_link(1);
  pinned.mutable_version()->set_number(3);
  pinned.mutable_version()->add_links("https://example.com/b");
  auto launched = Of<campaigns::CampaignLaunched>();
  launched.mutable_template_version()->set_number(2);
  launched.mutable_template_version()->add_links("https://example.com/a");
  Happens(0, pinned, launched);
  const Rows arms = Ask("campaign_report", parameters_);
  const auto made_of = [&](size_t row) { return std::pair(arms.at(row, "template_id").integer, arms.at(row, "template_version").integer); };
  EXPECT_EQ(made_of(0), std::pair(int64_t{4}, int64_t{2}));
  EXPECT_EQ(made_of(1), std::pair(int64_t{5}, int64_t{3}));
  EXPECT_EQ(made_of(2), std::pair(int64_t{4}, int64_t{2}));
  EXPECT_EQ(arms.at(3, "template_id").type, sql::Type::kNull) << "a holdout gets no mail";
  const Rows links = Ask("campaign_links", parameters_);
  ASSERT_EQ(links.size(), 2u);
  EXPECT_EQ(links.at(1, "link"), Value::Integer(1));
  EXPECT_EQ(links.at(1, "target"), Value::Text("https://example.com/b"));
  // Its name may change while it runs; what its arms were launched with does not.
  auto renamed = Of<campaigns::CampaignEdited>();
  *renamed.mutable_spec() = created.spec();
  renamed.mutable_spec()->set_name("later");
  Happens(0, renamed);
  EXPECT_EQ(Campaign().at(0, "name"), Value::Text("later"));
  EXPECT_EQ(Ask("campaign_report", parameters_).at(1, "template_version"), Value::Integer(3));
  RebuildGivesTheSame();
}

TEST_F(CampaignsFoldTest, ADraftIsEditedApprovedAndDeleted) {
  auto created = Of<campaigns::CampaignCreated>();
  created.mutable_spec()->set_name("spring");
  created.mutable_spec()->add_segment_ids(3);
  created.mutable_spec()->mutable_derived()->set_campaign_id(2);
  created.mutable_spec()->mutable_derived()->set_as(campaigns::NON_OPENERS);
  Happens(0, created);
  const auto draft = [&] { return Ask("campaign_draft", parameters_); };
  EXPECT_EQ(draft().at(0, "revision"), Value::Integer(1));
  EXPECT_EQ(draft().at(0, "audience"), Value::Text(R"({"list_ids":[],"segment_ids":[3],"exclude_list_ids":[],"exclude_segment_ids":[]})"));
  EXPECT_EQ(draft().at(0, "resend_to"), Value::Text("non_openers"));
  auto approved = Of<campaigns::CampaignApproved>();
  approved.set_revision(1);
  approved.set_by("ben");
  Happens(0, approved);
  EXPECT_EQ(draft().at(0, "approved_by"), Value::Text("ben"));
  auto edited = Of<campaigns::CampaignEdited>();
  edited.set_revision(2);
  edited.mutable_spec()->set_name("summer");
  edited.mutable_spec()->add_arms()->set_name("a");
  edited.mutable_spec()->add_arms()->set_name("b");
  Happens(0, edited);
  EXPECT_EQ(draft().at(0, "revision"), Value::Integer(2));
  EXPECT_EQ(draft().at(0, "approved_revision"), Value::Integer(1));
  EXPECT_EQ(Campaign().at(0, "name"), Value::Text("summer"));
  EXPECT_EQ(Ask("campaign_arms", parameters_).size(), 2u);
  Happens(0, Of<campaigns::CampaignDeleted>());
  EXPECT_EQ(Campaign().size() + draft().size() + Ask("campaign_arms", parameters_).size(), 0u);
  RebuildGivesTheSame();
}

TEST_F(CampaignsFoldTest, ADryRunIsSummedOverThePartitions) {
  campaigns::LaunchPreviewRequested requested;
  requested.set_preview_id(5);
  requested.set_campaign_id(9);
  requested.mutable_spec()->add_arms()->set_name("a");
  requested.mutable_spec()->add_arms()->set_name("none");
  requested.mutable_spec()->mutable_arms(1)->set_holdout(true);
  requested.add_rules()->set_rule("template_not_found");
  Happens(0, requested);
  const std::vector<Parameter> which = {{"tenant", Value::Integer(1)}, {"preview_id", Value::Integer(5)}};
  for (uint16_t p = 0; p < 2; ++p) {
    campaigns::LaunchPreviewOpened opened;
    opened.set_preview_id(5);
    Happens(p, opened);
    EXPECT_EQ(Ask("launch_preview", which).at(0, "partitions_done"), Value::Integer(p));
    campaigns::LaunchPreviewCounted counted;
    counted.set_preview_id(5);
    counted.set_last(true);
    for (const uint32_t verdict : {1u, 64u, 129u}) {
      auto& one = *counted.add_verdicts();
      one.set_verdict(verdict);
      one.set_contacts(verdict);
    }
    Happens(p, counted);
  }
  EXPECT_EQ(Ask("launch_preview", which).at(0, "partitions_done"), Value::Integer(2));
  const Rows arms = Ask("launch_preview_arms", which);
  EXPECT_EQ(arms.at(0, "recipients"), Value::Integer(128));
  EXPECT_EQ(arms.at(1, "recipients"), Value::Integer(258));
  EXPECT_EQ(Ask("launch_preview_skips", which).at(0, "reason"), Value::Text("unsubscribed"));
  EXPECT_EQ(Ask("launch_preview_rules", which).at(0, "rule"), Value::Text("template_not_found"));
  RebuildGivesTheSame();
}

TEST_F(CampaignsFoldTest, ACampaignGoesFromDraftToCompleted) {
  Launch();
  EXPECT_EQ(Campaign().at(0, "status"), Value::Text("running"));
  EXPECT_EQ(Campaign().at(0, "template_version"), Value::Integer(2));
  EXPECT_EQ(Campaign().at(0, "postal_address"), Value::Text("1 Main Street"));
  EXPECT_EQ(Campaign().at(0, "company"), Value::Text("Shop"));
  EXPECT_EQ(Campaign().at(0, "partitions"), Value::Integer(2));
  EXPECT_EQ(Campaign().at(0, "partitions_opened"), Value::Integer(2));
  EXPECT_EQ(Ask("campaign_arms", parameters_).at(0, "name"), Value::Text("all"));
  EXPECT_EQ(Ask("campaign_link", {parameters_[0], parameters_[1], {"link", Value::Integer(0)}}).at(0, "target"),
            Value::Text("https://example.com/a"));
  Happens(0, Of<campaigns::CampaignCompleted>());
  EXPECT_EQ(Campaign().at(0, "status"), Value::Text("completed"));
  EXPECT_EQ(Campaign().at(0, "ended_at_us"), Value::Integer(now.us));
  EXPECT_EQ(Ask("campaigns", {parameters_[0], {"after", Value::Integer(0)}, {"limit", Value::Integer(10)}}).size(), 1u);
  RebuildGivesTheSame();
}

TEST_F(CampaignsFoldTest, ASafetyStopShowsItsNumbersUntilItIsOverridden) {
  Launch();
  auto paused = Of<campaigns::CampaignPaused>();
  paused.mutable_stop()->set_reason("policy");
  paused.mutable_stop()->set_count(12);
  paused.mutable_stop()->set_of(210);
  paused.mutable_stop()->set_limit_bp(500);
  paused.mutable_stop()->set_site("mx.example");
  paused.mutable_stop()->set_code("4.7.28");
  Happens(0, paused);
  EXPECT_EQ(Campaign().at(0, "status"), Value::Text("paused"));
  EXPECT_EQ(Campaign().at(0, "stop_reason"), Value::Text("policy"));
  EXPECT_EQ(Campaign().at(0, "stop_count"), Value::Integer(12));
  EXPECT_EQ(Campaign().at(0, "stop_of"), Value::Integer(210));
  EXPECT_EQ(Campaign().at(0, "stop_limit_bp"), Value::Integer(500));
  EXPECT_EQ(Campaign().at(0, "stop_site"), Value::Text("mx.example"));
  EXPECT_EQ(Campaign().at(0, "stop_code"), Value::Text("4.7.28"));
  auto resumed = Of<campaigns::CampaignResumed>();
  resumed.set_overridden("policy");
  resumed.set_why("asked the receiver");
  Happens(0, resumed);
  EXPECT_EQ(Campaign().at(0, "status"), Value::Text("running"));
  EXPECT_EQ(Campaign().at(0, "stop_reason"), Value::Null());
  EXPECT_EQ(Campaign().at(0, "stop_site"), Value::Null());
  // A pause that was asked for is no stop, and the override stays known.
  Happens(0, Of<campaigns::CampaignPaused>());
  EXPECT_EQ(Campaign().at(0, "stop_reason"), Value::Null());
  Happens(0, Of<campaigns::CampaignResumed>());
  EXPECT_EQ(Campaign().at(0, "overridden"), Value::Text("policy"));
  EXPECT_EQ(Campaign().at(0, "override_why"), Value::Text("asked the receiver"));
  RebuildGivesTheSame();
}

TEST_F(CampaignsFoldTest, APauseIsAcknowledgedPartitionByPartition) {
  Launch();
  Happens(0, Of<campaigns::CampaignPaused>());
  EXPECT_EQ(Campaign().at(0, "status"), Value::Text("paused"));
  EXPECT_EQ(Campaign().at(0, "partitions_paused"), Value::Integer(0));
  auto changed = Of<campaigns::RunStateChanged>();
  changed.set_state(campaigns::PAUSED);
  Happens(1, changed);
  EXPECT_EQ(Campaign().at(0, "partitions_paused"), Value::Integer(1));
  auto progressed = Of<campaigns::CampaignProgressed>();
  progressed.set_partition(1);
  progressed.set_planned(true);
  progressed.mutable_counts()->set_delivered(5);
  progressed.set_state(campaigns::PAUSED);
  Happens(1, progressed);
  EXPECT_EQ(Campaign().at(0, "partitions_planned"), Value::Integer(1));
  EXPECT_EQ(Ask("campaign_partitions", parameters_).at(1, "delivered"), Value::Integer(5));
}

TEST_F(CampaignsFoldTest, AnEvergreenCampaignSaysWhetherItTakesAnybodyIn) {
  auto created = Of<campaigns::CampaignCreated>();
  created.mutable_spec()->set_evergreen(true);
  Happens(0, created);
  EXPECT_EQ(Campaign().at(0, "evergreen"), Value::Integer(1));
  EXPECT_EQ(Campaign().at(0, "entry").type, sql::Type::kNull);  // a draft takes nobody in
  Happens(0, Of<campaigns::CampaignLaunched>());
  EXPECT_EQ(Campaign().at(0, "entry"), Value::Text("open"));
  Happens(1, Of<campaigns::CampaignOpened>());
  auto progressed = Of<campaigns::CampaignProgressed>();
  progressed.set_partition(1);
  progressed.set_idle(true);
  progressed.mutable_counts()->set_audience(5);
  progressed.mutable_counts()->set_entrants(3);
  Happens(1, progressed);
  EXPECT_EQ(Campaign().at(0, "entrants"), Value::Integer(3));
  Happens(0, Of<campaigns::CampaignFinishing>());
  EXPECT_EQ(Campaign().at(0, "entry"), Value::Text("finishing"));
  EXPECT_EQ(Campaign().at(0, "status"), Value::Text("running"));
  const Rows listed = Ask("campaigns", {{"tenant", Value::Integer(1)}, {"after", Value::Integer(0)}, {"limit", Value::Integer(10)}});
  EXPECT_EQ(listed.at(0, "entry"), Value::Text("finishing"));
  Happens(0, Of<campaigns::CampaignCompleted>());
  EXPECT_EQ(Campaign().at(0, "entry"), Value::Text("closed"));
  RebuildGivesTheSame();
}

TEST_F(CampaignsFoldTest, ARefusalKeepsItsReason) {
  Launch();
  auto refused = Of<campaigns::CampaignRefused>();
  refused.set_reason("empty_audience");
  Happens(0, refused);
  EXPECT_EQ(Campaign().at(0, "status"), Value::Text("refused"));
  EXPECT_EQ(Campaign().at(0, "reason"), Value::Text("empty_audience"));
}

}  // namespace
}  // namespace maily::projections
