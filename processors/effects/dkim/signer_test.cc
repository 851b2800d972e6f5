// Signatures: the example of RFC 8463 to the byte, their form, and what a small verifier says of random mails, whole and changed.
#include "processors/effects/dkim/signer.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <ctime>
#include <random>
#include <thread>

#include "processors/effects/dkim/canonical.h"
#include "processors/effects/dkim/fixture.h"
#include "streams/base/base64.h"

namespace maily::dkim {
namespace {

constexpr Instant kAt{1'528'637'909'000'000};
constexpr std::string_view kMail =
    "From: Joe SixPack <joe@football.example.com>\r\n"
    "To: Suzie Q <suzie@shopping.example.net>\r\n"
    "Subject: Is dinner ready?\r\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    "\r\n"
    "Hi.\r\n"
    "\r\n"
    "We lost the game.  Are you hungry yet?\r\n"
    "\r\n"
    "Joe.\r\n";

Signer Make(std::string_view pem, std::string_view selector) {
  auto signer = Signer::Make("football.example.com", selector, pem);
  EXPECT_TRUE(signer.has_value()) << signer.error().ToString();
  return *std::move(signer);
}
const Signer& Rsa() {
  static const Signer signer = Make(kRfcRsaPem, "test");
  return signer;
}
const Signer& Ed25519() {
  static const Signer signer = Make(kRfcEd25519Pem, "brisbane");
  return signer;
}

std::string Relaxed(std::string_view field) {
  std::string out;
  RelaxField(field, out);
  return out;
}

// The fields of a header, relaxed, as a verifier looks at them.
std::vector<std::string> FieldsOf(std::string_view mail) {
  std::vector<std::string> fields;
  for (std::string_view section = mail.substr(0, BodyOffset(mail)); !section.empty();) fields.push_back(Relaxed(TakeField(section)));
  return fields;
}

// The value of a tag of a relaxed DKIM-Signature, without white space.
std::string Tag(std::string_view field, std::string_view name) {
  std::string bare;
  for (const char c : field.substr(field.find(':') + 1)) {
    if (c != ' ' && c != '\r' && c != '\n') bare.push_back(c);
  }
  bare = ";" + bare;
  const size_t at = bare.find(fmt::format(";{}=", name));
  if (at == std::string::npos) return {};
  const size_t begin = at + name.size() + 2;
  return bare.substr(begin, bare.find(';', begin) - begin);
}

std::string FromBase64(std::string text) {
  std::string out(text.size(), '\0');
  const int size =
      EVP_DecodeBlock(reinterpret_cast<uint8_t*>(out.data()), reinterpret_cast<const uint8_t*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return {};
  out.resize(static_cast<size_t>(size) - static_cast<size_t>(std::ranges::count(text, '=')));
  return out;
}

// The digest that RFC 6376 §3.7 has signed, by the h= of the topmost field of `mail`.
Digest HeaderDigest(std::string_view mail) {
  std::vector<std::string> fields = FieldsOf(mail);
  std::string own = fields.front();
  own.resize(own.rfind("; b=") + 4);
  fields.erase(fields.begin());
  Sha256 hash;
  std::string names = Tag(own, "h") + ":";
  for (size_t colon = 0; (colon = names.find(':')) != std::string::npos; names.erase(0, colon + 1)) {
    const std::string name = Relaxed(names.substr(0, colon + 1));
    for (size_t i = fields.size(); i-- > 0;) {
      if (!fields[i].starts_with(name.substr(0, colon + 1))) continue;
      hash.Add(fields[i]);
      fields.erase(fields.begin() + static_cast<ptrdiff_t>(i));
      break;
    }
  }
  hash.Add(own);
  return hash.Finish();
}

std::string BodyHash(std::string_view mail) {
  Sha256 hash;
  RelaxBody(mail.substr(BodyOffset(mail)), [&hash](std::string_view piece) { hash.Add(piece); });
  return ToBase64(View(hash.Finish()));
}

// Checks the topmost field of `mail` with the public key of a DNS value.
bool Verify(std::string_view mail, const std::string& dns_value) {
  const std::string own = FieldsOf(mail).front();
  if (Tag(own, "bh") != BodyHash(mail)) return false;
  const std::string signature = FromBase64(Tag(own, "b"));
  const std::string key_bytes = FromBase64(dns_value.substr(dns_value.find("p=") + 2));
  const auto* raw = reinterpret_cast<const uint8_t*>(key_bytes.data());
  const bool rsa = Tag(own, "a") == "rsa-sha256";
  EVP_PKEY* key = rsa ? d2i_PUBKEY(nullptr, &raw, static_cast<long>(key_bytes.size()))
                      : EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw, key_bytes.size());
  const Digest digest = HeaderDigest(mail);
  const auto* bytes = reinterpret_cast<const uint8_t*>(signature.data());
  bool good = false;
  if (rsa) {
    EVP_PKEY_CTX* context = EVP_PKEY_CTX_new(key, nullptr);
    EXPECT_EQ(EVP_PKEY_verify_init(context), 1);
    EXPECT_EQ(EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()), 1);  // PKCS #1 v1.5 is the default
    good = EVP_PKEY_verify(context, bytes, signature.size(), digest.data(), digest.size()) == 1;
    EVP_PKEY_CTX_free(context);
  } else {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EXPECT_EQ(EVP_DigestVerifyInit(context, nullptr, nullptr, nullptr, key), 1);
    good = EVP_DigestVerify(context, bytes, signature.size(), digest.data(), digest.size()) == 1;
    EVP_MD_CTX_free(context);
  }
  EVP_PKEY_free(key);
  return good;
}

// Its two signatures carry other tags and another h= than ours, so the pieces are compared: canonical forms, hashes, and the keys' work.
TEST(Rfc8463, TheSignaturesOfItsExampleComeOut) {
  struct Example {
    const Signer& signer;
    std::string_view field;
    std::string_view signature;
  };
  const Example examples[] = {
      {Ed25519(),
       "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
       " d=football.example.com; i=@football.example.com;\r\n"
       " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
       " subject : date : message-id : from : subject : date;\r\n"
       " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
       " b=",
       "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="},
      {Rsa(),
       "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
       " d=football.example.com; i=@football.example.com;\r\n"
       " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
       " date : message-id : from : subject : date;\r\n"
       " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
       " b=",
       "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2JzdA+"
       "L10TeYt9BgDfQNZ"
       "tKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8="},
  };
  EXPECT_EQ(BodyHash(kMail), "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
  EXPECT_EQ(Prepare(kMail).body_hash, BodyHash(kMail));
  for (const Example& example : examples) {
    const std::string mail = std::string(example.field) + "\r\n" + std::string(kMail);
    EXPECT_EQ(ToBase64(example.signer.key().SignDigest(HeaderDigest(mail))), example.signature);
    EXPECT_TRUE(
        Verify(std::string(example.field) + std::string(example.signature) + "\r\n" + std::string(kMail), example.signer.key().DnsValue()));
  }
}

TEST(Signer, TheSameBytesAlways) {
  EXPECT_EQ(Ed25519().Sign(kMail, kAt),
            "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
            " d=football.example.com; s=brisbane; t=1528637909;\r\n"
            " h=From:From:Sender:Reply-To:To:To:Cc:Subject:Subject:Date:Date:Message-ID:\r\n"
            " Message-ID:In-Reply-To:References:MIME-Version:Content-Type:\r\n"
            " Content-Transfer-Encoding:List-ID:List-Unsubscribe:List-Unsubscribe-Post:\r\n"
            " Feedback-ID;\r\n"
            " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
            " b=6LnwEPtNYdV5mEtrJHekdclxf8i6Mf6NYBz7f8DaLdSIR6mjF7JsqqxaBwEc0jHdbYOKyGq0be3\r\n"
            " ahJXu/dw0DQ==\r\n");
  EXPECT_EQ(Rsa().Sign(kMail, kAt), Rsa().Sign(kMail, kAt + Milliseconds(999)));
  EXPECT_NE(Rsa().Sign(kMail, kAt), Rsa().Sign(kMail, kAt + Seconds(1)));
  EXPECT_EQ(Rsa().Sign(kMail, Instant{}).find("t="), std::string::npos);
}

TEST(Signer, BothSignaturesOfAMailVerifyInAnyOrder) {
  const Prepared prepared = Prepare(kMail);
  const std::string rsa = Rsa().Sign(prepared, kAt);
  const std::string ed25519 = Ed25519().Sign(prepared, kAt);
  EXPECT_EQ(rsa, Rsa().Sign(kMail, kAt));
  EXPECT_TRUE(Verify(rsa + ed25519 + std::string(kMail), Rsa().key().DnsValue()));
  EXPECT_TRUE(Verify(ed25519 + rsa + std::string(kMail), Ed25519().key().DnsValue()));
}

TEST(Signer, LinesFitAndOnlyNamesThatCannotBeFoldedAreLonger) {
  const std::string label(60, 'a');
  const std::string domain = fmt::format("{0}.{0}.{0}.example", label);
  const auto long_names = Signer::Make(domain, "s.0123456789.0123456789", kRfcRsaPem);
  ASSERT_TRUE(long_names.has_value()) << long_names.error().ToString();
  std::string many(kMail);
  for (int i = 0; i < 300; ++i) many.insert(0, "List-Help: <mailto:help@example.com>\r\n");
  for (const std::string& field :
       {Rsa().Sign(kMail, kAt), Ed25519().Sign(kMail, kAt), Rsa().Sign(many, kAt), long_names->Sign(kMail, kAt)}) {
    ASSERT_TRUE(field.starts_with("DKIM-Signature: v=1; a=") && field.ends_with("\r\n"));
    for (size_t begin = 0; begin < field.size();) {
      const size_t end = field.find("\r\n", begin);
      const std::string line = field.substr(begin, end - begin);
      EXPECT_TRUE(line.size() <= 78 || line == fmt::format(" d={};", domain)) << line;
      EXPECT_TRUE(begin == 0 || (line[0] == ' ' && line[1] != ' ')) << line;
      EXPECT_FALSE(line.ends_with(' '));
      begin = end + 2;
    }
  }
  EXPECT_TRUE(Verify(Rsa().Sign(many, kAt) + many, Rsa().key().DnsValue()));
  EXPECT_TRUE(Verify(long_names->Sign(kMail, kAt) + std::string(kMail), Rsa().key().DnsValue()));
}

TEST(Signer, BadNamesAreRefusedAndSaid) {
  const auto refusal = [](std::string_view domain, std::string_view selector) {
    const auto signer = Signer::Make(domain, selector, kRfcEd25519Pem);
    return signer ? signer->DnsName() : signer.error().message;
  };
  EXPECT_EQ(refusal("Shop.Example", "S1.eu-2026"), "s1.eu-2026._domainkey.shop.example");
  EXPECT_NE(refusal("", "s").find("it is empty"), std::string::npos);
  EXPECT_NE(refusal("localhost", "s").find("one part only"), std::string::npos);
  EXPECT_NE(refusal("example.com.", "s").find("ends with a dot"), std::string::npos);
  EXPECT_NE(refusal("a..com", "s").find("empty part"), std::string::npos);
  EXPECT_NE(refusal("b\xC3\xBC"
                    "cher.example",
                    "s")
                .find("A-labels"),
            std::string::npos);
  EXPECT_NE(refusal("news@example.com", "s").find("letters, digits"), std::string::npos);
  EXPECT_NE(refusal("example.com; l=0", "s").find("letters, digits"), std::string::npos);
  EXPECT_NE(refusal("-a.example", "s").find("not at their ends"), std::string::npos);
  EXPECT_NE(refusal(std::string(64, 'a') + ".example", "s").find("63"), std::string::npos);
  EXPECT_NE(refusal("example.com", "").find("no DKIM selector: it is empty"), std::string::npos);
  EXPECT_NE(refusal("example.com", "a\r\nX: y").find("no DKIM selector"), std::string::npos);
  const std::string label(60, 'a');
  const std::string domain = fmt::format("{0}.{0}.{0}.{0}", label);  // 243 bytes
  EXPECT_NE(refusal(domain, "s").find("shorter selector"), std::string::npos);
  EXPECT_NE(Signer::Make("example.com", "s1", "nonsense").error().message.find("(selector s1 of example.com)"), std::string::npos);
}

// Any text of these is a mail, if often a strange one.
std::string RandomMail(std::mt19937& random) {
  const std::string_view names[] = {
      "From",     "To",           "Subject",      "date",     "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "X-Other", "From",
      "Received", "Content-Type", "MIME-VERSION", "Reply-To", "List-Help",  "Resent-To"};
  const std::string_view words[] = {"a",        " ",    "\t", "\r\n ", "\r\n\t\t",      "b;c=d",           "\xD7\xA9\xD7\x9C",
                                    "\x80\xFF", "\x01", ":",  "b=",    "<x@y.example>", "=?utf-8?B?w7w=?="};
  const std::string_view tokens[] = {"word", " ", "  ", "\t", "\r\n", "\r\n\r\n", ".", "..", "\xE2\x80\xAE", "\x1B", "="};
  std::string mail;
  for (auto n = random() % 12; n > 0; --n) {
    (mail += names[random() % std::size(names)]) += random() % 8 ? ":" : " :";
    for (auto k = random() % 8; k > 0; --k) mail += words[random() % std::size(words)];
    mail += "\r\n";
  }
  mail += "\r\n";
  for (auto n = random() % 20; n > 0; --n) mail += tokens[random() % std::size(tokens)];
  return mail;
}

TEST(Signer, RandomMailsVerifyAndChangedOnesDoNot) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    const Signer& signer = round % 4 == 0 ? Rsa() : Ed25519();
    const std::string dns_value = signer.key().DnsValue();
    const std::string mail = RandomMail(random);
    const std::string signature = signer.Sign(mail, kAt);
    SCOPED_TRACE(testing::PrintToString(mail));
    ASSERT_TRUE(Verify(signature + mail, dns_value));
    ASSERT_TRUE(Verify(signature + mail + "\r\n\r\n", dns_value)) << "empty lines at the end";
    ASSERT_TRUE(Verify(signature + "Received: by relay\r\n" + mail, dns_value)) << "a relay's line";
    ASSERT_FALSE(Verify(signature + mail + "more", dns_value)) << "a longer body";
    // Whatever is there once may not be added, above or below, nor taken away.
    for (const std::string_view added :
         {"From: evil@example.net\r\n", "List-Unsubscribe: <https://evil.example>\r\n", "Subject:\r\n",
          "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", "content-type: text/html\r\n", "To: x\r\n"}) {
      ASSERT_FALSE(Verify(signature + std::string(added) + mail, dns_value)) << added;
      std::string below = mail;
      below.insert(mail.starts_with("\r\n") ? 0 : BodyOffset(mail) - 2, added);
      ASSERT_FALSE(Verify(signature + below, dns_value)) << added;
    }
    if (const size_t from = mail.find("From"); from < BodyOffset(mail)) {
      std::string without = mail;
      std::string_view rest = std::string_view(mail).substr(from);
      if (from == 0 || mail[from - 1] == '\n') {
        without.erase(from, TakeField(rest).size());
        ASSERT_FALSE(Verify(signature + without, dns_value)) << "without From";
      }
    }
  }
}

TEST(Signer, ManyThreadsSignWithOneKey) {
  const std::string rsa = Rsa().Sign(kMail, kAt);
  const std::string ed25519 = Ed25519().Sign(kMail, kAt);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        const Prepared prepared = Prepare(kMail);
        wrong += Rsa().Sign(prepared, kAt) != rsa || Ed25519().Sign(prepared, kAt) != ed25519;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// Run by hand: --gtest_also_run_disabled_tests --gtest_filter='*SignaturesASecond'. One thread, a mail of 10 KB.
TEST(Signer, DISABLED_SignaturesASecond) {
  std::string mail =
      "Date: Fri, 21 Nov 2025 04:40:00 +0000\r\nTo: <ada@b.example>\r\nSubject: Hello Ada\r\nMessage-ID: <m1@football.example.com>\r\n"
      "From: Shop <news@football.example.com>\r\nList-ID: <list-3.t1.shop.example>\r\nFeedback-ID: c7:t1:campaign:maily\r\n"
      "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nMIME-Version: 1.0\r\nList-Unsubscribe: "
      "<https://t.example/u/AQEDAQUH0gkAedZ296jLKBp>\r\n"
      "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
  while (mail.size() < 10'000)
    mail += "<p>We found what you looked for, at half the price:  <a href=3D\"https=\r\n  ://t.example/c/AQ\">look</a></p>\r\n";
  const Signer rsa = Make(PrivateKey::Generate(Algorithm::kRsaSha256).ToPem(), "r");
  const auto measure = [](std::string_view what, const std::function<void()>& work) {
    const auto processor_seconds = [] { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; };  // others may be using the machine
    const double begin = processor_seconds();
    int rounds = 0;
    double seconds = 0;
    for (; seconds < 2; seconds = processor_seconds() - begin) {
      for (int i = 0; i < 50; ++i) work();
      rounds += 50;
    }
    fmt::print("{}: {:.0f} a second, {:.1f} us each\n", what, rounds / seconds, seconds / rounds * 1e6);
  };
  measure("Prepare", [&] { Prepare(mail); });
  measure("rsa-sha256, 2048 bits", [&] { rsa.Sign(mail, kAt); });
  measure("ed25519-sha256", [&] { Ed25519().Sign(mail, kAt); });
  measure("ed25519-sha256 over a digest", [&] { Ed25519().key().SignDigest({}); });
  measure("both", [&] {
    const Prepared prepared = Prepare(mail);
    rsa.Sign(prepared, kAt);
    Ed25519().Sign(prepared, kAt);
  });
}

}  // namespace
}  // namespace maily::dkim
