// A client and a server over two strings, in pieces of any size; certificates that are and are not to be trusted; broken peers.
#include "streams/tls/channel.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "streams/tls/test_certificate.h"

namespace maily::tls {
namespace {

class Tls : public testing::Test {
 protected:
  Tls() {
    std::string path = (std::filesystem::temp_directory_path() / "maily_tls_XXXXXX").string();
    MAILY_CHECK(mkdtemp(path.data()) != nullptr, "mkdtemp {}", path);
    directory_ = path;
  }
  ~Tls() override { std::filesystem::remove_all(directory_); }

  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path) << text;
    return path;
  }
  std::shared_ptr<const Context> Trusting(const TestCertificate& certificate) {
    return Context::Client(Write("roots.pem", certificate.roots)).value();
  }
  static std::shared_ptr<const Context> ServerOf(const TestCertificate& certificate) {
    return Context::Server(certificate.chain, certificate.key).value();
  }
  // Carries bytes to and fro until nothing moves, `piece` bytes at a time. The first error.
  static Result<void> Carry(Channel& a, Channel& b, size_t piece = SIZE_MAX) {
    const auto feed = [&](std::string bytes, Channel& to) -> Result<void> {
      for (std::string_view rest = bytes; !rest.empty(); rest.remove_prefix(std::min(piece, rest.size()))) {
        MAILY_TRY_VOID(to.Receive(rest.substr(0, piece)));
      }
      return Ok();
    };
    for (;;) {
      std::string from_a = a.TakeEncrypted();
      std::string from_b = b.TakeEncrypted();
      if (from_a.empty() && from_b.empty()) return Ok();
      MAILY_TRY_VOID(feed(std::move(from_a), b));
      MAILY_TRY_VOID(feed(std::move(from_b), a));
    }
  }

  std::string directory_;
};

TEST_F(Tls, CarriesBytesBothWaysInPiecesOfAnySize) {
  const TestCertificate certificate = MakeTestCertificate("relay.test");
  for (const size_t piece : {size_t{1}, size_t{7}, SIZE_MAX}) {
    Channel client(Trusting(certificate), "relay.test", Verify::kRequire);
    Channel server(ServerOf(certificate));
    EXPECT_FALSE(client.established());
    ASSERT_TRUE(Carry(client, server, piece));
    ASSERT_TRUE(client.established() && server.established());
    EXPECT_TRUE(client.facts().verified);
    EXPECT_EQ(client.facts().version, "TLSv1.3");
    EXPECT_NE(client.facts().cipher, "");
    const std::string much(piece == 1 ? 20'000 : 300'000, 'x');
    ASSERT_TRUE(client.Send("from the client"));
    ASSERT_TRUE(server.Send(much));
    ASSERT_TRUE(Carry(client, server, piece));
    EXPECT_EQ(server.TakePlain(), "from the client");
    EXPECT_EQ(client.TakePlain(), much);
    EXPECT_EQ(client.TakePlain(), "");
    server.Close();
    ASSERT_TRUE(Carry(client, server, piece));
    EXPECT_TRUE(client.closed());
  }
}

TEST_F(Tls, ACertificateThatIsNotTrustedIsToldOrRefused) {
  const TestCertificate good = MakeTestCertificate("relay.test");
  struct Case {
    const char* name;
    TestCertificate shown;
    TestCertificate trusted;
    const char* why;
  };
  const TestCertificate expired = MakeTestCertificate("relay.test", /*expired=*/true);
  const TestCertificate other = MakeTestCertificate("other.test");
  const std::vector<Case> cases = {{"of another authority", good, other, "unable to get local issuer certificate"},
                                   {"of another name", other, other, "hostname mismatch"},
                                   {"expired", expired, expired, "certificate has expired"}};
  for (const Case& each : cases) {
    SCOPED_TRACE(each.name);
    {
      Channel client(Trusting(each.trusted), "relay.test", Verify::kRecord);
      Channel server(ServerOf(each.shown));
      ASSERT_TRUE(Carry(client, server));
      EXPECT_FALSE(client.facts().verified);
      EXPECT_EQ(client.facts().why_not, each.why);
    }
    Channel client(Trusting(each.trusted), "relay.test", Verify::kRequire);
    Channel server(ServerOf(each.shown));
    const auto carried = Carry(client, server);
    ASSERT_FALSE(carried);
    EXPECT_EQ(carried.error().code, Code::kRetry);
    EXPECT_NE(carried.error().message.find(each.why), std::string::npos) << carried.error().ToString();
    EXPECT_FALSE(client.established());
  }
}

TEST_F(Tls, AnAddressIsVerifiedAsAnAddress) {
  const TestCertificate certificate = MakeTestCertificate("127.0.0.1");
  for (const char* name : {"127.0.0.1", "127.0.0.2"}) {
    Channel client(Trusting(certificate), name, Verify::kRecord);
    Channel server(ServerOf(certificate));
    ASSERT_TRUE(Carry(client, server));
    EXPECT_EQ(client.facts().verified, std::string(name) == "127.0.0.1") << client.facts().why_not;
  }
}

TEST_F(Tls, APeerThatSpeaksNoTlsIsAnError) {
  const TestCertificate certificate = MakeTestCertificate("relay.test");
  for (const std::string& bytes : {std::string("220 this is no TLS\r\n"), std::string(10'000, '\0'), std::string("\x16\x03\x01\xff\xff")}) {
    Channel client(Trusting(certificate), "relay.test", Verify::kRecord);
    EXPECT_FALSE(client.TakeEncrypted().empty());
    const auto received = client.Receive(bytes);
    EXPECT_FALSE(client.established());
    if (!received) {
      EXPECT_EQ(received.error().code, Code::kRetry);
    }
  }
}

// Whatever is turned over on the wire: an error or silence, and never other plain bytes.
TEST_F(Tls, DamageOnTheWireNeverBecomesPlainText) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::minstd_rand random(static_cast<uint32_t>(seed));
  const TestCertificate certificate = MakeTestCertificate("relay.test");
  const auto client_context = Trusting(certificate);
  const auto server_context = ServerOf(certificate);
  for (int round = 0; round < 200; ++round) {
    Channel client(client_context, "relay.test", Verify::kRequire);
    Channel server(server_context);
    ASSERT_TRUE(Carry(client, server));
    ASSERT_TRUE(server.Send("250 2.0.0 taken\r\n"));
    std::string bytes = server.TakeEncrypted();
    bytes[random() % bytes.size()] ^= static_cast<char>(1U << random() % 8);
    const auto received = client.Receive(bytes);
    EXPECT_EQ(client.TakePlain(), "") << (received ? "no error" : received.error().ToString());
  }
}

TEST_F(Tls, WhatDoesNotParseIsSaid) {
  const TestCertificate certificate = MakeTestCertificate("relay.test");
  EXPECT_EQ(Context::Client(directory_ + "/none.pem").error().code, Code::kInvalid);
  EXPECT_EQ(Context::Server("no certificate", certificate.key).error().code, Code::kInvalid);
  EXPECT_EQ(Context::Server(certificate.chain, "no key").error().code, Code::kInvalid);
  EXPECT_NE(Context::Server(certificate.chain, MakeTestCertificate("relay.test").key).error().message.find("does not belong"),
            std::string::npos);
}

}  // namespace
}  // namespace maily::tls
