// The rules of SMTP one by one; what the owner decides and when; every cut of the peer's bytes.
#include "api/mail/smtp_server.h"

#include <gtest/gtest.h>

#include <random>

#include "api/mail/fixture.h"

namespace maily::mail {
namespace {

using State = SmtpServer::State;

struct Step {
  std::string say;
  std::string_view codes;
};
struct Rule {
  std::string_view name;
  std::vector<Step> steps;
  bool ends = false;
};

TEST(SmtpServer, Rules) {
  const Rule rules[] = {
      {"5321 4.1.1.1 HELO", {{"HELO a\r\n", "250"}, {"MAIL FROM:<a@b>\r\n", "250"}}},
      {"5321 4.1.1.1 a greeting names its host", {{"EHLO\r\n", "501"}, {"HELO\r\n", "501"}, {"EHLO a b\r\n", "501"}}},
      {"5321 4.1.3 the host may be a literal", {{"EHLO [IPv6:::1]\r\n", "250"}}},
      {"5321 4.1.4 no mail before EHLO",
       {{"MAIL FROM:<a@b>\r\n", "503"}, {"RCPT TO:<a@b>\r\n", "503"}, {"DATA\r\n", "503"}, {"NOOP\r\n", "250"}}},
      {"5321 4.1.4 EHLO again is RSET", {{"EHLO a\r\nMAIL FROM:<>\r\nEHLO a\r\nRCPT TO:<a@b>\r\n", "250 250 250 503"}}},
      {"5321 4.1.4 the order of a mail",
       {{"EHLO a\r\nRCPT TO:<a@b>\r\nDATA\r\nMAIL FROM:<>\r\nDATA\r\nMAIL FROM:<>\r\n", "250 503 503 250 503 503"}}},
      {"5321 4.1.1.5 RSET", {{"EHLO a\r\nMAIL FROM:<>\r\nRSET\r\nRCPT TO:<a@b>\r\nRSET x\r\n", "250 250 250 503 501"}}},
      {"5321 4.1.1.9 NOOP may have a string", {{"NOOP\r\nNOOP x y\r\n", "250 250"}}},
      {"5321 4.1.1.6 VRFY says neither yes nor no", {{"VRFY a\r\nVRFY\r\n", "252 501"}}},
      {"5321 4.1.1.8 HELP", {{"HELP\r\nHELP MAIL\r\n", "214 214"}}},
      {"5321 4.1.1.10 QUIT", {{"QUIT x\r\nQUIT\r\nNOOP\r\n", "501 221"}}, true},
      {"5321 4.2.4 unknown, and known but not there",
       {{"FOO\r\n\r\nEXPN a\r\nAUTH PLAIN\r\nETRN x\r\nSTARTTLS\r\n", "500 500 502 502 502 502"}}},
      {"5321 2.4 verbs in any case", {{"ehlo a\r\nmAIL fROM:<>\r\nRcpt To:<a@b>\r\nrset\r\nqUIT\r\n", "250 250 250 250 221"}}, true},
      {"5321 4.1.1 spaces at the end", {{"EHLO a \r\nRSET \r\nMAIL FROM:<a@b> \r\n", "250 250 250"}}},
      {"spaces after the colon", {{"EHLO a\r\nMAIL FROM: <a@b>\r\nRCPT TO: <a@b>\r\n", "250 250 250"}}},
      {"5321 4.1.1.2 a sender's syntax",
       {{"EHLO a\r\nMAIL\r\nMAIL FROM\r\nMAIL FROM:\r\nMAIL FROM:a@b\r\nMAIL FROM:<a b>\r\nMAIL TO:<a@b>\r\n",
         "250 501 501 501 501 501 501"}}},
      {"5321 4.1.1.3 a recipient's syntax",
       {{"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<>\r\nRCPT TO:<a>\r\nRCPT FROM:<a@b>\r\nRCPT TO:<a@b>x\r\n", "250 250 501 501 501 501"}}},
      {"5321 4.5.1 postmaster without a domain", {{"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\n", "250 250 250"}}},
      {"5321 4.1.1.11 unknown parameters",
       {{"EHLO a\r\nMAIL FROM:<> FOO=1\r\nMAIL FROM:<> RET=HDRS\r\nMAIL FROM:<>\r\nRCPT TO:<a@b> NOTIFY=NEVER\r\n",
         "250 555 555 250 555"}}},
      {"5321 4.5.3.1.4 a command of 512 and more",
       {{"NOOP " + std::string(4089, 'x') + "\r\n", "250"}, {"NOOP " + std::string(4090, 'x') + "\r\n", "500"}, {"NOOP\r\n", "250"}}},
      {"5321 2.3.8 LF alone ends no command", {{"NOOP\n", "500"}}, true},
      {"5321 2.3.8 CR alone ends no command", {{"NOOP\rNOOP\r\n", "500"}, {"NOOP\r\r\n", "500"}}},
      {"5321 4.1.2 no control characters", {{std::string("NOOP \0\r\n", 8), "500"}, {"NOOP \x7F\r\n", "500"}}},
      {"5321 4.1.1.4 DATA",
       {{"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA x\r\nDATA\r\n", "250 250 250 501 354"},
        {"x\r\n.\r\n", "250"},
        {"DATA\r\n", "503"}}},
      {"5321 4.5.2 an empty mail", {{"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n.\r\nNOOP\r\n", "250 250 250 354 250 250"}}},
      {"1870 6.1 SIZE", {{"EHLO a\r\nMAIL FROM:<> SIZE=2097152\r\nRSET\r\nMAIL FROM:<> size=2097153\r\n", "250 250 250 552"}}},
      {"1870 3 SIZE is a number",
       {{"EHLO a\r\nMAIL FROM:<> SIZE\r\nMAIL FROM:<> SIZE=\r\nMAIL FROM:<> SIZE=-1\r\nMAIL FROM:<> SIZE=1x\r\nMAIL FROM:<> "
         "SIZE=99999999999999999999\r\n",
         "250 501 501 501 501 501"}}},
      {"6152 2 BODY",
       {{"EHLO a\r\nMAIL FROM:<> BODY=8BITMIME SIZE=1\r\nRSET\r\nMAIL FROM:<> BODY=7bit\r\nRSET\r\nMAIL FROM:<> BODY=BINARYMIME\r\n",
         "250 250 250 250 250 555"}}},
      {"6531 3.4 SMTPUTF8",
       {{"EHLO a\r\nMAIL FROM:<\xC3\xA4@b>\r\nMAIL FROM:<\xC3\xA4@b> SMTPUTF8=1\r\nMAIL FROM:<\xC3\xA4@b> SMTPUTF8\r\nRCPT "
         "TO:<\xC3\xBC@b>\r\n",
         "250 553 501 250 250"}}},
      {"6531 3.5 without it", {{"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<\xC3\xBC@b>\r\n", "250 250 553"}}},
      {"3030 2 BDAT",
       {{"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 3\r\nabcBDAT 2\r\n\r\nBDAT 0 LAST\r\nBDAT 0 LAST\r\n",
         "250 250 250 250 250 250 503"}}},
      {"3030 2 a chunk that is refused is read",
       {{"BDAT 6\r\nNOOP\r\nEHLO a\r\nBDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<>\r\nBDAT 1\r\nxNOOP\r\n", "503 250 503 250 503 250"}}},
      {"3030 2 DATA and BDAT do not mix",
       {{"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 1\r\nxDATA\r\nRCPT TO:<a@b>\r\nMAIL FROM:<>\r\nBDAT 1 last\r\ny",
         "250 250 250 250 503 503 503 250"}}},
      {"3030 2 RSET ends chunks",
       {{"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 1\r\nxRSET\r\nBDAT 1 LAST\r\ny", "250 250 250 250 250 503"}}},
      {"3030 a chunk too many",
       {{"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 1\r\nxBDAT 2097152 LAST\r\n", "250 250 250 250"},
        {std::string(2097152, 'x'), "552"},
        {"NOOP\r\n", "250"}}},
      {"3030 no number, no chunk", {{"BDAT\r\nNOOP\r\n", "501"}}, true},
      {"3030 a negative number", {{"BDAT -1 LAST\r\n", "501"}}, true},
      {"3030 a number that wraps", {{"BDAT 18446744073709551617\r\n", "501"}}, true},
      {"3030 the largest number", {{"BDAT 18446744073709551615\r\n", "503"}}, true},
      {"3030 more than a number", {{"BDAT 1 FIRST\r\n", "501"}}, true},
      {"a browser", {{"GET / HTTP/1.1\r\nHost: x\r\n", "500"}}, true},
  };
  for (const Rule& rule : rules) {
    Talk talk;
    talk.server.Greet();
    talk.server.TakeOutput();
    for (const Step& step : rule.steps) EXPECT_EQ(Codes(talk.Say(step.say)), step.codes) << rule.name << "\n" << step.say.substr(0, 200);
    EXPECT_EQ(talk.ended(), rule.ends) << rule.name;
  }
}

TEST(SmtpServer, SaysWhatItIsAndWhatItCan) {
  Talk talk({.host = "mx.test", .mail_bytes_max = 1000, .starttls = true});
  talk.server.Greet();
  EXPECT_EQ(talk.server.TakeOutput(), "220 mx.test ESMTP\r\n");
  EXPECT_EQ(talk.Say("EHLO a\r\n"),
            "250-mx.test greets you\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-STARTTLS\r\n"
            "250 ENHANCEDSTATUSCODES\r\n");
  EXPECT_EQ(talk.Say("HELO a\r\n"), "250 mx.test\r\n");
  EXPECT_EQ(talk.Say("RSET\r\n"), "250 2.0.0 ok\r\n");
}

TEST(SmtpServer, GivesTheOwnerTheMailAsItWasMeant) {
  Talk talk;
  talk.Begin();
  EXPECT_EQ(
      talk.Say("MAIL FROM:<\"a b\"@c.example> SIZE=40 BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<x@mx.test>\r\nRCPT TO:<y@mx.test>\r\nDATA\r\n"),
      "250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n250 2.1.5 recipient ok\r\n354 end with a dot on a line of its own\r\n");
  EXPECT_EQ(talk.Say(std::string_view("..dot\r\n...\r\n\0\xFF\r\n\r\n.\r\n", 21)), "250 2.0.0 taken\r\n");
  ASSERT_EQ(talk.mails.size(), 1u);
  const Mail& mail = talk.mails[0];
  EXPECT_EQ(mail.data, std::string_view(".dot\r\n..\r\n\0\xFF\r\n\r\n", 16));
  EXPECT_EQ(mail.envelope.helo, "peer.test");
  EXPECT_TRUE(mail.envelope.esmtp && mail.envelope.eight_bit && mail.envelope.utf8);
  EXPECT_FALSE(mail.envelope.tls);
  EXPECT_EQ(mail.envelope.declared_bytes, 40u);
  EXPECT_EQ(mail.envelope.sender, (Mailbox{"a b", "c.example"}));
  EXPECT_EQ(mail.envelope.recipients, (std::vector<Mailbox>{{"x", "mx.test"}, {"y", "mx.test"}}));
  // The next one knows nothing of it.
  EXPECT_EQ(Codes(talk.Say("MAIL FROM:<>\r\nRCPT TO:<z@mx.test>\r\nBDAT 4\r\na\nb\rBDAT 3 LAST\r\n\nc.")), "250 250 250 250");
  ASSERT_EQ(talk.mails.size(), 2u);
  EXPECT_EQ(talk.mails[1].data, "a\nb\r\nc.");
  EXPECT_TRUE(talk.mails[1].envelope.sender.null());
  EXPECT_FALSE(talk.mails[1].envelope.eight_bit || talk.mails[1].envelope.utf8);
  EXPECT_EQ(talk.mails[1].envelope.recipients, (std::vector<Mailbox>{{"z", "mx.test"}}));
}

TEST(SmtpServer, NothingIsSaidToAMailBeforeItsOwnerHasAnswered) {
  for (const std::string_view body : {"DATA\r\nx\r\n.\r\n", "BDAT 1 LAST\r\nx"}) {
    Talk talk;
    talk.Mail();
    talk.server.Receive(std::string(body) + "NOOP\r\nQUIT\r\n");
    EXPECT_EQ(Codes(talk.server.TakeOutput()), body.starts_with("DATA") ? "354" : "");
    EXPECT_EQ(talk.server.state(), State::kAsksMail);
    EXPECT_FALSE(talk.server.wants_input());
    talk.server.Receive("NOOP\r\n");
    EXPECT_EQ(talk.server.TakeOutput(), "");
    const auto question = talk.server.TakeQuestion();
    ASSERT_TRUE(question);
    EXPECT_FALSE(talk.server.TakeQuestion());
    talk.server.Answer(question->number + 1, Reply::Accept());
    talk.server.Answer(question->number - 1, Reply::Accept());
    EXPECT_EQ(talk.server.TakeOutput(), "");
    talk.server.Answer(question->number, Reply::Accept("kept"));
    EXPECT_EQ(talk.server.TakeOutput(), "250 2.0.0 kept\r\n250 2.0.0 ok\r\n221 2.0.0 bye\r\n");
  }
}

TEST(SmtpServer, TheOwnerRefusesAndDefers) {
  Talk talk;
  talk.Begin();
  talk.on_recipient = [](const Mailbox& mailbox) {
    if (mailbox.local == "no") return Reply::Refuse(550, "5.1.1", "no such recipient");
    if (mailbox.local == "later") return Reply::Defer();
    return Reply::Accept();
  };
  EXPECT_EQ(talk.Say("MAIL FROM:<>\r\nRCPT TO:<no@b>\r\nRCPT TO:<later@b>\r\nDATA\r\n"),
            "250 2.1.0 sender ok\r\n550 5.1.1 no such recipient\r\n451 4.3.0 try again later\r\n554 5.5.1 no valid recipients\r\n");
  EXPECT_EQ(Codes(talk.Say("BDAT 5\r\nRSET\nRCPT TO:<yes@b>\r\n")), "554 250");
  for (const Reply& reply : {Reply::Refuse(554, "5.7.1", "not\r\n250 this\xFF"), Reply::Defer("the log is down")}) {
    talk.on_mail = [&](const Mail&) { return reply; };
    const std::string said = talk.Say("DATA\r\nx\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<yes@b>\r\n");
    EXPECT_EQ(Codes(said), reply.code == 554 ? "354 554 250 250" : "354 451 250 250");
    if (reply.code == 554) {
      EXPECT_NE(said.find("554 5.7.1 not??250 this?\r\n"), std::string::npos) << said;
    }
  }
  EXPECT_TRUE(talk.mails.empty());
  talk.on_mail = [&](const Mail&) { return Reply::Refuse(421, "4.3.2", "going down"); };
  EXPECT_EQ(Codes(talk.Say("DATA\r\nx\r\n.\r\nNOOP\r\n")), "354 421");
  EXPECT_TRUE(talk.ended());
}

TEST(SmtpServer, AnOwnerWhoIsLateIsAsGoodAsOneWhoDefers) {
  Talk talk;
  talk.Begin();
  talk.server.Receive("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\n");
  const auto first = talk.server.TakeQuestion();
  EXPECT_EQ(talk.server.wait_limit(), ServerTimeouts().decision);
  talk.server.TimedOut();
  EXPECT_EQ(Codes(talk.server.TakeOutput()), "250 451");
  talk.server.Answer(first->number, Reply::Accept());  // too late for the first, and not meant for the second
  EXPECT_EQ(talk.server.TakeOutput(), "");
  EXPECT_EQ(Codes(talk.Settle()), "250");
  EXPECT_EQ(talk.server.envelope().recipients, (std::vector<Mailbox>{{"c", "d"}}));
}

TEST(SmtpServer, WhoSpeaksBeforeTheGreetingIsRefused) {
  Talk talk;
  EXPECT_EQ(Codes(talk.Say("EHLO a\r\nMAIL FROM:<>\r\n")), "554");
  EXPECT_TRUE(talk.ended());
  talk.server.Greet();
  EXPECT_EQ(talk.server.TakeOutput(), "");
}

TEST(SmtpServer, StartTlsForgetsWhatWasSaidInPlain) {
  Talk talk({.host = "mx.test", .starttls = true});
  talk.server.Greet();
  talk.server.TakeOutput();
  EXPECT_EQ(Codes(talk.Say("STARTTLS\r\nEHLO a\r\nMAIL FROM:<>\r\nSTARTTLS x\r\n")), "503 250 250 501");
  // RFC 3207 §6, CVE-2011-0411: commands behind STARTTLS in the same packet are not carried out in the secured session.
  EXPECT_EQ(talk.Say("STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@x>\r\n"), "220 2.0.0 begin TLS\r\n");
  EXPECT_EQ(talk.server.state(), State::kTls);
  EXPECT_EQ(talk.Say("RSET\r\n"), "");
  talk.server.Secured({.version = "TLSv1.3", .cipher = "c"});
  EXPECT_EQ(Codes(talk.Say("MAIL FROM:<>\r\nSTARTTLS\r\n")), "503 503");  // §4.2: EHLO anew
  EXPECT_EQ(talk.Say("EHLO a\r\n").find("STARTTLS"), std::string::npos);
  EXPECT_EQ(Codes(talk.Say("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n.\r\n")), "250 250 354 250");
  ASSERT_TRUE(talk.mails.at(0).envelope.tls);
  EXPECT_EQ(talk.mails[0].envelope.tls->version, "TLSv1.3");
  EXPECT_EQ(talk.mails[0].envelope.helo, "a");
}

TEST(SmtpServer, EndsWithWhatNeverComesToAnEnd) {
  Talk errors;
  errors.server.Greet();
  std::string said;
  for (int i = 0; i < 30; ++i) said = errors.ended() ? said : errors.Say("FOO\r\n");
  EXPECT_EQ(Codes(said), "500 421");
  Talk idle;
  idle.Begin();
  for (int i = 0; i < 200; ++i) said = idle.ended() ? said : idle.Say("NOOP\r\n");
  EXPECT_EQ(Codes(said), "250 421");
  Talk busy;
  busy.Begin();
  for (int i = 0; i < 300; ++i) EXPECT_EQ(Codes(busy.Say("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n.\r\nRSET\r\n")), "250 250 354 250 250");
  EXPECT_EQ(busy.mails.size(), 300u);
  Talk late;
  late.Mail();
  late.Say("DATA\r\nx");
  EXPECT_EQ(late.server.wait_limit(), ServerTimeouts().data);
  late.server.TimedOut();
  EXPECT_EQ(late.server.TakeOutput(), "421 4.4.2 mx.test that took too long\r\n");
  EXPECT_TRUE(late.ended());
}

TEST(SmtpServer, AShutdownFinishesTheMailThatIsHalfThere) {
  for (const std::string_view begun : {"DATA\r\nx", "BDAT 3 LAST\r\nx", "BDAT 1\r\nx"}) {
    Talk talk;
    talk.Mail();
    talk.Say(begun);
    talk.server.Shutdown();
    EXPECT_FALSE(talk.ended());
    EXPECT_EQ(Codes(talk.Say(begun[0] == 'D' ? "\r\n.\r\n" : begun == "BDAT 1\r\nx" ? "BDAT 0 LAST\r\n" : "yz")), "250 421") << begun;
    EXPECT_TRUE(talk.ended());
    EXPECT_EQ(talk.mails.size(), 1u);
  }
  for (const std::string_view begun : {"", "NOO", "MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n"}) {
    Talk talk;
    talk.Begin();
    talk.Say(begun);
    talk.server.Shutdown();
    EXPECT_EQ(Codes(talk.server.TakeOutput()), "421");
    EXPECT_TRUE(talk.ended());
  }
  Talk reset;
  reset.Mail();
  reset.Say("BDAT 1\r\nx");
  reset.server.Shutdown();
  EXPECT_EQ(Codes(reset.Say("RSET\r\n")), "250 421");
}

// --- every cut ---

struct Came {
  std::string said;
  std::vector<std::string> mails;
  bool operator==(const Came&) const = default;
};

template <class NextSize>
Came Converse(std::string_view bytes, NextSize next_size) {
  Talk talk(
      {.host = "mx.test", .mail_bytes_max = 600, .drain_bytes_max = 3000, .recipients_max = 3, .errors_max = 6, .idle_commands_max = 8});
  talk.on_recipient = [](const Mailbox& mailbox) { return mailbox.local == "no" ? Reply::Refuse(550, "5.1.1", "no") : Reply::Accept(); };
  talk.on_mail = [](const Mail& mail) { return mail.data.size() % 5 == 4 ? Reply::Defer() : Reply::Accept(); };
  Came came;
  talk.server.Greet();
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, next_size());
    bytes.remove_prefix(part.size());
    came.said += talk.Say(part);
  }
  for (const Mail& mail : talk.mails) came.mails.push_back(fmt::format("{} {}", mail.envelope.recipients.size(), mail.data));
  return came;
}

TEST(SmtpServer, EveryCutOfThePeersBytesComesToTheSame) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::string large(700, 'l');
  const std::string long_line = "NOOP " + std::string(5000, 'x') + "\r\n";
  const std::vector<std::string> pieces = {"EHLO a\r\n",
                                           "EHLO a\r\n",
                                           "MAIL FROM:<>\r\n",
                                           "MAIL FROM:<a@b> SIZE=10\r\n",
                                           "RCPT TO:<a@b>\r\n",
                                           "RCPT TO:<a@b>\r\n",
                                           "RCPT TO:<no@b>\r\n",
                                           "DATA\r\n",
                                           "DATA\r\n",
                                           "a body\r\n",
                                           "..dots\r\n.x\r\n",
                                           ".\r\n",
                                           ".\r\n",
                                           "\r\n.\r\n",
                                           "\n.\r\n",
                                           "\r.\r\n",
                                           "\n.\n",
                                           "BDAT 10\r\n0123456789",
                                           "BDAT 5 LAST\r\nabcde",
                                           "BDAT 0\r\n",
                                           "BDAT 700\r\n" + large,
                                           large,
                                           long_line,
                                           "RSET\r\n",
                                           "NOOP\r\n",
                                           "FOO\r\n",
                                           "\r\n",
                                           "\r",
                                           "\n",
                                           "x",
                                           "BDAT 99999\r\n",
                                           "QUIT\r\n"};
  const std::string mail = "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n";
  size_t mails = 0;
  for (int round = 0; round < 1500; ++round) {
    std::string bytes = round % 2 == 0 ? mail : mail + "DATA\r\n";
    for (size_t count = random() % 25; count > 0; --count) bytes += pieces[random() % pieces.size()];
    const Came whole = Converse(bytes, [] { return SIZE_MAX; });
    mails += whole.mails.size();
    ASSERT_EQ(Converse(bytes, [] { return 1; }), whole) << bytes;
    ASSERT_EQ(Converse(bytes, [&] { return 1 + random() % (round % 3 == 0 ? 5 : 200); }), whole) << bytes;
  }
  EXPECT_GT(mails, 100u);
}

// --- hostile peers ---

TEST(SmtpServerHostile, NothingButCrLfDotCrLfEndsAMail) {
  // What receivers took for the end of data that senders did not (CVE-2023-51764, -51765, -51766).
  for (const std::string_view end : {"\n.\n", "\n.\r\n", "\r.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\n.\r", "\r\n.\r\r\n", "\r\r\n.\n"}) {
    Talk talk;
    talk.Mail();
    const std::string smuggled = "MAIL FROM:<evil@x>\r\nRCPT TO:<b@mx.test>\r\nDATA\r\nevil\r\n";
    EXPECT_EQ(Codes(talk.Say("DATA\r\nouter" + std::string(end) + smuggled)), "354") << end;
    EXPECT_EQ(Codes(talk.Say(".\r\n")), "550") << end;
    EXPECT_EQ(talk.mails.size(), 0u);
    EXPECT_EQ(talk.server.state(), State::kCommand);
  }
  Talk talk;
  talk.Mail();
  EXPECT_EQ(talk.Say("DATA\r\na\nb\r\n.\r\n"),
            "354 end with a dot on a line of its own\r\n550 5.6.11 the mail has a CR or LF of its own; lines end with CR LF\r\n");
  EXPECT_EQ(talk.server.mails_refused(), 1u);
  // NULs are kept, and hide no end.
  Talk nul;
  nul.Mail();
  const std::string_view text("a\r\n\0.\r\n.\0\r\nRSET\r\n", 17);
  EXPECT_EQ(Codes(nul.Say(fmt::format("DATA\r\n{}.\r\n", text))), "354 250");
  EXPECT_EQ(nul.mails.at(0).data, std::string_view("a\r\n\0.\r\n\0\r\nRSET\r\n", 16));
}

TEST(SmtpServerHostile, ALineOfTenMegabytes) {
  Talk talk;
  talk.Begin();
  std::string said;
  const std::string block(64 * 1024, 'x');
  for (int i = 0; i < 160; ++i) said += talk.Say(block);
  EXPECT_EQ(Codes(said), "500");
  EXPECT_TRUE(talk.ended());
  Talk body;
  body.Mail();
  body.Say("DATA\r\n");
  for (int i = 0; i < 160; ++i) {
    EXPECT_EQ(body.Say(block), "");
    EXPECT_LE(body.budget->used(), 2u << 20);
  }
  EXPECT_EQ(body.Say("\r\n.\r\n"), "552 5.3.4 the mail is too large\r\n");
  EXPECT_EQ(body.budget->used(), 0u);
}

TEST(SmtpServerHostile, AMailOfFiftyMegabytes) {
  Talk talk;
  talk.Mail();
  talk.Say("DATA\r\n");
  std::string block;
  while (block.size() < 1 << 20) block += "a line like any other\r\n";
  size_t blocks = 0;
  std::string said;
  for (; blocks < 50 && said.empty(); ++blocks) {
    said = talk.Say(block);
    EXPECT_LE(talk.budget->used(), 2u << 20);
  }
  EXPECT_EQ(said, "552 5.3.4 the mail is too large\r\n");
  EXPECT_EQ(blocks, 32u);  // drain_bytes_max, a little more than 1 MiB at a time
  EXPECT_TRUE(talk.ended());
}

TEST(SmtpServerHostile, TenThousandRecipients) {
  for (const Reply& answer : {Reply::Accept(), Reply::Defer(), Reply::Refuse(550, "5.1.1", "no")}) {
    Talk talk;
    size_t asked = 0;
    talk.on_recipient = [&](const Mailbox&) {
      ++asked;
      return answer;
    };
    talk.Begin();
    std::string bytes = "MAIL FROM:<>\r\n";
    for (int i = 0; i < 10'000; ++i) bytes += fmt::format("RCPT TO:<r{}@mx.test>\r\n", i);
    const std::string said = talk.Say(bytes);
    EXPECT_TRUE(said.ends_with("421 4.7.0 mx.test too many errors\r\n"));
    EXPECT_EQ(asked, answer.code == 550 ? 21u : 100u);
    EXPECT_EQ(said.find("452 4.5.3 too many recipients") != std::string::npos, answer.code != 550);
    EXPECT_LT(said.size(), 10'000u);
  }
}

TEST(SmtpServerHostile, ChunksThatLieAboutTheirSize) {
  // A chunk over the limit is read, not held, and what is in it is no command.
  Talk talk;
  talk.Mail();
  EXPECT_EQ(Codes(talk.Say("BDAT 3000000\r\n" + std::string(2'999'990, 'x') + "\r\nRSET\r\n\r\nNOOP\r\n")), "552 250");
  EXPECT_EQ(talk.budget->used(), 0u);
  EXPECT_EQ(Codes(talk.Say("BDAT 1 LAST\r\nx")), "503");  // the mail is over
  // One that is larger than all that is read: the connection ends at once.
  Talk huge;
  huge.Mail();
  EXPECT_EQ(Codes(huge.Say("BDAT 40000000\r\nRSET\r\n")), "552");
  EXPECT_TRUE(huge.ended());
  // Refused chunks add up.
  Talk many;
  many.Begin();
  std::string said;
  for (int i = 0; i < 5 && !many.ended(); ++i) said += many.Say("BDAT 10000000\r\n" + std::string(10'000'000, 'x'));
  EXPECT_EQ(Codes(said), "503 503 503 503");
  EXPECT_TRUE(many.ended());
  // A chunk for ever: empty ones are idle commands, others come to the limit.
  Talk empty;
  empty.Mail();
  for (int i = 0; i < 200 && !empty.ended(); ++i) said = empty.Say("BDAT 0\r\n");
  EXPECT_EQ(Codes(said), "421");
}

TEST(SmtpServerHostile, WithoutRoomMailsAreDeferred) {
  Talk talk({.host = "mx.test"}, 1 << 20);
  talk.Begin();
  EXPECT_EQ(Codes(talk.Say("MAIL FROM:<> SIZE=2000000\r\nRCPT TO:<a@b>\r\nDATA\r\n")), "250 250 452");
  EXPECT_EQ(Codes(talk.Say("RSET\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n")), "250 250 250 354");
  std::string body;
  while (body.size() < 1'500'000) body += "a line like any other\r\n";
  EXPECT_EQ(Codes(talk.Say(body)), "");
  EXPECT_EQ(talk.Say(".\r\n"), "452 4.3.1 no room for a mail at the moment\r\n");
  EXPECT_EQ(talk.server.mails_deferred(), 2u);
  EXPECT_EQ(talk.budget->used(), 0u);
  // A mail counts until its owner lets it go.
  const auto send = [&] { return Codes(talk.Say("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 400000 LAST\r\n" + std::string(400'000, 'x'))); };
  EXPECT_EQ(send(), "250 250 250");
  EXPECT_EQ(send(), "250 250 250");
  EXPECT_EQ(send(), "250 250 452");
  talk.mails.clear();
  EXPECT_EQ(talk.budget->used(), 0u);
  EXPECT_EQ(send(), "250 250 250");
}

}  // namespace
}  // namespace maily::mail
