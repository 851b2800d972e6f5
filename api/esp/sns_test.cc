// Envelopes of SNS, signed by a key that is made here.
#include "api/esp/sns.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <nlohmann/json.hpp>

#include "streams/base/base64.h"
#include "streams/base/destroy.h"
#include "tests/esp_notices.h"

namespace maily::esp {
namespace {

using nlohmann::json;

const std::string kTopic = "arn:aws:sns:eu-west-1:111122223333:ses-events";
constexpr Instant kNow{1'772'359'260'000'000};  // 2026-03-01T10:01:00Z

// A key of RSA and a certificate of it, valid for a day around kNow.
class Signer {
 public:
  explicit Signer(size_t bits = 2048) : key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", bits)) {
    X509* const certificate = X509_new();
    X509_set_pubkey(certificate, key_.get());
    ASN1_TIME_set(X509_getm_notBefore(certificate), kNow.us / 1'000'000 - 43'200);
    ASN1_TIME_set(X509_getm_notAfter(certificate), kNow.us / 1'000'000 + 43'200);
    X509_sign(certificate, key_.get(), EVP_sha256());
    BIO* const bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio, &text);
    pem_.assign(text, static_cast<size_t>(size));
    BIO_free(bio);
    X509_free(certificate);
  }

  const std::string& pem() const { return pem_; }

  std::string Sign(std::string_view text, const EVP_MD* md) const {
    const std::unique_ptr<EVP_MD_CTX, Destroy<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
    EVP_DigestSignInit(context.get(), nullptr, md, nullptr, key_.get());
    size_t size = 1024;
    std::string signature(size, '\0');
    const auto* const bytes = reinterpret_cast<const uint8_t*>(text.data());
    EXPECT_EQ(EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(signature.data()), &size, bytes, text.size()), 1);
    return ToBase64(signature.substr(0, size));
  }

 private:
  std::unique_ptr<EVP_PKEY, Destroy<EVP_PKEY_free>> key_;
  std::string pem_;
};

const Signer& TheSigner() {
  static const Signer* const signer = new Signer;
  return *signer;
}

// The text that the documentation says is signed, written down once more.
std::string TextToSign(const json& envelope) {
  std::string text;
  for (const char* name : {"Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type"}) {
    if (envelope.contains(name)) text += std::string(name) + "\n" + envelope[name].get<std::string>() + "\n";
  }
  return text;
}

json Signed(const std::string& sample, const Signer& signer = TheSigner()) {
  json envelope = json::parse(test::WebhookBody("esp_sns/" + sample));
  envelope["Signature"] = signer.Sign(TextToSign(envelope), envelope["SignatureVersion"] == "1" ? EVP_sha1() : EVP_sha256());
  return envelope;
}

sns::Trust TrustIn(const Signer& signer, std::vector<std::string>* urls = nullptr) {
  return {.topics = std::span(&kTopic, 1),
          .certificate_at = [&signer, urls](const std::string& url) -> Result<std::string> {
            if (urls != nullptr) urls->push_back(url);
            return signer.pem();
          },
          .window = {kNow, sns::kTolerance}};
}

TEST(Sns, BothVersionsAndAllTypesVerify) {
  for (const char* sample : {"notification", "notification_2", "subscription", "unsubscription"}) {
    std::vector<std::string> urls;
    const auto envelope = sns::Verify(Signed(sample).dump(2), TrustIn(TheSigner(), &urls));
    ASSERT_TRUE(envelope.has_value()) << sample << ": " << envelope.error().ToString();
    EXPECT_EQ(envelope->topic_arn, kTopic);
    EXPECT_EQ(envelope->message_id, "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324");
    EXPECT_EQ(urls, std::vector<std::string>{"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"});
    EXPECT_EQ(envelope->subscribe_url.empty(), envelope->type == sns::Type::kNotification);
  }
  EXPECT_EQ(sns::Verify(Signed("subscription").dump(), TrustIn(TheSigner()))->type, sns::Type::kSubscriptionConfirmation);
  EXPECT_EQ(sns::Verify(Signed("unsubscription").dump(), TrustIn(TheSigner()))->type, sns::Type::kUnsubscribeConfirmation);
}

TEST(Sns, TheTextThatIsSignedIsThatOfTheDocumentation) {
  const json envelope = {{"Type", "Notification"},
                         {"MessageId", "4d4dc071-ddbf-465d-bba8-08f81c89da64"},
                         {"TopicArn", "arn:aws:sns:us-east-2:123456789012:s4-MySNSTopic-1G1WEFCOXTC0P"},
                         {"Subject", "My subject"},
                         {"Message", "My Test Message"},
                         {"Timestamp", "2019-01-31T04:37:04.321Z"},
                         {"SignatureVersion", "2"},
                         {"SigningCertURL", "https://sns.us-east-2.amazonaws.com/x.pem"}};
  const std::string documented =
      "Message\nMy Test Message\nMessageId\n4d4dc071-ddbf-465d-bba8-08f81c89da64\nSubject\nMy "
      "subject\nTimestamp\n2019-01-31T04:37:04.321Z\n"
      "TopicArn\narn:aws:sns:us-east-2:123456789012:s4-MySNSTopic-1G1WEFCOXTC0P\nType\nNotification\n";
  json whole = envelope;
  whole["Signature"] = TheSigner().Sign(documented, EVP_sha256());
  const std::string topic = envelope["TopicArn"];
  sns::Trust trust = TrustIn(TheSigner());
  trust.topics = std::span(&topic, 1);
  trust.window.tolerance = Days(10'000);
  EXPECT_TRUE(sns::Verify(whole.dump(), trust).has_value());
}

TEST(Sns, AChangeOfOneBitIsRefused) {
  for (const char* sample : {"notification", "notification_2", "subscription"}) {
    const json envelope = Signed(sample);
    for (const char* name : {"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type", "SubscribeURL", "Token", "Signature"}) {
      if (!envelope.contains(name)) continue;
      const std::string value = envelope[name];
      for (size_t at = 0; at < value.size(); at += std::max<size_t>(1, value.size() / 40)) {
        for (const int bit : {0, 2, 5}) {
          json changed = envelope;
          std::string other = value;
          other[at] = static_cast<char>(other[at] ^ (1 << bit));
          changed[name] = other;
          const auto result = sns::Verify(changed.dump(-1, ' ', false, json::error_handler_t::replace), TrustIn(TheSigner()));
          ASSERT_FALSE(result.has_value()) << sample << " " << name << " " << at << " " << bit;
          EXPECT_EQ(result.error().code, Code::kInvalid);
        }
      }
    }
    if (envelope["Type"] != "Notification") continue;
    json other = envelope;  // with a subject if it had none, without one if it had one
    if (other.erase("Subject") == 0) other["Subject"] = "";
    EXPECT_FALSE(sns::Verify(other.dump(), TrustIn(TheSigner())).has_value()) << sample;
  }
}

TEST(Sns, AnotherVersionIsAnotherHash) {
  json envelope = Signed("notification");
  for (const char* version : {"2", "0", "3", ""}) {
    envelope["SignatureVersion"] = version;
    EXPECT_FALSE(sns::Verify(envelope.dump(), TrustIn(TheSigner())).has_value()) << version;
  }
}

TEST(Sns, AnotherKeyIsRefused) {
  static const Signer* const other = new Signer;
  EXPECT_FALSE(sns::Verify(Signed("notification", *other).dump(), TrustIn(TheSigner())).has_value());
}

TEST(Sns, OnlyTopicsOfOursAreTaken) {
  sns::Trust trust = TrustIn(TheSigner());
  const std::vector<std::string> topics = {"arn:aws:sns:eu-west-1:999999999999:ses-events", kTopic};
  trust.topics = topics;
  EXPECT_TRUE(sns::Verify(Signed("notification").dump(), trust).has_value());
  trust.topics = std::span(topics).first(1);
  EXPECT_FALSE(sns::Verify(Signed("notification").dump(), trust).has_value());
  trust.topics = {};
  EXPECT_FALSE(sns::Verify(Signed("notification").dump(), trust).has_value());
}

TEST(Sns, OldAndFutureOnesAreRefused) {
  sns::Trust trust = TrustIn(TheSigner());
  const Instant signed_at{1'772'359'203'101'000};
  for (const auto& [away, fits] :
       {std::pair(Seconds(0), true), std::pair(sns::kTolerance, true), std::pair(sns::kTolerance + Microseconds(1), false)}) {
    trust.window.now = signed_at + away;
    EXPECT_EQ(sns::Verify(Signed("notification").dump(), trust).has_value(), fits);
    trust.window.now = signed_at - away;
    EXPECT_EQ(sns::Verify(Signed("notification").dump(), trust).has_value(), fits);
  }
}

TEST(Sns, CertificatesOfOtherPlacesAreNotFetched) {
  for (const char* url :
       {"http://sns.eu-west-1.amazonaws.com/a.pem", "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem",
        "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem", "https://sns.eu-west-1.amazonaws.com@evil.example/a.pem",
        "https://evil.example#sns.eu-west-1.amazonaws.com/a.pem", "https://sns.eu-west-1.amazonaws.com:444/a.pem",
        "https://sns.eu-west-1.amazonaws.com/a.txt", "https://sns.eu-west-1.amazonaws.com/a?b=.pem", "https://sns.a.b.amazonaws.com/a.pem",
        "https://sns..amazonaws.com/a.pem", "https://sns.amazonaws.com/a.pem", "https://xsns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.org/a.pem", "https://sns.eu-west-1.amazonaws.com\\@evil.example/a.pem",
        "HTTPS://sns.eu-west-1.amazonaws.com/a.pem", "https://bucket.s3.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com\n.evil.example/a.pem", "", "https://"}) {
    EXPECT_FALSE(sns::IsCertificateUrl(url)) << url;
    json envelope = Signed("notification");
    envelope["SigningCertURL"] = url;
    std::vector<std::string> urls;
    EXPECT_FALSE(sns::Verify(envelope.dump(), TrustIn(TheSigner(), &urls)).has_value()) << url;
    EXPECT_TRUE(urls.empty()) << url;
  }
  EXPECT_TRUE(sns::IsCertificateUrl("https://sns.us-gov-west-1.amazonaws.com/a.pem"));
  EXPECT_TRUE(sns::IsCertificateUrl("https://sns.cn-north-1.amazonaws.com.cn/a.pem"));
  EXPECT_TRUE(sns::IsUrlOfSns("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"));
}

TEST(Sns, AConfirmationLeadsNowhereElse) {
  json envelope = json::parse(test::WebhookBody("esp_sns/subscription"));
  envelope["SubscribeURL"] = "https://internal.example/admin";
  envelope["Signature"] = TheSigner().Sign(TextToSign(envelope), EVP_sha1());
  EXPECT_FALSE(sns::Verify(envelope.dump(), TrustIn(TheSigner())).has_value());
}

TEST(Sns, CertificatesAreLookedAt) {
  sns::Trust trust = TrustIn(TheSigner());
  const std::string body = Signed("notification").dump();
  for (const std::string& pem : {std::string(), std::string("-----BEGIN CERTIFICATE-----\n"), std::string(100'000, 'x'),
                                 TheSigner().pem().substr(0, TheSigner().pem().size() / 2)}) {
    trust.certificate_at = [&](const std::string&) -> Result<std::string> { return pem; };
    EXPECT_EQ(sns::Verify(body, trust).error().code, Code::kInvalid);
  }
  trust.certificate_at = [](const std::string&) -> Result<std::string> { return Fail(Code::kRetry, "no network"); };
  EXPECT_EQ(sns::Verify(body, trust).error().code, Code::kRetry);  // not a forgery: ask again

  const Signer weak(1024);
  EXPECT_EQ(sns::Verify(Signed("notification", weak).dump(), TrustIn(weak)).error().message,
            "the certificate's RSA key has 1024 bits: 2048 to 8192 are taken");
  // Valid for half a day around now.
  EXPECT_TRUE(PublicKey::OfCertificate(TheSigner().pem(), kNow).has_value());
  EXPECT_FALSE(PublicKey::OfCertificate(TheSigner().pem(), kNow + Hours(13)).has_value());
  EXPECT_FALSE(PublicKey::OfCertificate(TheSigner().pem(), kNow - Hours(13)).has_value());
}

TEST(Sns, WhatIsNoEnvelopeIsRefused) {
  for (const char* body : {"", "{}", "[]", "null", R"({"Type":"Notification"})", R"({"Type":7})", R"({"Type":"Else","Message":"x"})"}) {
    const auto result = sns::Verify(body, TrustIn(TheSigner()));
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, Code::kInvalid);
  }
  const json envelope = Signed("notification");
  for (const auto& [name, value] : envelope.items()) {
    if (name == "UnsubscribeURL") continue;
    for (const json& other : {json(nullptr), json(1), json::array(), json::object(), json(true)}) {
      json changed = envelope;
      changed[name] = other;
      EXPECT_FALSE(sns::Verify(changed.dump(), TrustIn(TheSigner())).has_value()) << name;
    }
  }
}

}  // namespace
}  // namespace maily::esp
