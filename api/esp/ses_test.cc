// Both shapes of SES, each type.
#include "api/esp/ses.h"

#include <gtest/gtest.h>

#include "tests/esp_notices.h"

namespace maily::esp {
namespace {

using bounces::Class;
using bounces::Reason;

constexpr const char* kSesId = "0102018f3c5a7b1e-5d0f7d2a-8c1b-4f5e-9d3a-1b2c3d4e5f60-000000";
constexpr int64_t kTenUs = 1'772'359'200'000'000;  // 2026-03-01T10:00:00Z

Elements ReadSample(const std::string& name) {
  auto elements = ses::Read(test::WebhookBody("esp_ses/" + name));
  EXPECT_TRUE(elements.has_value()) << elements.error().ToString();
  EXPECT_EQ(test::WrongWith(*elements), "") << name;
  return *elements;
}

Notice One(const std::string& name) {
  const Elements elements = ReadSample(name);
  EXPECT_EQ(elements.size(), 1u) << name;
  EXPECT_TRUE(elements[0].notice.has_value()) << elements[0].notice.error().ToString();
  const Notice notice = *elements[0].notice;
  EXPECT_EQ(notice.provider, Provider::kSes);
  return notice;
}

TEST(Ses, BothShapesOfABounceAreTheSameEvent) {
  const Notice notification = One("bounce_notification");
  const Notice event = One("bounce_event");
  EXPECT_EQ(notification.dedup_id, event.dedup_id);
  for (const Notice& notice : {notification, event}) {
    EXPECT_EQ(notice.kind, Kind::kBounced);
    EXPECT_EQ(notice.type, "Bounce");
    EXPECT_EQ(notice.cls, "Permanent");
    EXPECT_EQ(notice.subclass, "General");
    EXPECT_EQ(notice.recipient, "anna@customer.example");
    EXPECT_EQ(notice.provider_message_id, kSesId);
    EXPECT_EQ(notice.message_id, "1.0abc.send@mail.shop.example");
    EXPECT_EQ(notice.at.us, kTenUs + 2'669'000);
    EXPECT_EQ(notice.status, "5.1.1");
    EXPECT_EQ(notice.code, 550);
    EXPECT_EQ(notice.remote_mta, "b224-11.smtp-out.eu-west-1.amazonses.com");
    EXPECT_EQ(notice.verdict.cls, Class::kHard);
    EXPECT_EQ(notice.verdict.reason, Reason::kInvalidAddress);
  }
}

TEST(Ses, BothShapesOfAComplaintAndOfADeliveryAreReadAlike) {
  for (const char* type : {"complaint", "delivery"}) {
    const Notice notification = One(std::string(type) + "_notification");
    const Notice event = One(std::string(type) + "_event");
    EXPECT_EQ(notification.dedup_id, event.dedup_id);
    EXPECT_EQ(notification.kind, event.kind);
    EXPECT_EQ(notification.recipient, "anna@customer.example");
  }
  const Notice complaint = One("complaint_event");
  EXPECT_EQ(complaint.kind, Kind::kComplained);
  EXPECT_EQ(complaint.cls, "abuse");
  EXPECT_EQ(complaint.verdict.cls, Class::kComplaint);
  const Notice delivery = One("delivery_event");
  EXPECT_EQ(delivery.kind, Kind::kDelivered);
  EXPECT_EQ(delivery.code, 250);
  EXPECT_EQ(delivery.diagnostic, "250 2.6.0 Message received");
  EXPECT_EQ(delivery.at.us, kTenUs + 1'250'000);
}

TEST(Ses, EachRecipientHasItsOwnNoticeAndABadOneStopsNoOther) {
  const Elements elements = ReadSample("bounce_several");
  ASSERT_EQ(elements.size(), 4u);
  ASSERT_TRUE(elements[0].notice.has_value());
  EXPECT_EQ(elements[0].notice->verdict.cls, Class::kHard);
  EXPECT_FALSE(elements[1].notice.has_value());
  EXPECT_EQ(elements[1].position, 1u);
  EXPECT_EQ(elements[1].notice.error().message, "emailAddress is no string");
  ASSERT_TRUE(elements[2].notice.has_value());
  EXPECT_EQ(elements[2].notice->recipient, "bert@customer.example");
  EXPECT_EQ(elements[2].notice->verdict.reason, Reason::kMailboxFull);
  EXPECT_EQ(elements[2].notice->verdict.cls, Class::kSoft);
  ASSERT_TRUE(elements[3].notice.has_value());
  EXPECT_EQ(elements[3].notice->verdict.rule, "ses.permanent");  // nothing was said
  EXPECT_NE(elements[0].notice->dedup_id, elements[2].notice->dedup_id);
}

TEST(Ses, WhatTheServerSaidCountsMoreThanTheClass) {
  const Notice spam = One("bounce_spam");
  EXPECT_EQ(spam.cls, "Permanent");
  EXPECT_EQ(spam.verdict.cls, Class::kSoft);
  const Notice full = One("bounce_full");
  EXPECT_EQ(full.verdict.rule, "ses.mailbox_full");
  EXPECT_EQ(full.verdict.cls, Class::kSoft);
}

TEST(Ses, AnAddressOnTheSuppressionListWasNotSentTo) {
  const Notice notice = One("bounce_suppressed");
  EXPECT_EQ(notice.kind, Kind::kSuppressed);
  EXPECT_EQ(notice.verdict.cls, Class::kHard);
  EXPECT_EQ(notice.verdict.rule, "ses.account_suppression_list");
}

TEST(Ses, AReportThatIsNoComplaintIsNone) {
  const Notice notice = One("complaint_not_spam");
  EXPECT_EQ(notice.kind, Kind::kReported);
  EXPECT_EQ(notice.verdict.cls, Class::kNone);
}

TEST(Ses, ARedactedComplaintIsKnownByItsMail) {
  const Notice notice = One("complaint_redacted");
  EXPECT_EQ(notice.kind, Kind::kComplained);
  EXPECT_EQ(notice.recipient, "");
  EXPECT_EQ(notice.message_id, "1.0abc.send@mail.shop.example");
}

TEST(Ses, WhatIsNotSentIsRejected) {
  EXPECT_EQ(One("send").kind, Kind::kAccepted);
  EXPECT_EQ(One("send").at.us, kTenUs);
  EXPECT_EQ(One("reject").kind, Kind::kRejected);
  EXPECT_EQ(One("reject").diagnostic, "Bad content");
  const Notice failure = One("rendering_failure");
  EXPECT_EQ(failure.kind, Kind::kRejected);
  EXPECT_EQ(failure.type, "Rendering Failure");
  EXPECT_TRUE(failure.diagnostic.starts_with("Attribute 'first_name'"));
}

TEST(Ses, ADelayIsStillTried) {
  const Notice notice = One("delivery_delay");
  EXPECT_EQ(notice.kind, Kind::kDeferred);
  EXPECT_EQ(notice.cls, "TransientCommunicationFailure");
  EXPECT_EQ(notice.status, "4.4.1");
  EXPECT_EQ(notice.code, 421);
  EXPECT_EQ(notice.verdict.cls, Class::kSoft);
}

TEST(Ses, OpensAndClicksHaveTheirCircumstances) {
  const Notice open = One("open");
  EXPECT_EQ(open.kind, Kind::kOpened);
  EXPECT_EQ(open.ip, "203.0.113.9");
  EXPECT_TRUE(open.user_agent.starts_with("Mozilla/5.0 (iPhone"));
  const Notice click = One("click");
  EXPECT_EQ(click.kind, Kind::kClicked);
  EXPECT_EQ(click.url, "https://shop.example/spring?a=1&b=%C3%A4");
  EXPECT_EQ(click.at.us, kTenUs + 7'209'570'000);
}

TEST(Ses, AnOpenOfAMailToSeveralIsNobodys) {
  const auto elements = ses::Read(
      R"({"eventType":"Open","mail":{"messageId":"m1","destination":["a@x.example","b@x.example"]},"open":{"timestamp":"2026-03-01T10:00:00Z"}})");
  ASSERT_TRUE(elements.has_value());
  ASSERT_EQ(elements->size(), 1u);
  EXPECT_EQ((*elements)[0].notice->recipient, "");
  EXPECT_EQ((*elements)[0].notice->provider_message_id, "m1");
}

TEST(Ses, SubscriptionsGoEitherWay) {
  EXPECT_EQ(One("subscription_out").kind, Kind::kUnsubscribed);
  EXPECT_EQ(One("subscription_topic_out").kind, Kind::kUnsubscribed);
  EXPECT_EQ(One("subscription_in").kind, Kind::kResubscribed);
}

TEST(Ses, UnknownTypesAreKept) {
  const Notice notice = One("topic_notice");
  EXPECT_EQ(notice.kind, Kind::kUnknown);
  EXPECT_EQ(notice.type, "AmazonSnsSubscriptionSucceeded");
  EXPECT_NE(notice.raw.find("successfully subscribed"), std::string::npos);
  EXPECT_EQ(One("topic_text").type, "TopicValidated");
  const auto later = ses::Read(R"({"eventType":"Teleported","mail":{"messageId":"m1"}})");
  ASSERT_TRUE(later.has_value());
  EXPECT_EQ((*later)[0].notice->type, "Teleported");
}

TEST(Ses, WhatIsNoEventIsAnError) {
  for (const char* body : {"", "[]", "{}", "17", "null", "Hello", R"({"eventType":7})", R"({"eventType":""})"})
    EXPECT_FALSE(ses::Read(body).has_value()) << body;
  // An event without a time or without anybody is one bad element.
  for (const char* body :
       {R"({"eventType":"Bounce"})", R"({"eventType":"Send","mail":{"timestamp":"yesterday","destination":["a@x.example"]}})",
        R"({"eventType":"Send","mail":{"timestamp":"2026-03-01T10:00:00Z"}})",
        R"({"eventType":"Send","mail":{"timestamp":"2026-03-01T10:00:00Z","destination":"a@x.example"}})"}) {
    const auto elements = ses::Read(body);
    ASSERT_TRUE(elements.has_value()) << body;
    ASSERT_EQ(elements->size(), 1u) << body;
    EXPECT_FALSE((*elements)[0].notice.has_value()) << body;
  }
}

TEST(Ses, DedupIdsHoldNoAddress) {
  for (const char* name : {"bounce_event", "complaint_event", "delivery_event", "open", "click", "send"})
    EXPECT_EQ(One(name).dedup_id.find("anna"), std::string::npos) << name;
  EXPECT_NE(One("open").dedup_id, One("click").dedup_id);
}

}  // namespace
}  // namespace maily::esp
