// The Event Webhook of SendGrid: its published example of a signature, keys made here, and each event.
#include "api/esp/sendgrid.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <random>

#include "streams/base/base64.h"
#include "streams/base/destroy.h"
#include "tests/esp_notices.h"

namespace maily::esp {
namespace {

using bounces::Class;
using bounces::Reason;

// The example that SendGrid's libraries are tested with.
constexpr const char* kPublishedKey =
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";
constexpr const char* kPublishedSignature =
    "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=";
constexpr const char* kPublishedTimestamp = "1600112502";
constexpr Window kThen{Instant{1'600'112'502'000'000}, Seconds(0)};

struct Signer {
  std::unique_ptr<EVP_PKEY, Destroy<EVP_PKEY_free>> key;
  explicit Signer(const char* curve) : key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve)) {}

  std::string PublicBase64() const {
    uint8_t* der = nullptr;
    const int size = i2d_PUBKEY(key.get(), &der);
    std::string text = ToBase64({reinterpret_cast<const char*>(der), static_cast<size_t>(size)});
    OPENSSL_free(der);
    return text;
  }
  std::string Sign(std::string_view text) const {
    const std::unique_ptr<EVP_MD_CTX, Destroy<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
    EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get());
    size_t size = 256;
    std::string signature(size, '\0');
    EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(signature.data()), &size, reinterpret_cast<const uint8_t*>(text.data()),
                   text.size());
    return ToBase64(signature.substr(0, size));
  }
};

Elements ReadSample(const std::string& name) {
  auto elements = sendgrid::Read(test::WebhookBody("esp_sendgrid/" + name));
  EXPECT_TRUE(elements.has_value()) << elements.error().ToString();
  EXPECT_EQ(test::WrongWith(*elements), "") << name;
  return *elements;
}

TEST(SendGrid, ThePublishedSignatureVerifies) {
  const auto key = PublicKey::OfP256(kPublishedKey);
  ASSERT_TRUE(key.has_value());
  const std::string body = test::WebhookBody("esp_sendgrid/vector");
  ASSERT_TRUE(body.ends_with("\r\n"));
  EXPECT_TRUE(sendgrid::Verify(body, {kPublishedSignature, kPublishedTimestamp}, *key, kThen).has_value());
  EXPECT_FALSE(sendgrid::Verify(body.substr(0, body.size() - 2), {kPublishedSignature, kPublishedTimestamp}, *key, kThen).has_value());
  EXPECT_FALSE(sendgrid::Verify(body, {kPublishedSignature, "1600112503"}, *key, {Instant{1'600'112'503'000'000}, Hours(1)}).has_value());
}

TEST(SendGrid, AChangeOfOneBitIsRefused) {
  const auto key = PublicKey::OfP256(kPublishedKey);
  const std::string body = test::WebhookBody("esp_sendgrid/vector");
  const Window wide{kThen.now, Days(100'000)};
  for (size_t at = 0; at < body.size() * 8; at += 7) {
    std::string other = body;
    other[at / 8] = static_cast<char>(other[at / 8] ^ (1 << at % 8));
    ASSERT_FALSE(sendgrid::Verify(other, {kPublishedSignature, kPublishedTimestamp}, *key, wide).has_value()) << at;
  }
  for (size_t at = 0; at < std::string_view(kPublishedSignature).size() * 8; ++at) {
    std::string other = kPublishedSignature;
    other[at / 8] = static_cast<char>(other[at / 8] ^ (1 << at % 8));
    ASSERT_FALSE(sendgrid::Verify(body, {other, kPublishedTimestamp}, *key, wide).has_value()) << at;
  }
  for (size_t at = 0; at < std::string_view(kPublishedTimestamp).size() * 8; ++at) {
    std::string other = kPublishedTimestamp;
    other[at / 8] = static_cast<char>(other[at / 8] ^ (1 << at % 8));
    ASSERT_FALSE(sendgrid::Verify(body, {kPublishedSignature, other}, *key, wide).has_value()) << at;
  }
}

TEST(SendGrid, AKeyMadeHereSignsAndAnotherDoesNot) {
  const Signer signer("P-256");
  const Signer other("P-256");
  const auto key = PublicKey::OfP256(signer.PublicBase64());
  ASSERT_TRUE(key.has_value());
  const std::string body = test::WebhookBody("esp_sendgrid/all");
  const Window window{Instant{1'772'359'210'000'000}, sendgrid::kTolerance};
  EXPECT_TRUE(sendgrid::Verify(body, {signer.Sign("1772359203" + body), "1772359203"}, *key, window).has_value());
  EXPECT_FALSE(sendgrid::Verify(body, {other.Sign("1772359203" + body), "1772359203"}, *key, window).has_value());
  EXPECT_FALSE(sendgrid::Verify(body, {"", "1772359203"}, *key, window).has_value());
  EXPECT_FALSE(sendgrid::Verify(body, {std::string(100'000, 'A'), "1772359203"}, *key, window).has_value());
  const std::string old = "1772269200";  // 25 h and 10 s before
  EXPECT_FALSE(sendgrid::Verify(body, {signer.Sign(old + body), old}, *key, window).has_value());
  const std::string future = "1772449211";
  EXPECT_FALSE(sendgrid::Verify(body, {signer.Sign(future + body), future}, *key, window).has_value());
}

TEST(SendGrid, KeysOfOtherKindsAreRefused) {
  EXPECT_TRUE(
      PublicKey::OfP256("-----BEGIN PUBLIC KEY-----\r\n" + std::string(kPublishedKey) + "\r\n-----END PUBLIC KEY-----\r\n").has_value());
  EXPECT_FALSE(PublicKey::OfP256(Signer("P-384").PublicBase64()).has_value());
  EXPECT_FALSE(PublicKey::OfP256(Signer("secp256k1").PublicBase64()).has_value());
  for (const std::string& text : {std::string(), std::string("MFkw"), std::string(kPublishedKey) + "AAAA", std::string(5000, 'A')})
    EXPECT_FALSE(PublicKey::OfP256(text).has_value());
}

TEST(SendGrid, EachEventHasItsKind) {
  const Elements elements = ReadSample("all");
  const Kind kinds[] = {Kind::kAccepted,   Kind::kDeferred,   Kind::kDelivered,    Kind::kOpened,       Kind::kClicked,     Kind::kBounced,
                        Kind::kSuppressed, Kind::kComplained, Kind::kUnsubscribed, Kind::kUnsubscribed, Kind::kResubscribed};
  ASSERT_EQ(elements.size(), std::size(kinds));
  for (size_t i = 0; i < elements.size(); ++i) {
    ASSERT_TRUE(elements[i].notice.has_value()) << i;
    const Notice& notice = *elements[i].notice;
    EXPECT_EQ(KindName(notice.kind), std::string(KindName(kinds[i])));
    EXPECT_EQ(notice.recipient, "anna@customer.example");
    EXPECT_EQ(notice.message_id, "1.0abc.send@mail.shop.example");
    EXPECT_EQ(notice.provider_message_id, "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0");
    EXPECT_EQ(notice.dedup_id, "ZXZlbnQt" + notice.type);
    EXPECT_EQ(notice.at.us, 1'772'359'202'000'000);
  }
  const Notice& deferred = *elements[1].notice;
  EXPECT_EQ(deferred.code, 451);
  EXPECT_EQ(deferred.status, "4.7.1");
  EXPECT_EQ(elements[2].notice->code, 250);
  EXPECT_TRUE(elements[3].notice->machine_open);
  EXPECT_FALSE(elements[4].notice->machine_open);
  EXPECT_EQ(elements[4].notice->url, "https://shop.example/spring?a=1");
  const Notice& bounce = *elements[5].notice;
  EXPECT_EQ(bounce.cls, "bounce");
  EXPECT_EQ(bounce.subclass, "Invalid Address");
  EXPECT_EQ(bounce.verdict.cls, Class::kHard);
  EXPECT_EQ(elements[7].notice->verdict.cls, Class::kComplaint);
}

TEST(SendGrid, DroppedIsSuppressedIfTheRecipientIsTheReason) {
  const Elements elements = ReadSample("dropped");
  ASSERT_EQ(elements.size(), 6u);
  EXPECT_EQ(elements[0].notice->verdict.cls, Class::kHard);
  EXPECT_EQ(elements[1].notice->verdict.reason, Reason::kOptOut);
  EXPECT_EQ(elements[2].notice->verdict.cls, Class::kComplaint);
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(elements[i].notice->kind, i < 3 ? Kind::kSuppressed : Kind::kRejected) << i;
}

TEST(SendGrid, ABadElementStopsNoOther) {
  const Elements elements = ReadSample("bad_between");
  ASSERT_EQ(elements.size(), 6u);
  const char* const errors[] = {
      "", "the event is no object", "email is no string", "timestamp is no time", "event is missing, or no string", ""};
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(elements[i].position, i);
    EXPECT_EQ(elements[i].notice.has_value() ? "" : elements[i].notice.error().message, errors[i]);
  }
}

TEST(SendGrid, UnknownEventsAreKept) {
  const Elements elements = ReadSample("account");
  const Notice& notice = *elements[0].notice;
  EXPECT_EQ(notice.kind, Kind::kUnknown);
  EXPECT_EQ(notice.type, "account_status_change");
  EXPECT_EQ(notice.dedup_id, "MjEzNTg5OTcyOC10ZXJtaW5hdGU");
  EXPECT_NE(notice.raw.find("compliance_suspend"), std::string::npos);
}

TEST(SendGrid, AClassificationDecidesIfTheWordsDoNot) {
  for (const auto& [classification, cls] : {std::pair("Invalid Address", Class::kHard), std::pair("Reputation", Class::kSoft),
                                            std::pair("Mailbox Unavailable", Class::kSoft), std::pair("", Class::kSoft)}) {
    const std::string body = fmt::format(
        R"([{{"email":"a@x.example","timestamp":1772359202,"event":"bounce","sg_event_id":"1","reason":"550","type":"bounce","bounce_classification":"{}"}}])",
        classification);
    const auto elements = sendgrid::Read(body);
    ASSERT_TRUE(elements.has_value());
    EXPECT_EQ((*elements)[0].notice->verdict.cls, cls) << classification;
  }
}

TEST(SendGrid, WithoutAnIdTheElementIsItsId) {
  const auto read = [](const char* more) {
    return (*sendgrid::Read(fmt::format(R"([{{"email":"a@x.example","timestamp":1,"event":"delivered"{}}}])", more)))[0].notice->dedup_id;
  };
  EXPECT_EQ(read(""), read(""));
  EXPECT_NE(read(""), read(R"(,"x":1)"));
  EXPECT_EQ(read("").size(), 64u);
}

}  // namespace
}  // namespace maily::esp
