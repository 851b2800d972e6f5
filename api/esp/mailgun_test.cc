// Webhooks of Mailgun: signatures that another program computed, and each event.
#include "api/esp/mailgun.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/esp_notices.h"

namespace maily::esp {
namespace {

using bounces::Class;
using bounces::Reason;
using nlohmann::json;

// The samples are signed under this key, by hmac of Python: Mailgun publishes no key with its examples.
constexpr const char* kKey = "key-5b3c2f9d8e7a6b5c4d3e2f1a0b9c8d7e";
constexpr const char* kToken = "e0b5477167110d68991efc6b9f89f0a11066af27834600e123";
constexpr Window kThen{Instant{1'772'359'203'000'000}, mailgun::kTolerance};

Notice One(const std::string& name) {
  const auto elements = mailgun::Read(test::WebhookBody("esp_mailgun/" + name));
  EXPECT_TRUE(elements.has_value()) << elements.error().ToString();
  EXPECT_EQ(test::WrongWith(*elements), "") << name;
  EXPECT_TRUE((*elements)[0].notice.has_value()) << (*elements)[0].notice.error().ToString();
  return *(*elements)[0].notice;
}

TEST(Mailgun, ASignatureVerifiesAndGivesItsToken) {
  const auto token = mailgun::Verify(test::WebhookBody("esp_mailgun/delivered"), kKey, kThen);
  ASSERT_TRUE(token.has_value()) << token.error().ToString();
  EXPECT_EQ(*token, kToken);
  EXPECT_EQ(One("delivered").replay_token, kToken);
}

TEST(Mailgun, ASignatureOfTheParentAccountVerifies) {
  json body = json::parse(test::WebhookBody("esp_mailgun/delivered"));
  body["signature"]["parent-signature"] = body["signature"]["signature"];
  body["signature"]["signature"] = std::string(64, '0');
  EXPECT_TRUE(mailgun::Verify(body.dump(), kKey, kThen).has_value());
}

TEST(Mailgun, AChangeOfOneBitIsRefused) {
  const json body = json::parse(test::WebhookBody("esp_mailgun/delivered"));
  const Window wide{kThen.now, Days(100'000)};
  for (const char* name : {"timestamp", "token", "signature"}) {
    const std::string value = body["signature"][name];
    for (size_t bit = 0; bit < value.size() * 8; ++bit) {
      if (bit % 8 == 7) continue;  // no ASCII, and so no JSON
      json changed = body;
      std::string other = value;
      other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
      changed["signature"][name] = other;
      ASSERT_FALSE(mailgun::Verify(changed.dump(), kKey, wide).has_value()) << name << " " << bit;
    }
  }
  EXPECT_FALSE(mailgun::Verify(body.dump(), "key-5b3c2f9d8e7a6b5c4d3e2f1a0b9c8d7f", kThen).has_value());
  EXPECT_FALSE(mailgun::Verify(body.dump(), "", kThen).has_value());
}

TEST(Mailgun, OldAndFutureSignaturesAreRefused) {
  const std::string body = test::WebhookBody("esp_mailgun/delivered");
  for (const auto& [away, fits] : {std::pair(Seconds(300), true), std::pair(Seconds(301), false)}) {
    EXPECT_EQ(mailgun::Verify(body, kKey, {kThen.now + away, mailgun::kTolerance}).has_value(), fits);
    EXPECT_EQ(mailgun::Verify(body, kKey, {kThen.now - away, mailgun::kTolerance}).has_value(), fits);
  }
  EXPECT_EQ(mailgun::Verify(body, kKey, {kThen.now + Seconds(301), mailgun::kTolerance}).error().message,
            "it was signed 301 s ago, at most 300 s are taken");
}

TEST(Mailgun, BodiesWithoutASignatureAreRefused) {
  for (const char* body : {"", "{}", "[]", R"({"signature":7})", R"({"signature":{"timestamp":"1772359203"}})",
                           R"({"signature":{"timestamp":"1772359203","token":"","signature":""}})",
                           R"({"signature":{"timestamp":{},"token":[],"signature":null}})"}) {
    EXPECT_EQ(mailgun::Verify(body, kKey, kThen).error().code, Code::kInvalid) << body;
  }
}

TEST(Mailgun, FailuresArePermanentTemporaryOrSuppressed) {
  const Notice permanent = One("failed_permanent");
  EXPECT_EQ(permanent.kind, Kind::kBounced);
  EXPECT_EQ(permanent.type, "failed");
  EXPECT_EQ(permanent.cls, "permanent");
  EXPECT_EQ(permanent.subclass, "bounce");
  EXPECT_EQ(permanent.code, 550);
  EXPECT_EQ(permanent.status, "5.1.1");
  EXPECT_EQ(permanent.remote_mta, "mx.customer.example");
  EXPECT_EQ(permanent.verdict.cls, Class::kHard);
  EXPECT_EQ(permanent.message_id, "1.0abc.send@mail.shop.example");
  EXPECT_EQ(permanent.at.us, 1'772'359'202'908'181);
  EXPECT_EQ(permanent.dedup_id, "CPgfbmQMTCKtHW6uIWtuVe/20513");
  const Notice temporary = One("failed_temporary");
  EXPECT_EQ(temporary.kind, Kind::kDeferred);
  EXPECT_EQ(temporary.verdict.reason, Reason::kMailboxFull);
  const Notice suppressed = One("failed_suppressed");
  EXPECT_EQ(suppressed.kind, Kind::kSuppressed);
  EXPECT_EQ(suppressed.code, 0);  // 605 is no code of SMTP
  EXPECT_EQ(suppressed.verdict.cls, Class::kHard);
}

TEST(Mailgun, OtherEventsAreRead) {
  EXPECT_EQ(One("accepted").kind, Kind::kAccepted);
  EXPECT_EQ(One("delivered").kind, Kind::kDelivered);
  EXPECT_EQ(One("delivered").code, 250);
  EXPECT_EQ(One("complained").kind, Kind::kComplained);
  EXPECT_EQ(One("complained").verdict.cls, Class::kComplaint);
  EXPECT_EQ(One("unsubscribed").kind, Kind::kUnsubscribed);
  EXPECT_EQ(One("rejected").kind, Kind::kRejected);
  EXPECT_EQ(One("rejected").subclass, "Sandbox subdomains are for test purposes only.");
  const Notice open = One("opened");
  EXPECT_EQ(open.kind, Kind::kOpened);
  EXPECT_TRUE(open.machine_open);
  EXPECT_EQ(open.ip, "203.0.113.9");
  const Notice click = One("clicked");
  EXPECT_EQ(click.kind, Kind::kClicked);
  EXPECT_FALSE(click.machine_open);
  EXPECT_EQ(click.url, "https://shop.example/spring?a=1");
}

TEST(Mailgun, UnknownEventsAreKeptAndBadOnesAreErrors) {
  const Notice notice = One("list_member");
  EXPECT_EQ(notice.kind, Kind::kUnknown);
  EXPECT_EQ(notice.type, "list_member_uploaded");
  EXPECT_FALSE(mailgun::Read("").has_value());
  EXPECT_FALSE(mailgun::Read("[]").has_value());
  for (const char* body : {"{}", R"({"event-data":[]})", R"({"event-data":{}})", R"({"event-data":{"event":"opened"}})",
                           R"({"event-data":{"event":"opened","timestamp":1772359202.5}})",
                           R"({"event-data":{"event":"opened","timestamp":-1,"recipient":"a@x.example"}})"}) {
    const auto elements = mailgun::Read(body);
    ASSERT_TRUE(elements.has_value()) << body;
    EXPECT_FALSE((*elements)[0].notice.has_value()) << body;
  }
}

}  // namespace
}  // namespace maily::esp
