// The session that sends and the one that takes, face to face: what goes in is what comes out, by DATA and by BDAT.
#include <gtest/gtest.h>

#include <random>

#include "api/mail/fixture.h"
#include "processors/effects/smtp/session.h"

namespace maily::mail {
namespace {

// Carries bytes to and fro, cut anywhere, until neither has anything to say.
void Carry(smtp::Session& client, Talk& talk, std::mt19937& random, bool chunking) {
  for (;;) {
    const std::string asked = client.TakeOutput().bytes;
    std::string said = talk.server.TakeOutput();
    if (asked.empty() && said.empty()) return;
    for (std::string_view rest = asked; !rest.empty();) {
      const std::string_view part = rest.substr(0, 1 + random() % 300);
      rest.remove_prefix(part.size());
      said += talk.Say(part);
    }
    // A server that does not offer it.
    if (const size_t at = said.find("250-CHUNKING\r\n"); !chunking && at != std::string::npos) said.erase(at, 14);
    client.Receive(said);
  }
}

TEST(SmtpClientAndServer, AMailArrivesAsItWasSent) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::vector<std::string> pieces = {
      "x", ".", "..", ".\r\n", "\r\n", "\r\n.", "\r\n\r\n", "a line\r\n", std::string(1, '\0'), "\xC3\xA4", std::string(500, 'y')};
  for (const bool chunking : {false, true}) {
    Talk talk;
    smtp::Session client({.helo = "client.test"});
    talk.server.Greet();
    Carry(client, talk, random, chunking);
    std::vector<std::string> sent;
    for (int round = 0; round < 300; ++round) {
      ASSERT_EQ(client.state(), smtp::Session::State::kReady);
      std::string data;
      for (size_t count = random() % 20; count > 0; --count) data += pieces[random() % pieces.size()];
      if (!data.ends_with("\r\n")) data += "\r\n";
      client.Start({.mail_from = "", .rcpt_to = "b@mx.test"}, data);
      Carry(client, talk, random, chunking);
      const auto verdict = client.TakeVerdict();
      ASSERT_TRUE(verdict);
      EXPECT_EQ(verdict->kind, smtp::Verdict::Kind::kDelivered) << verdict->text;
      EXPECT_EQ(verdict->enhanced, "2.0.0");
      ASSERT_EQ(talk.mails.size(), 1u);
      ASSERT_EQ(talk.mails[0].data, data);
      talk.mails.clear();
    }
    client.Quit();
    Carry(client, talk, random, chunking);
    EXPECT_EQ(client.state(), smtp::Session::State::kDead);
    EXPECT_TRUE(talk.ended());
  }
}

}  // namespace
}  // namespace maily::mail
