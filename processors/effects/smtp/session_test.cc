// Conversations with scripted peers: every split of their bytes, and what each kind of loss at each step comes to.
#include "processors/effects/smtp/session.h"

#include <gtest/gtest.h>

namespace maily::smtp {
namespace {

using Kind = Verdict::Kind;
using State = Session::State;

constexpr std::string_view kGreeting = "220 relay ESMTP\r\n";
constexpr std::string_view kHello = "250-relay greets you\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n";
constexpr std::string_view kPlainHello = "250 relay\r\n";

std::string Take(Session& session) { return session.TakeOutput().bytes; }

Session Ready(std::string_view hello) {
  Session session({.helo = "client.example"});
  session.Receive(kGreeting);
  EXPECT_EQ(Take(session), "EHLO client.example\r\n");
  session.Receive(hello);
  EXPECT_EQ(session.state(), State::kReady);
  return session;
}

TEST(Session, PipelinesTheEnvelopeWhenOffered) {
  Session session = Ready(kHello);
  for (int round = 0; round < 2; ++round) {
    session.Start({"from@a.example", "to@b.example"}, "Subject: x\r\n\r\n.dot\r\n..two\r\nend\r\n");
    EXPECT_EQ(Take(session), "MAIL FROM:<from@a.example> SIZE=32\r\nRCPT TO:<to@b.example>\r\nDATA\r\n");
    session.Receive("250 ok\r\n250 ok\r\n354 go\r\n");
    const Session::Output body = session.TakeOutput();
    EXPECT_TRUE(body.has_dot);
    EXPECT_EQ(body.bytes, "Subject: x\r\n\r\n..dot\r\n...two\r\nend\r\n.\r\n");
    session.Receive("250 2.0.0 queued\r\n");
    const auto verdict = session.TakeVerdict();
    ASSERT_TRUE(verdict);
    EXPECT_EQ(verdict->kind, Kind::kDelivered);
    EXPECT_EQ(verdict->code, 250);
    EXPECT_EQ(verdict->enhanced, "2.0.0");
    EXPECT_EQ(verdict->text, "queued");
    EXPECT_EQ(session.state(), State::kReady);
  }
  session.Quit();
  EXPECT_EQ(Take(session), "QUIT\r\n");
  session.Receive("221 bye\r\n");
  EXPECT_EQ(session.state(), State::kDead);
}

TEST(Session, GoesStepByStepWithoutPipelining) {
  Session session = Ready(kPlainHello);
  session.Start({"", "to@b.example"}, "x");
  EXPECT_EQ(Take(session), "MAIL FROM:<>\r\n");
  session.Receive("250 ok\r\n");
  EXPECT_EQ(Take(session), "RCPT TO:<to@b.example>\r\n");
  session.Receive("250 ok\r\n");
  EXPECT_EQ(Take(session), "DATA\r\n");
  session.Receive("354 go\r\n");
  EXPECT_EQ(Take(session), "x\r\n.\r\n");
  session.Receive("250 ok\r\n");
  EXPECT_EQ(session.TakeVerdict()->kind, Kind::kDelivered);
}

TEST(Session, FallsBackToHelo) {
  Session session({.helo = "client.example"});
  session.Receive("220-hello\r\n220 there\r\n");
  Take(session);
  session.Receive("502 what?\r\n");
  EXPECT_EQ(Take(session), "HELO client.example\r\n");
  session.Receive("250 ok\r\n");
  EXPECT_EQ(session.state(), State::kReady);
}

// One conversation with one mail, cut at every place and fed in two and in single bytes.
TEST(Session, EverySplitOfThePeersBytesGivesTheSame) {
  const std::string before = std::string(kGreeting) + std::string(kHello);
  const std::string mail = "250-2.1.0 sender\r\n250 2.1.0 fine\r\n250 ok\r\n354 go\r\n";
  const std::string after = "550-5.1.1 no such\r\n550 5.1.1 user\r\n";
  const auto run = [&](size_t cut, bool single) {
    const std::string all = before + mail + after;
    Session session({.helo = "c"});
    std::string written;
    size_t fed = 0;
    bool started = false;
    while (fed < all.size()) {
      // The peer answers only what it was asked.
      size_t limit = !started ? before.size() : written.ends_with("\r\n.\r\n") ? all.size() : before.size() + mail.size();
      if (single) limit = std::min(limit, fed + 1);
      if (fed < cut) limit = std::min(limit, cut);
      session.Receive(std::string_view(all).substr(fed, limit - fed));
      fed = limit;
      written += Take(session);
      if (session.state() == State::kReady && !started) {
        started = true;
        session.Start({"f@a.example", "t@b.example"}, "body\r\n");
        written += Take(session);
      }
    }
    const auto verdict = session.TakeVerdict();
    EXPECT_TRUE(verdict);
    EXPECT_EQ(session.state(), State::kReset);
    return written + "|" + (verdict ? verdict->enhanced + verdict->text : "");
  };
  const std::string whole = run(0, false);
  EXPECT_TRUE(whole.ends_with("body\r\n.\r\nRSET\r\n|5.1.1no such user"));
  for (size_t cut = 1; cut < before.size() + mail.size() + after.size(); ++cut) EXPECT_EQ(run(cut, false), whole) << cut;
  EXPECT_EQ(run(0, true), whole);
}

TEST(Session, ARefusedRecipientIsABounceAndTheConnectionGoesOn) {
  Session session = Ready(kHello);
  session.Start({"f@a.example", "t@b.example"}, "x");
  Take(session);
  session.Receive("250 ok\r\n550 5.1.1 <t@b.example> unknown\r\n503 no\r\n");
  auto verdict = session.TakeVerdict();
  EXPECT_EQ(verdict->kind, Kind::kBounced);
  EXPECT_EQ(verdict->stage, Stage::kRcpt);
  EXPECT_EQ(verdict->enhanced, "5.1.1");
  EXPECT_EQ(Take(session), "RSET\r\n");
  session.Receive("250 ok\r\n");
  ASSERT_EQ(session.state(), State::kReady);
  session.Start({"f@a.example", "u@b.example"}, "x");
  Take(session);
  session.Receive("450 4.2.1 later\r\n503 no\r\n503 no\r\n");
  verdict = session.TakeVerdict();
  EXPECT_EQ(verdict->kind, Kind::kDeferred);
  EXPECT_EQ(verdict->stage, Stage::kMail);
  EXPECT_EQ(verdict->code, 450);
}

TEST(Session, NeverSendsABodyWithoutARecipient) {
  Session session = Ready(kHello);
  session.Start({"f@a.example", "t@b.example"}, "x");
  Take(session);
  session.Receive("250 ok\r\n550 no\r\n354 go on\r\n");
  EXPECT_EQ(session.TakeVerdict()->kind, Kind::kBounced);
  EXPECT_EQ(session.state(), State::kDead);
  EXPECT_EQ(Take(session), "");
}

TEST(Session, A4xxAfterTheDotIsDeferred) {
  Session session = Ready(kHello);
  session.Start({"f@a.example", "t@b.example"}, "x");
  Take(session);
  session.Receive("250 ok\r\n250 ok\r\n354 go\r\n");
  Take(session);
  session.Receive("451 4.3.0 full\r\n");
  const auto verdict = session.TakeVerdict();
  EXPECT_EQ(verdict->kind, Kind::kDeferred);
  EXPECT_EQ(verdict->stage, Stage::kDot);
  EXPECT_EQ(Take(session), "RSET\r\n");
}

// What an end of the conversation means, at each step. `how`: lost, 421, garbage.
struct Step {
  std::string_view bytes;  // of the peer, after a mail was started on a ready session without pipelining
  Kind lost;
  Kind said_421;
  Kind garbage;
  Stage stage;
};

TEST(Session, EveryStepKnowsWhatALossMeans) {
  const Step steps[] = {
      {"", Kind::kNotTried, Kind::kNotTried, Kind::kNotTried, Stage::kMail},
      {"250 ok\r\n", Kind::kDeferred, Kind::kDeferred, Kind::kDeferred, Stage::kRcpt},
      {"250 ok\r\n250 ok\r\n", Kind::kDeferred, Kind::kDeferred, Kind::kDeferred, Stage::kData},
      {"250 ok\r\n250 ok\r\n354 go\r\n", Kind::kUnknown, Kind::kDeferred, Kind::kUnknown, Stage::kDot},
      {"250 ok\r\n250 ok\r\n354 go\r\n250-half\r\n25", Kind::kUnknown, Kind::kUnknown, Kind::kUnknown, Stage::kDot},
  };
  for (const Step& step : steps) {
    for (int how = 0; how < 3; ++how) {
      Session session = Ready(kPlainHello);
      session.Start({"f@a.example", "t@b.example"}, "x");
      std::string_view rest = step.bytes;
      Take(session);
      while (!rest.empty()) {
        const size_t line = std::min(rest.find('\n'), rest.size() - 1) + 1;
        session.Receive(rest.substr(0, line));
        rest.remove_prefix(line);
        Take(session);
      }
      EXPECT_FALSE(session.TakeVerdict());
      if (how == 0) session.Lost("connection reset");
      if (how == 1) session.Receive("421 closing\r\n");
      if (how == 2) session.Receive("\x01\x02 nonsense\r\n");
      const auto verdict = session.TakeVerdict();
      ASSERT_TRUE(verdict) << step.bytes << how;
      EXPECT_EQ(verdict->kind, how == 0 ? step.lost : how == 1 ? step.said_421 : step.garbage) << step.bytes << how;
      EXPECT_EQ(verdict->stage, step.stage);
      EXPECT_EQ(session.state(), State::kDead);
    }
  }
}

TEST(Session, ALossBeforeTheBodyWasHandedToTheWireIsNoUnknown) {
  Session session = Ready(kHello);
  session.Start({"f@a.example", "t@b.example"}, "x");
  Take(session);
  session.Receive("250 ok\r\n250 ok\r\n354 go\r\n");
  session.Lost("reset");  // the output with the dot was never taken
  EXPECT_EQ(session.TakeVerdict()->kind, Kind::kDeferred);
}

TEST(Session, APeerThatIsNoSmtpServerIsGivenUp) {
  for (const std::string& bytes :
       {std::string("HTTP/1.1 400\r\n"), std::string("22\r\n"), std::string("220x\r\n"), std::string("220-a\r\n250 b\r\n"),
        std::string(5000, '2'), std::string("554 go away\r\n"), std::string("421 later\r\n")}) {
    Session session({.helo = "c"});
    session.Receive(bytes);
    EXPECT_EQ(session.state(), State::kDead) << bytes;
    EXPECT_EQ(session.failure().kind, Kind::kDeferred);
    EXPECT_EQ(session.failure().stage, Stage::kGreeting);
  }
  Session endless({.helo = "c"});
  for (int i = 0; i < 1000 && endless.state() != State::kDead; ++i) endless.Receive("220-" + std::string(400, 'x') + "\r\n");
  EXPECT_EQ(endless.state(), State::kDead);
}

TEST(Session, SpeakingOutOfTurnEndsAReadyConnection) {
  Session session = Ready(kHello);
  session.Receive("250 hello?\r\n");
  EXPECT_EQ(session.state(), State::kDead);
  Session closed = Ready(kHello);
  closed.Receive("421 idle too long\r\n");
  EXPECT_EQ(closed.state(), State::kDead);
  EXPECT_FALSE(closed.TakeVerdict());
}

TEST(Session, RefusesWhatThePeerOrTheProtocolCannotTake) {
  Session plain = Ready(kPlainHello);
  plain.Start({"f@a.example", "tö@b.example"}, "x");
  EXPECT_EQ(plain.TakeVerdict()->kind, Kind::kBounced);
  for (const std::string_view bad : {"a@b>\r\nRCPT TO:<c@d.example", "a b@c.example", "", "a@b\n"}) {
    plain.Start({"f@a.example", bad}, "x");
    EXPECT_EQ(plain.TakeVerdict()->kind, Kind::kBounced);
    EXPECT_EQ(Take(plain), "");
  }
  Session session = Ready(kHello);
  session.Start({"f@a.example", "t@b.example"}, std::string(1001, 'x'));
  EXPECT_EQ(session.TakeVerdict()->kind, Kind::kBounced);
  session.Start({"f@a.example", "tö@b.example"}, "x");
  EXPECT_TRUE(Take(session).starts_with("MAIL FROM:<f@a.example> SIZE=1 SMTPUTF8\r\n"));
}

TEST(Session, WaitsAsLongAsTheStandardAsks) {
  Session session({.helo = "c"});
  EXPECT_EQ(session.wait_limit(), Seconds(300));
  session.Receive(kGreeting);
  session.Receive(kHello);
  EXPECT_EQ(session.wait_limit(), Duration{});
  session.Start({"f@a.example", "t@b.example"}, "x");
  session.Receive("250 ok\r\n250 ok\r\n");
  EXPECT_EQ(session.wait_limit(), Seconds(120));
  session.Receive("354 go\r\n");
  EXPECT_EQ(session.wait_limit(), Seconds(600));
}

TEST(Session, EnhancedCodesMustFitTheirReply) {
  for (const auto& [line, code] :
       {std::pair("550 5.1.1 x", "5.1.1"), std::pair("550 4.1.1 x", ""), std::pair("550 5.1.1", "5.1.1"), std::pair("550 5..1 x", ""),
        std::pair("550 5.1.1234 x", ""), std::pair("550 5.1.10x", ""), std::pair("550", "")}) {
    Session session = Ready(kPlainHello);
    session.Start({"f@a.example", "t@b.example"}, "x");
    session.Receive(std::string(line) + "\r\n");
    EXPECT_EQ(session.TakeVerdict()->enhanced, code) << line;
  }
}

// ---- STARTTLS, AUTH, chunks ----

constexpr std::string_view kTlsHello = "250-relay\r\n250-STARTTLS\r\n250 PIPELINING\r\n";
constexpr std::string_view kAuthHello = "250-relay\r\n250-AUTH LOGIN PLAIN\r\n250 PIPELINING\r\n";

SessionOptions Securing(TlsUse tls, std::optional<Login> login = std::nullopt) {
  return {.helo = "client.example", .timeouts = {}, .tls = tls, .login = std::move(login)};
}
// Greeted, and its EHLO answered.
Session Hello(SessionOptions options, std::string_view hello) {
  Session session(std::move(options));
  session.Receive(kGreeting);
  Take(session);
  session.Receive(hello);
  return session;
}

TEST(Session, StartsTlsAndForgetsWhatWasOfferedBefore) {
  Session session = Hello(Securing(TlsUse::kIfOffered), kTlsHello);
  EXPECT_EQ(Take(session), "STARTTLS\r\n");
  EXPECT_EQ(session.state(), State::kStartTls);
  // What comes with the answer was not said under TLS (CVE-2011-0411).
  session.Receive("220 go\r\n250-injected\r\n250 CHUNKING\r\n");
  EXPECT_EQ(session.state(), State::kTls);
  session.Receive("250 more\r\n");
  EXPECT_EQ(session.state(), State::kTls);
  EXPECT_EQ(Take(session), "");
  session.Secured();
  EXPECT_EQ(Take(session), "EHLO client.example\r\n");
  session.Receive("250 relay\r\n");
  ASSERT_EQ(session.state(), State::kReady);
  session.Start({"f@a.example", "t@b.example"}, "x");
  EXPECT_EQ(Take(session), "MAIL FROM:<f@a.example>\r\n") << "pipelining was not offered again";
}

TEST(Session, WithoutTlsOnlyWhereItIsNotRequired) {
  const auto state = [](TlsUse tls, std::string_view hello, std::string_view answer) {
    Session session = Hello(Securing(tls), hello);
    session.Receive(answer);
    return session.state();
  };
  EXPECT_EQ(state(TlsUse::kNever, kTlsHello, ""), State::kReady);
  EXPECT_EQ(state(TlsUse::kIfOffered, kPlainHello, ""), State::kReady);
  EXPECT_EQ(state(TlsUse::kIfOffered, kTlsHello, "454 4.7.0 not now\r\n"), State::kReady);
  EXPECT_EQ(state(TlsUse::kRequired, kTlsHello, "454 4.7.0 not now\r\n"), State::kDead);
  EXPECT_EQ(state(TlsUse::kRequired, kPlainHello, ""), State::kDead);
  Session session = Hello(Securing(TlsUse::kRequired), kTlsHello);
  session.Receive("454 4.7.0 not now\r\n");
  EXPECT_EQ(session.failure().kind, Kind::kDeferred);
  EXPECT_EQ(session.failure().stage, Stage::kStartTls);
  EXPECT_EQ(session.failure().code, 454);
}

// A session that has TLS, and has been told `hello` under it.
Session Secure(Login login, std::string_view hello) {
  Session session = Hello(Securing(TlsUse::kRequired, std::move(login)), kTlsHello);
  session.Receive("220 go\r\n");
  session.Secured();
  Take(session);
  session.Receive(hello);
  return session;
}

TEST(Session, LogsInUnderTlsOnly) {
  const Login login{"me@a.example", "pa:ss"};
  Session plain = Secure(login, kAuthHello);
  EXPECT_EQ(Take(plain), "AUTH PLAIN AG1lQGEuZXhhbXBsZQBwYTpzcw==\r\n");
  plain.Receive("235 2.7.0 welcome\r\n");
  EXPECT_EQ(plain.state(), State::kReady);

  Session stepwise = Secure(login, "250-relay\r\n250 AUTH  LOGIN CRAM-MD5\r\n");
  EXPECT_EQ(Take(stepwise), "AUTH LOGIN\r\n");
  stepwise.Receive("334 VXNlcm5hbWU6\r\n");
  EXPECT_EQ(Take(stepwise), "bWVAYS5leGFtcGxl\r\n");
  stepwise.Receive("334 UGFzc3dvcmQ6\r\n");
  EXPECT_EQ(Take(stepwise), "cGE6c3M=\r\n");
  stepwise.Receive("235 ok\r\n");
  EXPECT_EQ(stepwise.state(), State::kReady);

  Session refused = Secure(login, kAuthHello);
  refused.Receive("535 5.7.8 wrong\r\n");
  EXPECT_EQ(refused.state(), State::kDead);
  EXPECT_EQ(refused.failure().kind, Kind::kDeferred) << "the mail is not at fault";
  EXPECT_EQ(refused.failure().stage, Stage::kAuth);
  EXPECT_EQ(refused.failure().code, 535);

  Session asks_for_ever = Secure(login, kAuthHello);
  asks_for_ever.Receive("334 \r\n");
  EXPECT_EQ(asks_for_ever.state(), State::kDead);
  EXPECT_EQ(Secure(login, "250-relay\r\n250 AUTH GSSAPI\r\n").state(), State::kDead);
  EXPECT_EQ(Secure(login, kPlainHello).state(), State::kDead);

  for (const TlsUse tls : {TlsUse::kNever, TlsUse::kIfOffered}) {
    Session open = Hello(Securing(tls, login), kAuthHello);
    EXPECT_EQ(open.state(), State::kDead);
    EXPECT_EQ(Take(open), "");
    EXPECT_NE(open.failure().text.find("without TLS"), std::string::npos);
  }
}

TEST(Session, SendsAMailAsOneChunkWhereThatIsOffered) {
  for (const bool pipelining : {false, true}) {
    Session session = Ready(pipelining ? "250-relay\r\n250-PIPELINING\r\n250 CHUNKING\r\n" : "250-relay\r\n250 CHUNKING\r\n");
    session.Start({"f@a.example", "t@b.example"}, ".a\r\n.\r\nb");
    std::string written = Take(session);
    if (!pipelining) {
      session.Receive("250 ok\r\n");
      written += Take(session);
    }
    EXPECT_EQ(written, "MAIL FROM:<f@a.example>\r\nRCPT TO:<t@b.example>\r\n");
    session.Receive(pipelining ? "250 ok\r\n250 ok\r\n" : "250 ok\r\n");
    EXPECT_TRUE(session.dot_is_next());
    const Session::Output body = session.TakeOutput();
    EXPECT_TRUE(body.has_dot);
    EXPECT_EQ(body.bytes, "BDAT 10 LAST\r\n.a\r\n.\r\nb\r\n");
    session.Lost("reset");
    EXPECT_EQ(session.TakeVerdict()->kind, Kind::kUnknown);
  }
  Session session = Ready("250-relay\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
  session.Start({"f@a.example", "t@b.example"}, "x");
  session.Receive("250 ok\r\n550 5.1.1 no\r\n");
  EXPECT_EQ(session.TakeVerdict()->kind, Kind::kBounced);
  EXPECT_EQ(session.state(), State::kReset);
}

TEST(Session, EightBitMailsAreAnnouncedOrRefused) {
  Session session = Ready(kHello);
  session.Start({"f@a.example", "t@b.example"}, "gr\xC3\xBC\xC3\x9F\r\n");
  EXPECT_TRUE(Take(session).starts_with("MAIL FROM:<f@a.example> SIZE=8 BODY=8BITMIME\r\n"));
  Session plain = Ready(kPlainHello);
  plain.Start({"f@a.example", "t@b.example"}, "gr\xC3\xBC\xC3\x9F\r\n");
  EXPECT_EQ(plain.TakeVerdict()->kind, Kind::kBounced);
}

// The base64 of a tail: no line begins with a dot.
std::string TailOf(size_t lines) {
  std::string tail;
  for (size_t i = 0; i < lines; ++i) tail += std::string(76, static_cast<char>('a' + i % 26)) + "\r\n";
  return tail;
}

TEST(Session, ATailGoesOutInPiecesAndTheDotWithTheLast) {
  const std::string tail = TailOf(Session::kPieceBytes / 78 * 2 + 100);
  for (const bool chunking : {false, true}) {
    Session session = Ready(chunking ? "250-relay\r\n250-PIPELINING\r\n250-SIZE 9000000\r\n250 CHUNKING\r\n"
                                     : "250-relay\r\n250-PIPELINING\r\n250 SIZE 9000000\r\n");
    for (int round = 0; round < 2; ++round) {
      const std::string head = "Subject: x\r\n\r\n.dot\r\n--b\r\n";
      session.Start({"f@a.example", "t@b.example"}, head, tail);
      EXPECT_TRUE(Take(session).starts_with(fmt::format("MAIL FROM:<f@a.example> SIZE={}\r\n", head.size() + tail.size())));
      session.Receive(chunking ? "250 ok\r\n250 ok\r\n" : "250 ok\r\n250 ok\r\n354 go\r\n");
      std::string written;
      size_t pieces = 0;
      for (;;) {
        const bool next = session.dot_is_next();
        const Session::Output output = session.TakeOutput();
        EXPECT_EQ(output.has_dot, next);
        EXPECT_LE(output.bytes.size(), Session::kPieceBytes + 100);
        ++pieces;
        written += output.bytes;
        if (output.has_dot) break;
        ASSERT_FALSE(output.bytes.empty());
        EXPECT_FALSE(session.TakeVerdict());
      }
      EXPECT_EQ(pieces, 4u);  // the head, and three
      EXPECT_EQ(Take(session), "");
      EXPECT_EQ(written, chunking ? fmt::format("BDAT {} LAST\r\n", head.size() + tail.size()) + head + tail
                                  : "Subject: x\r\n\r\n..dot\r\n--b\r\n" + tail + ".\r\n");
      session.Receive("250 2.0.0 queued\r\n");
      EXPECT_EQ(session.TakeVerdict()->kind, Kind::kDelivered);
      EXPECT_EQ(session.state(), State::kReady);
    }
  }
}

// Before the last piece is on the wire a mail was not handed over, whatever ends; after it nobody knows.
TEST(Session, WhatEndsBetweenPiecesWasNotHandedOver) {
  const std::string tail = TailOf(Session::kPieceBytes / 78 * 2 + 100);
  struct Case {
    std::string_view says;
    Kind kind;
  };
  for (const Case& one :
       {Case{"", Kind::kDeferred}, Case{"552 5.3.4 too large\r\n", Kind::kBounced}, Case{"452 4.3.1 full\r\n", Kind::kDeferred},
        Case{"250 taken?\r\n", Kind::kDeferred}, Case{"421 bye\r\n", Kind::kDeferred}}) {
    for (size_t taken = 1; taken <= 4; ++taken) {
      Session session = Ready(kPlainHello);
      session.Start({"f@a.example", "t@b.example"}, "x\r\n", tail);
      for (const std::string_view reply : {"250 ok\r\n", "250 ok\r\n", "354 go\r\n"}) {
        Take(session);
        session.Receive(reply);
      }
      for (size_t i = 0; i < taken; ++i) EXPECT_EQ(session.TakeOutput().has_dot, i == 3);
      if (one.says.empty()) {
        session.Lost("reset");
      } else {
        session.Receive(one.says);
      }
      const auto verdict = session.TakeVerdict();
      ASSERT_TRUE(verdict) << one.says << taken;
      if (taken < 3) {
        EXPECT_EQ(verdict->kind, one.kind) << one.says << taken;
        EXPECT_EQ(session.state(), State::kDead);
      } else if (taken == 4) {
        const Kind last = one.says.empty() ? Kind::kUnknown : one.says.starts_with("250") ? Kind::kDelivered : one.kind;
        EXPECT_EQ(verdict->kind, last) << one.says;
      } else {
        EXPECT_NE(verdict->kind, Kind::kUnknown);  // the last piece waits to be taken
        EXPECT_NE(verdict->kind, Kind::kDelivered);
      }
    }
  }
}

}  // namespace
}  // namespace maily::smtp
