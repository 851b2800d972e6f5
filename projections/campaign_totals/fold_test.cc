// Tests the read model of campaign totals.
#include "projections/campaign_totals/fold.h"

#include <array>
#include <map>
#include <random>

#include "maily/campaigns/v1/events.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "projections/campaign_totals/signal_rules.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/sealed.h"
#include "schemas/types.h"
#include "tests/memory_keyring.h"

namespace maily::projections {
namespace {

namespace campaigns = maily::campaigns::v1;
namespace engagements = maily::engagements::v1;
namespace sends = maily::sends::v1;

template <class Event>
Event Of(uint64_t ordinal, uint64_t campaign_id = 9) {
  Event event;
  event.set_campaign_id(campaign_id);
  event.set_ordinal(ordinal);
  return event;
}
// By a browser, as far as its class tells.
engagements::Clicked Click(uint64_t ordinal, uint32_t link = 0, uint64_t campaign_id = 9) {
  auto event = Of<engagements::Clicked>(ordinal, campaign_id);
  event.set_link(link);
  event.set_agent(engagements::AGENT_DESKTOP);
  return event;
}
engagements::Opened Open(uint64_t ordinal, engagements::AgentClass agent = engagements::AGENT_MAIL) {
  auto event = Of<engagements::Opened>(ordinal);
  event.set_agent(agent);
  return event;
}
engagements::ContactEventRecorded Event(uint64_t ordinal, const std::string& name, int64_t revenue_cents = 0) {
  engagements::ContactEventRecorded event;
  event.set_ordinal(ordinal);
  event.set_name(name);
  event.set_revenue_cents(revenue_cents);
  return event;
}

class CampaignTotalsFoldTest : public FoldFixture {
 protected:
  CampaignTotalsFoldTest() : FoldFixture(ReadModelGroups()[1]) {}
  void Create(uint64_t campaign_id) {
    campaigns::CampaignCreated created;
    created.set_campaign_id(campaign_id);
    for (const char* name : {"red", "blue", "holdout"}) created.mutable_spec()->add_arms()->set_name(name);
    created.mutable_spec()->mutable_arms(2)->set_holdout(true);
    Happens(0, created);
  }
  void Plan(uint16_t partition, const std::string& verdicts, uint64_t campaign_id = 9) {
    campaigns::AudiencePlanned planned;
    planned.set_campaign_id(campaign_id);
    planned.set_first_ordinal(1);
    planned.set_verdicts(verdicts);
    Happens(partition, planned);
  }
  Rows Report(int64_t campaign_id = 9) {
    return Ask("campaign_report", {{"tenant", Value::Integer(1)}, {"campaign_id", Value::Integer(campaign_id)}});
  }
  // Long enough ago that whoever comes now may be a person.
  void HandOver(uint64_t ordinal, uint64_t campaign_id = 9) {
    Happens(0, Of<sends::AttemptDelivered>(ordinal, campaign_id));
    now = now + kAtOnce;
  }
  // Who is behind each signal of a contact, the first one first: "human browser, …".
  std::string ReadBy(int64_t contact_id) {
    const Rows rows = Ask("engagements_of_contact", {{"tenant", Value::Integer(1)},
                                                     {"contact_id", Value::Integer(contact_id)},
                                                     {"before", Value::Integer(INT64_MAX)},
                                                     {"limit", Value::Integer(100)}});
    std::string all;
    for (size_t row = rows.size(); row-- > 0;) {
      all += (all.empty() ? "" : ", ") + rows.at(row, "read_by").bytes + " " + rows.at(row, "rule").bytes;
    }
    return all;
  }
  // Of the judged tables.
  std::vector<TableDigest> Judged() {
    std::vector<TableDigest> judged;
    for (const TableDigest& table : Digest().tables) {
      if (table.kind == TableKind::kJudged) judged.push_back(table);
    }
    return judged;
  }
  Rows Languages() { return Ask("campaign_locales", {{"tenant", Value::Integer(1)}, {"campaign_id", Value::Integer(9)}}); }
  int64_t OfLanguages(std::string_view column) {
    const Rows rows = Languages();
    int64_t sum = 0;
    for (size_t row = 0; row < rows.size(); ++row) sum += rows.at(row, column).integer;
    return sum;
  }
  int64_t Count(size_t arm, std::string_view column, int64_t campaign_id = 9) { return Report(campaign_id).at(arm, column).integer; }
  test::MemoryKeyring keys_;
  // red, blue, holdout, suppressed
  const std::string verdicts_ = std::string("\x40\x41\x82\x02", 4);
};

TEST_F(CampaignTotalsFoldTest, RecipientsAndSkipsAreCountedWhenPlanned) {
  Create(9);
  Plan(0, verdicts_);
  Plan(1, verdicts_);
  ASSERT_EQ(Report().size(), 3u);
  EXPECT_EQ(Count(0, "recipients"), 2);
  EXPECT_EQ(Count(2, "recipients"), 2);
  EXPECT_EQ(Report().at(2, "name"), Value::Text("holdout"));
  auto skipped = Of<sends::SendSkipped>(1);
  skipped.set_reason(campaigns::UNSUBSCRIBED);
  Happens(1, skipped);
  EXPECT_EQ(Count(0, "skipped"), 1);
  const Rows skips = Ask("campaign_skips", {{"tenant", Value::Integer(1)}, {"campaign_id", Value::Integer(9)}});
  ASSERT_EQ(skips.size(), 3u);
  EXPECT_EQ(skips.at(0, "reason"), Value::Text("unsubscribed"));
  EXPECT_EQ(skips.at(1, "contacts"), Value::Integer(2));
  EXPECT_EQ(skips.at(2, "reason"), Value::Text("holdout"));
  EXPECT_EQ(skips.at(2, "contacts"), Value::Integer(2));
}

TEST_F(CampaignTotalsFoldTest, ResultsCountForTheArm) {
  Create(9);
  Plan(0, verdicts_);
  Happens(0, Of<sends::AttemptUnknown>(1));
  EXPECT_EQ(Count(0, "unknown"), 1);
  auto resolved = Of<sends::UnknownResolved>(1);
  resolved.set_delivered(true);
  Happens(0, resolved, Of<sends::AttemptBounced>(2));
  EXPECT_EQ(Count(0, "unknown"), 0);
  EXPECT_EQ(Count(0, "delivered"), 1);
  EXPECT_EQ(Count(1, "bounced"), 1);
  // What comes back later is counted beside them.
  Happens(0, Of<sends::BounceReceived>(1), Of<sends::ComplaintReceived>(1));
  EXPECT_EQ(Count(0, "delivered"), 1);
  EXPECT_EQ(Count(0, "bounced"), 0);
  EXPECT_EQ(Count(0, "bounced_later"), 1);
  EXPECT_EQ(Count(0, "complaints"), 1);
}

TEST_F(CampaignTotalsFoldTest, CountsAddUpWhateverHappens) {
  const std::vector<Parameter> which = {{"tenant", Value::Integer(1)}, {"campaign_id", Value::Integer(9)}};
  const auto count = [&](std::string_view column) { return Ask("campaign_counts", which).at(0, column).integer; };
  const auto expect = [&](int64_t pending, std::string_view settled) {
    SCOPED_TRACE(settled);
    EXPECT_EQ(count("audience"), 8);
    EXPECT_EQ(count("holdout"), 2);
    EXPECT_EQ(count("planned"), 6);
    EXPECT_EQ(count("pending"), pending);
    EXPECT_GT(count(settled), 0);
    EXPECT_EQ(count("planned"),
              count("pending") + count("delivered") + count("skipped") + count("bounced") + count("expired") + count("unknown"));
  };
  Create(9);
  EXPECT_EQ(count("planned"), 0);
  Plan(0, verdicts_);
  Plan(1, verdicts_);
  expect(4, "skipped");
  Happens(0, Of<sends::AttemptDelivered>(1));
  expect(3, "delivered");
  Happens(0, Of<sends::AttemptBounced>(2), Of<engagements::Opened>(4));
  expect(2, "bounced");
  Happens(1, Of<sends::AttemptUnknown>(1));
  expect(1, "unknown");
  Happens(1, Of<sends::SendExpired>(2));
  expect(0, "expired");
}

TEST_F(CampaignTotalsFoldTest, AVisitCountsOnceAndForEveryArm) {
  Create(9);
  Plan(0, verdicts_);
  HandOver(1);
  Happens(0, Open(1), Open(1), Click(1), Click(1));
  Happens(0, Event(1, "visit"));
  Happens(0, Event(3, "visit"), Event(3, "visit"));
  Happens(0, Event(4, "visit"), Event(50, "visit"), Event(2, "login"));
  EXPECT_EQ(Count(0, "opens"), 2);
  EXPECT_EQ(Count(0, "opened"), 1);
  EXPECT_EQ(Count(0, "clicks"), 2);
  EXPECT_EQ(Count(0, "clicked"), 1);
  EXPECT_EQ(Count(0, "visits"), 1);
  EXPECT_EQ(Count(1, "visits"), 0);
  EXPECT_EQ(Count(2, "visits"), 1);
}

TEST_F(CampaignTotalsFoldTest, ConversionsAreSummedUntilTheWindowCloses) {
  Create(9);
  Plan(0, verdicts_);
  Happens(0, Event(3, "conversion", 1000), Event(3, "conversion", 999));
  now = now + Days(14);
  Happens(0, Event(3, "conversion", 5), Event(1, "visit"));
  EXPECT_EQ(Count(2, "conversions"), 2);
  EXPECT_EQ(Count(2, "revenue_cents"), 1999);
  EXPECT_EQ(Count(0, "visits"), 0);
}

TEST_F(CampaignTotalsFoldTest, AClickIsAVisitOfItsOwnCampaignAndAVisitOneOfEach) {
  Create(9);
  Create(10);
  Plan(0, verdicts_, 9);
  Plan(0, verdicts_, 10);
  HandOver(1, 10);
  Happens(0, Click(1, 0, 10));
  EXPECT_EQ(Count(0, "visits", 9), 0);
  EXPECT_EQ(Count(0, "visits", 10), 1);
  Happens(0, Event(1, "visit"));
  EXPECT_EQ(Count(0, "visits", 9), 1);
  EXPECT_EQ(Count(0, "visits", 10), 1);
}

TEST_F(CampaignTotalsFoldTest, AnyInterleavingOfPartitionsGivesTheSameRows) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  Create(9);
  for (uint16_t p = 0; p < 2; ++p) {
    campaigns::AudiencePlanned planned;
    planned.set_campaign_id(9);
    planned.set_first_ordinal(1);
    planned.set_verdicts(verdicts_);
    journal.Add(p, now, {FakeDecision{}.With(planned)});
  }
  for (int i = 0; i < 200; ++i) {
    const uint64_t ordinal = 1 + random() % 4;
    FakeDecision decision;
    switch (random() % 6) {
      case 5: {
        auto tried = Of<sends::AttemptOpened>(ordinal);
        tried.set_attempt(1 + random() % 2);
        tried.set_locale(std::array{"", "de", "pt-BR"}[random() % 3]);
        decision.With(tried);
        break;
      }
      case 0:
        decision.With(Open(ordinal, static_cast<engagements::AgentClass>(random() % 6)));
        break;
      case 1:
        decision.With(Click(ordinal, static_cast<uint32_t>(random() % 4)));
        break;
      case 2:
        decision.With(Event(ordinal, "visit"));
        break;
      case 3:
        decision.With(Event(ordinal, "conversion", 7));
        break;
      case 4:
        decision.With(Of<sends::AttemptDelivered>(ordinal));
        break;
    }
    journal.Add(static_cast<uint16_t>(random() % 2), now, {decision});
    now = now + Milliseconds(static_cast<int64_t>(random() % 3'000));
    if (random() % 4 == 0) Fold();
  }
  Fold();
  RebuildGivesTheSame();
  // Judged tables are no part of that comparison; the keys are the same here.
  const std::vector<TableDigest> judged = Judged();
  ASSERT_EQ(judged.size(), 4u);
  EXPECT_GT(judged[0].rows, 0u);
  bool built = false;
  projection->Rebuild(Projection::Then::kSwitch, [&](Result<RebuildStatus> done) { built = bool(done); });
  executor.Drain();
  ASSERT_TRUE(built);
  EXPECT_EQ(Judged(), judged);
  // Every signal is in one of the sums.
  int64_t all = 0;
  for (size_t arm = 0; arm < 3; ++arm) {
    for (const char* column : {"opens", "machine_opens", "unknown_opens", "clicks", "machine_clicks", "unknown_clicks"}) {
      EXPECT_GE(Count(arm, column), 0) << column;
      all += Count(arm, column);
    }
    EXPECT_LE(Count(arm, "clicked"), Count(arm, "clicks"));
    EXPECT_LE(Count(arm, "visits"), Count(arm, "recipients"));
  }
  const Rows rows = Ask("engagement_count", {{"tenant", Value::Integer(1)}, {"type", Value::Text("open")}});
  const Rows clicks = Ask("engagement_count", {{"tenant", Value::Integer(1)}, {"type", Value::Text("click")}});
  const Rows sums = Ask("campaign_sums", {{"tenant", Value::Integer(1)}, {"campaign_id", Value::Integer(9)}});
  int64_t summed = 0;
  for (const char* column : {"opens", "machine_opens", "unknown_opens", "clicks", "machine_clicks", "unknown_clicks"}) {
    summed += sums.at(0, column).integer;
  }
  EXPECT_EQ(summed, rows.at(0, "count").integer + clicks.at(0, "count").integer);
  EXPECT_LE(all, summed);  // those of contacts without an arm are in no arm's row
  EXPECT_EQ(OfLanguages("sent"), sums.at(0, "delivered").integer);
  for (const char* column : {"delivered", "opened", "clicked"}) EXPECT_EQ(OfLanguages(column), sums.at(0, column).integer) << column;
}

TEST_F(CampaignTotalsFoldTest, WhatEachLanguageCameToAddsUpToTheCampaign) {
  Create(9);
  Plan(0, verdicts_);
  Plan(1, verdicts_);
  const auto tried = [](uint64_t ordinal, const std::string& locale, uint32_t attempt = 1) {
    auto event = Of<sends::AttemptOpened>(ordinal);
    event.set_attempt(attempt);
    event.set_locale(locale);
    return event;
  };
  Happens(0, tried(1, "de"), tried(2, "en"));
  Happens(1, tried(1, ""), tried(2, "de"));
  EXPECT_EQ(Languages().size(), 0u) << "nothing has come of them yet";
  HandOver(1);
  Happens(0, Of<sends::AttemptBounced>(2), Open(1), Click(1), Click(1));
  Happens(1, Of<sends::AttemptUnknown>(1), tried(2, "en", 2), Of<sends::SendExpired>(2));
  Happens(0, Of<sends::BounceReceived>(1), Of<sends::ComplaintReceived>(1), Of<engagements::Unsubscribed>(1));
  const Rows rows = Languages();
  ASSERT_EQ(rows.size(), 3u);
  const auto expect = [&](size_t row, const char* locale, const std::map<std::string, int64_t>& counts) {
    SCOPED_TRACE(locale);
    EXPECT_EQ(rows.at(row, "locale"), Value::Text(locale));
    for (const char* column :
         {"sent", "delivered", "bounced", "unknown", "expired", "opened", "clicked", "unsubscribes", "bounced_later", "complaints"}) {
      EXPECT_EQ(rows.at(row, column).integer, counts.contains(column) ? counts.at(column) : 0) << column;
    }
  };
  expect(0, "", {{"sent", 1}, {"unknown", 1}});
  expect(1, "de",
         {{"sent", 1}, {"delivered", 1}, {"opened", 1}, {"clicked", 1}, {"unsubscribes", 1}, {"bounced_later", 1}, {"complaints", 1}});
  expect(2, "en", {{"sent", 2}, {"bounced", 1}, {"expired", 1}});  // the retry was made in another language
  // A scanner's burst takes its click back, in the language of its mail.
  Happens(0, Click(1, 1), Click(1, 2), Click(1, 3));
  const Rows sums = Ask("campaign_sums", {{"tenant", Value::Integer(1)}, {"campaign_id", Value::Integer(9)}});
  for (const char* column :
       {"delivered", "bounced", "unknown", "expired", "opened", "clicked", "unsubscribes", "bounced_later", "complaints"})
    EXPECT_EQ(OfLanguages(column), sums.at(0, column).integer) << column;
  RebuildGivesTheSame();
}

TEST_F(CampaignTotalsFoldTest, PersonsMachinesAndWhoNobodyKnowsAreCountedApart) {
  Create(9);
  Plan(0, verdicts_);
  HandOver(1);
  Happens(0, Open(1), Open(1, engagements::AGENT_IMAGE_PROXY), Open(1, engagements::AGENT_MACHINE));
  EXPECT_EQ(Count(0, "opens"), 1);
  EXPECT_EQ(Count(0, "unknown_opens"), 1);
  EXPECT_EQ(Count(0, "machine_opens"), 1);
  EXPECT_EQ(Count(0, "opened"), 1);
  auto bot = Click(1);
  bot.set_agent(engagements::AGENT_MACHINE);
  Happens(0, bot);
  EXPECT_EQ(Count(0, "clicks"), 0);
  EXPECT_EQ(Count(0, "machine_clicks"), 1);
  EXPECT_EQ(Count(0, "clicked"), 0);
  EXPECT_EQ(Count(0, "visits"), 0) << "a machine visits nothing";
  EXPECT_EQ(Ask("signal_filter").at(0, "version"), Value::Integer(kSignalRulesVersion));
  RebuildGivesTheSame();
}

TEST_F(CampaignTotalsFoldTest, WhatComesWithTheHandOverIsAMachines) {
  Create(9);
  Plan(0, verdicts_);
  Happens(0, Click(1));
  Happens(0, Of<sends::AttemptDelivered>(1));
  now = now + kAtOnce - Milliseconds(1);
  Happens(0, Click(1), Open(1));
  now = now + Milliseconds(1);
  Happens(0, Click(1));
  EXPECT_EQ(ReadBy(1), "unknown no_hand_over, machine at_once, machine at_once, human class");
  EXPECT_EQ(Count(0, "clicks"), 1);
  EXPECT_EQ(Count(0, "visits"), 1);
}

TEST_F(CampaignTotalsFoldTest, WhoFollowsAllLinksAtOnceTakesItsFirstClicksBack) {
  Create(9);
  Plan(0, verdicts_);
  HandOver(1);
  Happens(0, Click(1, 0));
  now = now + Milliseconds(100);
  Happens(0, Click(1, 1));
  EXPECT_EQ(Count(0, "clicks"), 2);
  EXPECT_EQ(Count(0, "clicked"), 1);
  EXPECT_EQ(Count(0, "visits"), 1);
  now = now + Milliseconds(100);
  Happens(0, Click(1, 2));
  EXPECT_EQ(Count(0, "clicks"), 0);
  EXPECT_EQ(Count(0, "machine_clicks"), 3);
  EXPECT_EQ(Count(0, "clicked"), 0);
  EXPECT_EQ(Count(0, "visits"), 0);
  // The person comes later.
  now = now + kBurstWindow;
  Happens(0, Click(1, 1));
  EXPECT_EQ(ReadBy(1), "machine burst, machine burst, machine burst, human class");
  EXPECT_EQ(Count(0, "clicks"), 1);
  EXPECT_EQ(Count(0, "clicked"), 1);
  EXPECT_EQ(Count(0, "visits"), 1);
  // A visit by an event takes its place, and another scan takes nothing of that back.
  Happens(0, Event(1, "visit"));
  Happens(0, Click(1, 2), Click(1, 3));
  EXPECT_EQ(Count(0, "clicks"), 0);
  EXPECT_EQ(Count(0, "visits"), 1);
}

TEST_F(CampaignTotalsFoldTest, WhoFollowsWhatNobodySeesIsAMachineForItsWindow) {
  Create(9);
  Plan(0, verdicts_);
  HandOver(1);
  Happens(0, Click(1, 0));
  EXPECT_EQ(Count(0, "clicks"), 1);
  now = now + Milliseconds(100);
  Happens(0, Of<engagements::HoneypotFollowed>(1));
  EXPECT_EQ(Count(0, "clicks"), 0);
  EXPECT_EQ(Count(0, "clicked"), 0);
  EXPECT_EQ(Count(0, "visits"), 0);
  EXPECT_EQ(Count(0, "machine_clicks"), 1);
  now = now + Milliseconds(100);
  Happens(0, Click(1, 1));
  EXPECT_EQ(Count(0, "machine_clicks"), 2);
  // The person comes later.
  now = now + kBurstWindow;
  Happens(0, Click(1, 0));
  EXPECT_EQ(ReadBy(1), "machine honeypot, machine burst, human class");
  EXPECT_EQ(Count(0, "clicks"), 1);
  // Before any click, too; and of whom nothing was sent it says nothing.
  now = now + kBurstWindow;
  Happens(0, Of<engagements::HoneypotFollowed>(1), Click(1, 0));
  EXPECT_EQ(Count(0, "machine_clicks"), 3);
  EXPECT_EQ(Count(0, "clicks"), 1);
  Happens(0, Of<engagements::HoneypotFollowed>(99));
  RebuildGivesTheSame();
}

// The journal keeps what the rules look at: a change of them is a rebuild. Here the keys change instead, to the same end.
TEST_F(CampaignTotalsFoldTest, TheSealedAgentCountsAsLongAsItsKeyIsThere) {
  keyring = keys_.ring.get();
  const auto key = keyring->GetOrCreate(TenantId(1), "signals:2026-11").value();
  Create(9);
  Plan(0, verdicts_);
  HandOver(1);
  auto scanner = Click(1);  // its class says a browser, its user agent more
  scanner.set_user_agent(
      schema::Seal(TenantId(1), key, "user_agent", "Mozilla/5.0 (Windows NT 10.0) facebookexternalhit/1.1", keys_.entropy));
  auto forged = Click(1);
  forged.set_user_agent("no box");
  Happens(0, scanner, forged);
  EXPECT_EQ(ReadBy(1), "machine facebook_preview, human class");
  const std::string folded = Digest().ToHex();
  EXPECT_EQ(keyring->Destroy(TenantId(1), "signals:2026-11").value(), 1u);
  bool built = false;
  projection->Rebuild(Projection::Then::kSwitch, [&](Result<RebuildStatus> done) { built = bool(done); });
  executor.Drain();
  ASSERT_TRUE(built);
  EXPECT_EQ(ReadBy(1), "human class, human class");
  EXPECT_EQ(Digest().ToHex(), folded) << "what depends on the journal alone stays";
}

}  // namespace
}  // namespace maily::projections
