// Webhooks of Postmark: each record, and secrets instead of signatures.
#include "api/esp/postmark.h"

#include <gtest/gtest.h>

#include "streams/base/base64.h"
#include "tests/esp_notices.h"

namespace maily::esp {
namespace {

using bounces::Class;
using bounces::Reason;

Notice One(const std::string& name) {
  const auto elements = postmark::Read(test::WebhookBody("esp_postmark/" + name));
  EXPECT_TRUE(elements.has_value()) << elements.error().ToString();
  EXPECT_EQ(test::WrongWith(*elements), "") << name;
  EXPECT_TRUE((*elements)[0].notice.has_value()) << (*elements)[0].notice.error().ToString();
  return *(*elements)[0].notice;
}

Result<Notice> OfType(std::string_view type) {
  auto elements = postmark::Read(fmt::format(
      R"({{"RecordType":"Bounce","ID":1,"Type":"{}","Email":"a@x.example","BouncedAt":"2026-03-01T10:00:00Z","MessageID":"m"}})", type));
  return (*elements)[0].notice;
}

TEST(Postmark, AHardBounceIsRead) {
  const Notice notice = One("hard_bounce");
  EXPECT_EQ(notice.provider, Provider::kPostmark);
  EXPECT_EQ(notice.kind, Kind::kBounced);
  EXPECT_EQ(notice.type, "Bounce");
  EXPECT_EQ(notice.cls, "HardBounce");
  EXPECT_EQ(notice.dedup_id, "bounce/4323372036854775807");  // beyond what a double holds
  EXPECT_EQ(notice.recipient, "anna@customer.example");
  EXPECT_EQ(notice.provider_message_id, "883953f4-6105-42a2-a16a-77a8eac79483");
  EXPECT_EQ(notice.at.us, 1'772'359'202'273'539);  // at -05:00, with a tenth of a microsecond
  EXPECT_EQ(notice.code, 550);
  EXPECT_EQ(notice.status, "5.1.1");
  EXPECT_EQ(notice.verdict.cls, Class::kHard);
}

TEST(Postmark, EachTypeOfBounceHasItsKindAndClass) {
  struct Row {
    const char* type;
    Kind kind;
    Class cls;
  };
  for (const auto& [type, kind, cls] : {Row{"HardBounce", Kind::kBounced, Class::kHard},
                                        {"BadEmailAddress", Kind::kBounced, Class::kHard},
                                        {"SoftBounce", Kind::kBounced, Class::kSoft},
                                        {"Unknown", Kind::kBounced, Class::kSoft},
                                        {"SpamNotification", Kind::kBounced, Class::kSoft},
                                        {"VirusNotification", Kind::kBounced, Class::kSoft},
                                        {"DnsError", Kind::kBounced, Class::kSoft},
                                        {"Blocked", Kind::kBounced, Class::kSoft},
                                        {"DMARCPolicy", Kind::kBounced, Class::kSoft},
                                        {"Transient", Kind::kDeferred, Class::kSoft},
                                        {"AutoResponder", Kind::kAutoReply, Class::kAutoReply},
                                        {"AddressChange", Kind::kAutoReply, Class::kAutoReply},
                                        {"ChallengeVerification", Kind::kAutoReply, Class::kAutoReply},
                                        {"ManuallyDeactivated", Kind::kSuppressed, Class::kNone},
                                        {"SpamComplaint", Kind::kComplained, Class::kComplaint},
                                        {"Unsubscribe", Kind::kUnsubscribed, Class::kSoft},
                                        {"Subscribe", Kind::kResubscribed, Class::kSoft},
                                        {"SMTPApiError", Kind::kRejected, Class::kSoft},
                                        {"TemplateRenderingFailed", Kind::kRejected, Class::kSoft},
                                        {"OpenRelayTest", Kind::kUnknown, Class::kSoft},
                                        {"InboundError", Kind::kUnknown, Class::kSoft},
                                        {"Unconfirmed", Kind::kUnknown, Class::kSoft},
                                        {"NewerThanThis", Kind::kUnknown, Class::kSoft}}) {
    const auto notice = OfType(type);
    ASSERT_TRUE(notice.has_value()) << type;
    EXPECT_EQ(notice->kind, kind) << type;
    EXPECT_EQ(notice->verdict.cls, cls) << type;
    EXPECT_EQ(notice->cls, type);
  }
}

TEST(Postmark, TheWordsOfAProviderAreNotThoseOfTheServer) {
  // Its description says "unknown user" of each hard bounce and "mailbox full" of each soft one.
  EXPECT_EQ(One("soft_bounce").verdict.rule, "postmark.soft_bounce");
  EXPECT_EQ(One("soft_bounce").dedup_id, "bounce/2");
}

TEST(Postmark, OtherRecordsAreRead) {
  EXPECT_EQ(One("transient").kind, Kind::kDeferred);
  EXPECT_EQ(One("auto_responder").kind, Kind::kAutoReply);
  const Notice complaint = One("complaint");
  EXPECT_EQ(complaint.kind, Kind::kComplained);
  EXPECT_EQ(complaint.dedup_id, "bounce/5");
  EXPECT_EQ(complaint.verdict.cls, Class::kComplaint);
  const Notice delivery = One("delivery");
  EXPECT_EQ(delivery.kind, Kind::kDelivered);
  EXPECT_EQ(delivery.recipient, "anna@customer.example");
  const Notice open = One("open");
  EXPECT_EQ(open.kind, Kind::kOpened);
  EXPECT_EQ(open.ip, "203.0.113.9");
  EXPECT_EQ(open.at.us, 1'772'366'400'123'456);
  const Notice click = One("click");
  EXPECT_EQ(click.kind, Kind::kClicked);
  EXPECT_EQ(click.url, "https://shop.example/spring?a=1");
  EXPECT_NE(open.dedup_id, click.dedup_id);
  EXPECT_EQ(open.dedup_id, One("open").dedup_id);
}

TEST(Postmark, SubscriptionsGoEitherWay) {
  EXPECT_EQ(One("subscription_out").kind, Kind::kUnsubscribed);
  const Notice in = One("subscription_in");
  EXPECT_EQ(in.kind, Kind::kResubscribed);
  EXPECT_EQ(in.provider_message_id, "");
  const Notice bounced = One("subscription_bounce");
  EXPECT_EQ(bounced.kind, Kind::kSuppressed);
  EXPECT_EQ(bounced.verdict.cls, Class::kHard);
}

TEST(Postmark, UnknownRecordsAreKeptAndBadOnesAreErrors) {
  const Notice notice = One("inbound");
  EXPECT_EQ(notice.kind, Kind::kUnknown);
  EXPECT_EQ(notice.type, "Inbound");
  EXPECT_FALSE(postmark::Read("").has_value());
  for (const char* body : {"[]", "{}", "7", R"({"RecordType":"Open"})", R"({"RecordType":"Open","ReceivedAt":"2026-03-01T10:00:00Z"})",
                           R"({"RecordType":"SubscriptionChange","Recipient":"a@x.example","ChangedAt":"2026-03-01T10:00:00Z"})"}) {
    const auto elements = postmark::Read(body);
    ASSERT_TRUE(elements.has_value()) << body;
    EXPECT_FALSE((*elements)[0].notice.has_value()) << body;
  }
}

TEST(Secrets, WhateverIsConfiguredHasToFit) {
  const Secret both{.user = "postmark", .password = "0123456789abcdef", .in_url = "fedcba9876543210"};
  const std::string basic = "Basic " + ToBase64("postmark:0123456789abcdef");
  EXPECT_TRUE(postmark::Verify({basic, "fedcba9876543210"}, both).has_value());
  EXPECT_TRUE(postmark::Verify({"bAsIc  " + ToBase64("postmark:0123456789abcdef"), "fedcba9876543210"}, both).has_value());
  EXPECT_FALSE(postmark::Verify({basic, ""}, both).has_value());
  EXPECT_FALSE(postmark::Verify({"", "fedcba9876543210"}, both).has_value());
  EXPECT_FALSE(postmark::Verify({basic, "fedcba9876543211"}, both).has_value());
  EXPECT_FALSE(postmark::Verify({"Bearer " + ToBase64("postmark:0123456789abcdef"), "fedcba9876543210"}, both).has_value());
  EXPECT_TRUE(postmark::Verify({"", "fedcba9876543210"}, {.in_url = "fedcba9876543210"}).has_value());
  EXPECT_TRUE(postmark::Verify({basic, ""}, {.user = "postmark", .password = "0123456789abcdef"}).has_value());
  for (size_t bit = 0; bit < basic.size() * 8; ++bit) {
    std::string other = basic;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
    if (bit / 8 < 5 && bit % 8 == 5) continue;  // a letter of the scheme in the other case
    EXPECT_FALSE(postmark::Verify({other, "fedcba9876543210"}, both).has_value()) << bit;
  }
}

TEST(Secrets, NoneAndShortOnesFitNothing) {
  EXPECT_FALSE(postmark::Verify({}, {}).has_value());
  EXPECT_FALSE(postmark::Verify({"Basic " + ToBase64(":"), ""}, {}).has_value());
  EXPECT_FALSE(postmark::Verify({"", "short"}, {.in_url = "short"}).has_value());
  EXPECT_FALSE(postmark::Verify({"Basic " + ToBase64("u:p"), ""}, {.user = "u", .password = "p"}).has_value());
  EXPECT_FALSE(
      postmark::Verify({"Basic " + ToBase64("a:b:0123456789abcdef"), ""}, {.user = "a:b", .password = "0123456789abcdef"}).has_value());
  EXPECT_FALSE(postmark::Verify({"Basic " + ToBase64(":0123456789abcdef"), ""}, {.password = "0123456789abcdef"}).has_value());
}

}  // namespace
}  // namespace maily::esp
