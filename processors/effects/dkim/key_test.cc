// Keys: what is taken, what is refused and what is said then, and the records for DNS.
#include "processors/effects/dkim/key.h"

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <random>

#include "processors/effects/dkim/fixture.h"

namespace maily::dkim {
namespace {

// Takes over `key`. With a passphrase if it is not empty.
std::string Pem(EVP_PKEY* key, std::string passphrase = {}) {
  BIO* bio = BIO_new(BIO_s_mem());
  EXPECT_EQ(PEM_write_bio_PKCS8PrivateKey(bio, key, passphrase.empty() ? nullptr : EVP_aes_128_cbc(), passphrase.data(),
                                          static_cast<int>(passphrase.size()), nullptr, nullptr),
            1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio, &text);
  std::string pem(text, static_cast<size_t>(size));
  BIO_free_all(bio);
  EVP_PKEY_free(key);
  return pem;
}

std::string Refusal(std::string_view pem) {
  const auto key = PrivateKey::Parse(pem);
  if (key) return "taken";
  EXPECT_EQ(key.error().code, Code::kInvalid);
  return key.error().message;
}

#define EXPECT_SAYS(text, words) EXPECT_NE((text).find(words), std::string::npos) << (text)

TEST(DkimKey, RecordsOfKnownKeys) {
  const auto rsa = PrivateKey::Parse(kRfcRsaPem);
  ASSERT_TRUE(rsa.has_value()) << rsa.error().ToString();
  EXPECT_EQ(rsa->algorithm(), Algorithm::kRsaSha256);
  EXPECT_EQ(rsa->bits(), 1024);
  EXPECT_EQ(rsa->DnsValue(), kRfcRsaDns);
  const auto ed25519 = PrivateKey::Parse(kRfcEd25519Pem);
  ASSERT_TRUE(ed25519.has_value()) << ed25519.error().ToString();
  EXPECT_EQ(ed25519->algorithm(), Algorithm::kEd25519Sha256);
  EXPECT_EQ(ed25519->DnsValue(), kRfcEd25519Dns);
}

TEST(DkimKey, AGeneratedKeyComesBackFromItsPem) {
  for (const Algorithm algorithm : {Algorithm::kRsaSha256, Algorithm::kEd25519Sha256}) {
    const PrivateKey made = PrivateKey::Generate(algorithm);
    const auto back = PrivateKey::Parse(made.ToPem());
    ASSERT_TRUE(back.has_value()) << back.error().ToString();
    EXPECT_EQ(back->algorithm(), algorithm);
    EXPECT_EQ(back->bits(), algorithm == Algorithm::kRsaSha256 ? 2048 : 256);
    EXPECT_EQ(back->DnsValue(), made.DnsValue());
    const Digest digest{1, 2, 3};
    EXPECT_EQ(back->SignDigest(digest), made.SignDigest(digest));
    EXPECT_NE(PrivateKey::Generate(algorithm).DnsValue(), made.DnsValue());
  }
}

TEST(DkimKey, WhatIsNoKeyIsNamedWithARemedy) {
  EXPECT_SAYS(Refusal(""), "-----BEGIN PRIVATE KEY-----");
  EXPECT_SAYS(Refusal("/etc/maily/dkim.key"), "whole text of the key's file");
  EXPECT_SAYS(Refusal("-----BEGIN PUBLIC KEY-----\nMIGf\n-----END PUBLIC KEY-----\n"), "public key");
  EXPECT_SAYS(Refusal("-----BEGIN CERTIFICATE-----\nMIGf\n-----END CERTIFICATE-----\n"), "not a certificate");
  EXPECT_SAYS(Refusal("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\n"), "SSH");
  EXPECT_SAYS(Refusal("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----\n"), "damaged");
  EXPECT_SAYS(Refusal(kRfcRsaPem.substr(0, 500)), "damaged");
  EXPECT_SAYS(Refusal(std::string(70'000, 'x')), "larger than any key");
}

TEST(DkimKey, AnEncryptedKeyIsRefusedWithoutAskingForItsPassphrase) {
  EXPECT_SAYS(Refusal(Pem(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), "secret")), "decrypt it");
  EXPECT_SAYS(
      Refusal("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMIIC\n-----END RSA PRIVATE KEY-----\n"),
      "decrypt it");
}

TEST(DkimKey, WrongKindsAndSizesAreRefused) {
  EXPECT_SAYS(Refusal(Pem(EVP_EC_gen("P-256"))), "of the kind EC");
  EXPECT_SAYS(Refusal(Pem(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"))), "of the kind X25519");
  EXPECT_SAYS(Refusal(Pem(EVP_RSA_gen(512))), "has 512 bits; receivers take no RSA key below 1024");
  EXPECT_EQ(Refusal(Pem(EVP_RSA_gen(1024))), "taken");
}

TEST(DkimKey, ADamagedKeyIsRefusedOrSignsAsItsRecordSays) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    std::string pem(kRfcRsaPem);
    char& c = pem[32 + random() % (pem.size() - 64)];
    const char digit = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[random() % 64];
    if (c == digit) continue;
    c = digit;
    const auto key = PrivateKey::Parse(pem);
    if (!key) {
      ++refused;
    } else {
      EXPECT_EQ(key->SignDigest({}).size(), 128u);  // what it says was verified by its own public half when it was parsed
    }
  }
  EXPECT_GT(refused, 60);  // all that touch the modulus, at least
}

TEST(DkimKey, RecordsAreCutIntoStringsOf255Bytes) {
  EXPECT_EQ(QuoteTxt(""), "\"\"");
  EXPECT_EQ(QuoteTxt("v=DKIM1; p="), "\"v=DKIM1; p=\"");
  EXPECT_EQ(QuoteTxt(std::string(255, 'a')), "\"" + std::string(255, 'a') + "\"");
  EXPECT_EQ(QuoteTxt(std::string(256, 'a')), "\"" + std::string(255, 'a') + "\" \"a\"");
  const std::string value = PrivateKey::Generate(Algorithm::kRsaSha256).DnsValue();
  EXPECT_EQ(QuoteTxt(value), "\"" + value.substr(0, 255) + "\" \"" + value.substr(255) + "\"");
}

}  // namespace
}  // namespace maily::dkim
