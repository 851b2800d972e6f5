// Tests the read model of sends.
#include "projections/sends/fold.h"

#include "maily/campaigns/v1/events.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace engagements = maily::engagements::v1;
namespace sends = maily::sends::v1;

template <class Event>
Event Of(uint64_t ordinal) {
  Event event;
  event.set_campaign_id(9);
  event.set_ordinal(ordinal);
  return event;
}

class SendsFoldTest : public FoldFixture {
 protected:
  SendsFoldTest() : FoldFixture(ReadModelGroups()[1]) {}
  void Plan() {
    maily::campaigns::v1::AudiencePlanned planned;
    planned.set_campaign_id(9);
    planned.set_first_ordinal(1);
    planned.set_verdicts(std::string("\x00\x40\x41\x80\x02", 5));  // outside, send arm 0, send arm 1, holdout arm 0, suppressed
    Happens(1, planned);
  }
  void Open(uint64_t ordinal, uint32_t attempt) {
    auto opened = Of<sends::AttemptOpened>(ordinal);
    opened.set_attempt(attempt);
    Happens(1, opened);
  }
  static Value Contact(int64_t ordinal) { return Value::Integer((int64_t{1} << 48) + ordinal); }
  Rows Send(int64_t ordinal) { return Ask("send", {tenant_, campaign_, {"contact_id", Contact(ordinal)}}); }
  Rows History(int64_t ordinal) {
    return Ask("send_history", {tenant_, campaign_, {"contact_id", Contact(ordinal)}, {"limit", Value::Integer(100)}});
  }
  Rows Page(const std::string& status, const std::string& reason) {
    return Ask("sends", {tenant_,
                         campaign_,
                         {"after", Value::Integer(0)},
                         {"limit", Value::Integer(100)},
                         {"status", Value::Text(status)},
                         {"reason", Value::Text(reason)}});
  }
  const Parameter tenant_{"tenant", Value::Integer(1)};
  const Parameter campaign_{"campaign_id", Value::Integer(9)};
};

TEST_F(SendsFoldTest, AVerdictByteBecomesARowWithItsReason) {
  Plan();
  EXPECT_EQ(Page("", "").size(), 4u);
  ASSERT_EQ(Page("pending", "").size(), 2u);
  EXPECT_EQ(Page("pending", "").at(1, "arm"), Value::Integer(1));
  EXPECT_EQ(Page("holdout", "holdout").at(0, "contact_id"), Contact(4));
  EXPECT_EQ(Page("skipped", "suppressed").at(0, "arm"), Value::Null());
  EXPECT_EQ(Page("pending", "").at(0, "settled_at_us"), Value::Null());
  EXPECT_EQ(Page("holdout", "").at(0, "settled_at_us"), Value::Integer(now.us));
  EXPECT_EQ(Page("skipped", "").at(0, "settled_at_us"), Value::Integer(now.us));
  EXPECT_TRUE(Send(1).empty());
  EXPECT_EQ(Ask("send_facts", {tenant_, campaign_, {"contact_id", Contact(4)}}).at(0, "status"), Value::Integer(8));
  RebuildGivesTheSame();
}

TEST_F(SendsFoldTest, ADeferredMailIsDeliveredAtItsSecondAttempt) {
  Plan();
  Open(2, 1);
  auto deferred = Of<sends::AttemptDeferred>(2);
  deferred.set_attempt(1);
  deferred.set_reply_code(451);
  deferred.set_retry_at_us(77);
  deferred.set_site("mx.example.com");
  const auto waiting = [&] { return Ask("site_waiting", {{"site", Value::Text("mx.example.com")}}).at(0, "mails"); };
  EXPECT_EQ(waiting(), Value::Integer(0));
  Happens(1, deferred);
  EXPECT_EQ(Send(2).at(0, "status"), Value::Text("waiting"));
  EXPECT_EQ(Send(2).at(0, "retry_at_us"), Value::Integer(77));
  EXPECT_EQ(waiting(), Value::Integer(1));
  Happens(1, Of<sends::RetryDue>(2));
  EXPECT_EQ(waiting(), Value::Integer(0)) << "it is due";
  Open(2, 2);
  auto delivered = Of<sends::AttemptDelivered>(2);
  delivered.set_attempt(2);
  delivered.set_reply_code(250);
  delivered.set_reply_text("ok");
  Happens(1, delivered);
  const Rows send = Send(2);
  EXPECT_EQ(send.at(0, "status"), Value::Text("delivered"));
  EXPECT_EQ(send.at(0, "attempts"), Value::Integer(2));
  EXPECT_EQ(send.at(0, "settled_at_us"), Value::Integer(now.us));
  EXPECT_EQ(send.at(0, "retry_at_us"), Value::Null());
  const Rows history = History(2);
  ASSERT_EQ(history.size(), 5u);
  EXPECT_EQ(history.at(1, "kind"), Value::Text("deferred"));
  EXPECT_EQ(history.at(4, "kind"), Value::Text("delivered"));
  EXPECT_EQ(history.at(4, "detail"), Value::Text("ok"));
  RebuildGivesTheSame();
}

TEST_F(SendsFoldTest, AnUnknownSendIsListedUntilItIsResolved) {
  Plan();
  Open(2, 1);
  Open(3, 1);
  Happens(1, Of<sends::AttemptUnknown>(2), Of<sends::AttemptUnknown>(3));
  const std::vector<Parameter> page = {tenant_, campaign_, {"after", Value::Integer(0)}, {"limit", Value::Integer(10)}};
  EXPECT_EQ(Ask("unknown_sends", page).size(), 2u);
  EXPECT_EQ(Ask("unknown_sends_of_all",
                {tenant_, {"after_campaign_id", Value::Integer(0)}, {"after", Value::Integer(0)}, {"limit", Value::Integer(1)}})
                .size(),
            1u);
  auto yes = Of<sends::UnknownResolved>(2);
  yes.set_delivered(true);
  Happens(1, yes);
  auto no = Of<sends::UnknownResolved>(3);
  no.set_why("not in the sink's list");
  Happens(1, no, Of<sends::RetryDue>(3));
  EXPECT_TRUE(Ask("unknown_sends", page).empty());
  EXPECT_EQ(Send(2).at(0, "status"), Value::Text("delivered"));
  EXPECT_EQ(Send(3).at(0, "status"), Value::Text("waiting"));
  EXPECT_EQ(History(3).at(2, "detail"), Value::Text("not in the sink's list"));
}

TEST_F(SendsFoldTest, WhatComesBackLaterStandsBesideTheStatus) {
  Plan();
  Open(2, 1);
  Happens(1, Of<sends::AttemptDelivered>(2));
  auto bounce = Of<sends::BounceReceived>(2);
  bounce.set_reason("invalid_address");
  bounce.set_rule("code.address");
  bounce.set_status("5.1.1");
  bounce.set_diagnostic("550 5.1.1 no <recipient> here");
  bounce.set_source("smtp");
  Happens(1, bounce);
  auto complaint = Of<sends::ComplaintReceived>(2);
  complaint.set_reason("abuse");
  auto replied = Of<sends::AutoReplied>(2);
  replied.set_reason("auto_reply");
  Happens(1, complaint, replied);
  const Rows send = Send(2);
  EXPECT_EQ(send.at(0, "status"), Value::Text("delivered"));
  EXPECT_EQ(send.at(0, "bounce_reason"), Value::Text("invalid_address"));
  EXPECT_EQ(send.at(0, "bounce_rule"), Value::Text("code.address"));
  EXPECT_NE(send.at(0, "bounced_at_us"), Value::Null());
  EXPECT_NE(send.at(0, "complained_at_us"), Value::Null());
  const Rows history = History(2);
  ASSERT_EQ(history.size(), 5u);
  EXPECT_EQ(history.at(2, "kind"), Value::Text("bounced_later"));
  EXPECT_EQ(history.at(2, "detail"), Value::Text("550 5.1.1 no <recipient> here"));
  EXPECT_EQ(history.at(2, "reason"), Value::Text("invalid_address"));
  EXPECT_EQ(history.at(2, "source"), Value::Text("smtp"));
  EXPECT_EQ(history.at(3, "kind"), Value::Text("complained"));
  EXPECT_EQ(history.at(3, "reason"), Value::Text("abuse"));
  EXPECT_EQ(history.at(4, "kind"), Value::Text("auto_replied"));
  RebuildGivesTheSame();
}

TEST_F(SendsFoldTest, TheNewestBounceSaysWhyInWhateverTransactionsTheyAre) {
  Plan();
  auto later = Of<sends::BounceReceived>(2);
  later.set_reason("mailbox_full");
  auto refused = Of<sends::AttemptBounced>(2);
  refused.set_reason("invalid_address");
  refused.set_rule("code.address");
  Happens(1, later, refused);
  Happens(1, later);
  Happens(1, refused);
  EXPECT_EQ(Send(2).at(0, "bounce_reason"), Value::Text("invalid_address"));
  RebuildGivesTheSame();
  auto of_other = Of<sends::BounceReceived>(3);
  of_other.set_reason("mailbox_full");
  auto refused_other = Of<sends::AttemptBounced>(3);
  refused_other.set_reason("invalid_address");
  Happens(1, of_other, refused_other);
  EXPECT_EQ(Send(3).at(0, "bounce_reason"), Value::Text("invalid_address"));
}

TEST_F(SendsFoldTest, ARefusalIsKeptAsItWasSaidAndAsItIsJudgedNow) {
  Plan();
  auto refused = Of<sends::AttemptBounced>(2);
  refused.set_attempt(1);
  refused.set_reply_code(550);
  refused.set_enhanced_code("5.1.1");
  refused.set_reply_text("no such user");
  refused.set_stage("rcpt");
  refused.set_recipient_invalid(true);
  refused.set_reason("invalid_address");
  refused.set_rule("code.address");
  auto unanswered = Of<sends::AttemptBounced>(3);
  Happens(1, refused, unanswered);
  const auto bounces = [this](int64_t campaign_id, int64_t since, int64_t after) {
    return Ask("bounces", {tenant_,
                           {"campaign_id", Value::Integer(campaign_id)},
                           {"since_at", Value::Integer(since)},
                           {"after_campaign_id", Value::Integer(after == 0 ? 0 : 9)},
                           {"after", after == 0 ? Value::Integer(0) : Contact(after)},
                           {"limit", Value::Integer(10)}});
  };
  const Rows all = bounces(0, 0, 0);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all.at(0, "contact_id"), Contact(2));
  EXPECT_EQ(all.at(0, "stage"), Value::Text("rcpt"));
  EXPECT_EQ(all.at(0, "enhanced_code"), Value::Text("5.1.1"));
  EXPECT_EQ(all.at(0, "hard"), Value::Integer(1));
  EXPECT_EQ(all.at(1, "reply_code"), Value::Null());
  EXPECT_EQ(bounces(9, 0, 2).size(), 1u);
  EXPECT_EQ(bounces(8, 0, 0).size(), 0u);
  EXPECT_EQ(bounces(0, now.us + 1, 0).size(), 0u);
  auto again = Of<sends::BounceReclassified>(2);
  again.mutable_was()->set_rule("code.address");
  again.mutable_now()->set_rule("full.words");
  again.mutable_now()->set_reason("mailbox_full");
  again.set_why("new rules");
  Happens(1, again);
  EXPECT_EQ(bounces(0, 0, 0).at(0, "rule"), Value::Text("full.words"));
  EXPECT_EQ(bounces(0, 0, 0).at(0, "hard"), Value::Integer(0));
  EXPECT_EQ(bounces(0, 0, 0).at(0, "reply_text"), Value::Text("no such user"));
  EXPECT_EQ(Send(2).at(0, "bounce_rule"), Value::Text("full.words"));
  EXPECT_EQ(Send(2).at(0, "status"), Value::Text("bounced"));
  EXPECT_EQ(History(2).at(1, "kind"), Value::Text("bounce_reclassified"));
  EXPECT_EQ(History(2).at(1, "detail"), Value::Text("new rules"));
  RebuildGivesTheSame();
}

TEST_F(SendsFoldTest, SkippedBouncedAndExpiredKeepTheirReasons) {
  Plan();
  auto skipped = Of<sends::SendSkipped>(2);
  skipped.set_reason(maily::campaigns::v1::UNSUBSCRIBED);
  Happens(1, skipped);
  Open(3, 1);
  auto bounced = Of<sends::AttemptBounced>(3);
  bounced.set_attempt(1);
  bounced.set_reply_code(550);
  bounced.set_reply_text("no such user");
  bounced.set_reason("invalid_address");
  bounced.set_rule("code.address");
  Happens(1, bounced);
  EXPECT_EQ(Send(2).at(0, "reason"), Value::Text("unsubscribed"));
  EXPECT_EQ(Send(3).at(0, "status"), Value::Text("bounced"));
  EXPECT_EQ(Send(3).at(0, "reply_text"), Value::Text("no such user"));
  EXPECT_EQ(Send(3).at(0, "bounce_reason"), Value::Text("invalid_address"));
  EXPECT_EQ(History(3).at(1, "rule"), Value::Text("code.address"));
  auto expired = Of<sends::SendExpired>(3);
  Happens(1, expired);
  EXPECT_EQ(Send(3).at(0, "status"), Value::Text("expired"));
  RebuildGivesTheSame();
}

TEST_F(SendsFoldTest, TheHistoryTellsWhatTheContactDidWithTheMail) {
  Plan();
  Open(2, 1);
  Happens(1, Of<sends::AttemptDelivered>(2));
  auto click = Of<engagements::Clicked>(2);
  click.set_link(3);
  click.set_agent(engagements::AGENT_MOBILE);
  auto elsewhere = Of<engagements::Opened>(2);
  elsewhere.set_campaign_id(10);
  Happens(1, click, elsewhere, Of<engagements::Opened>(3));
  const Rows history = History(2);
  ASSERT_EQ(history.size(), 3u);
  EXPECT_EQ(history.at(1, "kind"), Value::Text("delivered"));
  EXPECT_EQ(history.at(1, "agent"), Value::Null());
  EXPECT_EQ(history.at(2, "kind"), Value::Text("click"));
  EXPECT_EQ(history.at(2, "link"), Value::Integer(3));
  EXPECT_EQ(history.at(2, "agent"), Value::Text("mobile"));
  EXPECT_EQ(history.at(2, "at_us"), Value::Integer(now.us));
}

TEST_F(SendsFoldTest, TheLanguageIsThatOfTheLastAttempt) {
  Plan();
  EXPECT_EQ(Send(2).at(0, "locale").type, sql::Type::kNull) << "it was not tried yet";
  auto opened = Of<sends::AttemptOpened>(2);
  opened.set_attempt(1);
  opened.set_locale("de");
  Happens(1, opened);
  EXPECT_EQ(Send(2).at(0, "locale"), Value::Text("de"));
  Open(2, 2);
  EXPECT_EQ(Send(2).at(0, "locale"), Value::Text(""));
  RebuildGivesTheSame();
}

}  // namespace
}  // namespace maily::projections
