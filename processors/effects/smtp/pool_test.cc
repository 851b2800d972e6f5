// The pool over a relay that refuses, closes, hangs and comes back.
#include "processors/effects/smtp/pool.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "processors/effects/smtp/fixture.h"
#include "streams/tls/test_certificate.h"

namespace maily::smtp {
namespace {

using Kind = Verdict::Kind;

struct World {
  ManualExecutor executor;
  FakeRelay relay{executor};
  std::vector<std::string> log;  // what mails were told
  std::vector<Verdict> verdicts;
  bool may_begin = true;
  bool in_time = true;
  std::unique_ptr<Pool> pool;

  void Make(PoolOptions options = {}) { pool = std::make_unique<Pool>(options, relay, executor, executor); }
  void Submit(int n);
  size_t Count(Kind kind) const {
    return static_cast<size_t>(std::count_if(verdicts.begin(), verdicts.end(), [&](const Verdict& v) { return v.kind == kind; }));
  }
};

class TestMail : public Mail {
 public:
  TestMail(World& world, int number) : world_(world), to_(fmt::format("{}@b.example", number)) {}
  TestMail(World& world, std::string to, bool urgent) : world_(world), urgent_(urgent), to_(std::move(to)) {}
  bool urgent() const override { return urgent_; }
  const std::string& mail_from() const override { return from_; }
  const std::string& rcpt_to() const override { return to_; }
  const std::string& data() const override { return data_; }
  bool InTime() override { return world_.in_time; }
  bool Begin() override {
    if (!world_.may_begin) return false;
    world_.log.push_back("begin " + to_);
    return true;
  }
  void DotSent() override { world_.log.push_back("dot " + to_); }
  void Done(const Verdict& verdict) override {
    world_.log.push_back("done " + to_);
    world_.verdicts.push_back(verdict);
  }

 private:
  World& world_;
  const bool urgent_ = false;
  const std::string from_ = "f@a.example";
  const std::string to_;
  const std::string data_ = "Subject: x\r\n\r\nhello\r\n";
};

void World::Submit(int n) {
  static int number = 0;
  for (int i = 0; i < n; ++i) pool->Submit(std::make_unique<TestMail>(*this, ++number));
}

TEST(Pool, KeepsConnectionsUpToItsLimitAndCarriesManyMails) {
  World world;
  world.Make({.connections = 4, .mails_per_connection = 1000});
  world.Submit(100);
  world.executor.Run();
  EXPECT_EQ(world.relay.received.size(), 100u);
  EXPECT_EQ(world.Count(Kind::kDelivered), 100u);
  EXPECT_EQ(world.relay.dials, 4);
  EXPECT_EQ(world.pool->connections(), 4u);
  world.Submit(1);
  world.executor.Run();
  EXPECT_EQ(world.relay.dials, 4);
  world.executor.Advance(Seconds(70));  // idle ones are ended politely
  EXPECT_EQ(world.pool->connections(), 0u);
  EXPECT_EQ(world.relay.open, 0);
  EXPECT_FALSE(world.pool->down());
  world.executor.Advance(Seconds(5));
  EXPECT_FALSE(world.executor.has_timers());
}

TEST(Pool, UrgentMailsGoFirstAndTheOthersHaveOneTurnInEight) {
  World world;
  world.Make({.connections = 1});
  const auto submit = [&](const std::string& to, bool urgent) { world.pool->Submit(std::make_unique<TestMail>(world, to, urgent)); };
  for (int n = 1; n <= 3; ++n) submit(fmt::format("o{}@b.example", n), false);
  for (int n = 1; n <= 16; ++n) submit(fmt::format("u{}@b.example", n), true);
  world.executor.Run();
  std::vector<std::string> begun;
  for (const std::string& line : world.log) {
    if (line.starts_with("begin ")) begun.push_back(line.substr(6, line.find('@') - 6));
  }
  EXPECT_EQ(begun, (std::vector<std::string>{"u1", "u2", "u3", "u4", "u5", "u6", "u7", "o1", "u8", "u9", "u10", "u11", "u12", "u13", "u14",
                                             "o2", "u15", "u16", "o3"}));
}

TEST(Pool, EndsAConnectionAfterItsMails) {
  World world;
  world.Make({.connections = 1, .mails_per_connection = 10});
  world.Submit(35);
  world.executor.Run();
  EXPECT_EQ(world.relay.received.size(), 35u);
  EXPECT_EQ(world.relay.dials, 4);
}

TEST(Pool, EachMailIsToldItsStepsInOrder) {
  World world;
  world.Make({.connections = 1});
  world.Submit(1);
  world.executor.Run();
  ASSERT_EQ(world.log.size(), 3u);
  EXPECT_TRUE(world.log[0].starts_with("begin") && world.log[1].starts_with("dot") && world.log[2].starts_with("done"));
}

TEST(Pool, WaitsForARelayThatIsDownAndProbesWithOneConnection) {
  World world;
  world.relay.refuse = true;
  world.Make({.connections = 16, .wait_down_max = Seconds(60)});
  world.Submit(20);
  world.executor.Run();
  const int first_burst = world.relay.dials;  // all at once, before anybody knew
  EXPECT_LE(first_burst, 16);
  EXPECT_TRUE(world.pool->down());
  EXPECT_EQ(world.pool->trouble(), "connection refused");
  world.executor.Advance(Seconds(10));
  EXPECT_GE(world.relay.dials - first_burst, 4);
  EXPECT_LE(world.relay.dials - first_burst, 7);  // 0.25 0.5 1 2 4 8 …
  EXPECT_TRUE(world.verdicts.empty());
  world.relay.refuse = false;
  world.executor.Advance(Seconds(10));
  EXPECT_EQ(world.Count(Kind::kDelivered), 20u);
  EXPECT_FALSE(world.pool->down());
  EXPECT_EQ(world.pool->trouble(), "");
}

TEST(Pool, AMailThatWaitsTooLongIsDeferredWithTheReason) {
  World world;
  world.relay.refuse = true;
  world.Make({.connections = 2});
  world.Submit(3);
  world.executor.Advance(Seconds(9));
  EXPECT_EQ(world.pool->waiting(), 3u);
  world.executor.Advance(Seconds(3));
  ASSERT_EQ(world.Count(Kind::kDeferred), 3u);
  EXPECT_EQ(world.verdicts[0].stage, Stage::kConnect);
  EXPECT_EQ(world.verdicts[0].text, "connection refused");
  EXPECT_EQ(world.pool->waiting(), 0u);
}

TEST(Pool, ARelayThatGreetsWith554IsDown) {
  World world;
  world.relay.hook = [](const std::string& command, const std::string&) { return command == "connect" ? "554 not you\r\n" : ""; };
  world.Make({.connections = 2});
  world.Submit(1);
  world.executor.Advance(Seconds(62));
  ASSERT_EQ(world.Count(Kind::kDeferred), 1u);
  EXPECT_EQ(world.verdicts[0].stage, Stage::kGreeting);
  EXPECT_EQ(world.verdicts[0].code, 554);
  EXPECT_LT(world.relay.dials, 12);
}

TEST(Pool, AKeptConnectionThatIsGoneIsNoAttempt) {
  for (const std::string how : {"close", "421 4.3.2 too many mails\r\n"}) {
    World world;
    int mails = 0;
    world.relay.hook = [&](const std::string& command, const std::string&) {
      return command == "MAIL" && ++mails % 3 == 0 ? how : std::string();
    };
    world.Make({.connections = 1});
    world.Submit(30);
    world.executor.Run();
    EXPECT_EQ(world.Count(Kind::kDelivered), 30u) << how;
    EXPECT_EQ(world.relay.received.size(), 30u);
    EXPECT_FALSE(world.pool->down());
  }
}

TEST(Pool, AFreshConnectionThatFailsAtMailIsAnAttemptAndBacksOff) {
  World world;
  world.relay.hook = [](const std::string& command, const std::string&) { return command == "MAIL" ? "close" : ""; };
  world.Make({.connections = 4});
  world.Submit(8);
  world.executor.Run();
  EXPECT_EQ(world.Count(Kind::kDeferred), 4u);
  EXPECT_TRUE(world.pool->down());
  world.relay.hook = nullptr;
  world.executor.Advance(Seconds(2));
  EXPECT_EQ(world.Count(Kind::kDelivered), 4u);
}

TEST(Pool, ALostReplyIsUnknownAndNeverRepeated) {
  World world;
  int dots = 0;
  world.relay.hook = [&](const std::string& command, const std::string&) { return command == "dot" && ++dots == 2 ? "close" : ""; };
  world.Make({.connections = 1});
  world.Submit(5);
  world.executor.Run();
  EXPECT_EQ(world.Count(Kind::kUnknown), 1u);
  EXPECT_EQ(world.Count(Kind::kDelivered), 4u);
  EXPECT_EQ(dots, 5);
}

TEST(Pool, NoReplyInTimeEndsTheConnection) {
  World world;
  world.relay.hook = [](const std::string& command, const std::string&) { return command == "RCPT" ? "hang" : ""; };
  world.relay.pipelining = false;
  world.Make({.connections = 1, .mails_per_connection = 1000});
  world.Submit(1);
  world.executor.Advance(Seconds(290));
  EXPECT_TRUE(world.verdicts.empty());
  world.executor.Advance(Seconds(15));
  ASSERT_EQ(world.Count(Kind::kDeferred), 1u);
  EXPECT_EQ(world.verdicts[0].stage, Stage::kRcpt);
}

TEST(Pool, ARefusedMailDoesNotHoldUpOthers) {
  World world;
  int n = 0;
  world.relay.hook = [&](const std::string& command, const std::string&) {
    return command == "RCPT" && ++n % 2 == 0 ? "550 5.1.1 no\r\n" : "";
  };
  world.relay.pipelining = false;
  world.Make({.connections = 2});
  world.Submit(40);
  world.executor.Run();
  EXPECT_EQ(world.Count(Kind::kBounced), 20u);
  EXPECT_EQ(world.Count(Kind::kDelivered), 20u);
  EXPECT_EQ(world.relay.dials, 2);
}

TEST(Pool, NotNowWaitsForPump) {
  World world;
  world.may_begin = false;
  world.Make({.connections = 2});
  world.Submit(3);
  world.executor.Run();
  EXPECT_EQ(world.pool->waiting(), 3u);
  world.may_begin = true;
  world.pool->Pump();
  world.executor.Run();
  EXPECT_EQ(world.Count(Kind::kDelivered), 3u);
}

TEST(Pool, DrainFinishesWhatIsOnTheWireAndStartsNothing) {
  World world;
  world.Make({.connections = 2});
  world.Submit(10);
  world.relay.hook = [&](const std::string& command, const std::string&) { return command == "DATA" ? "hang" : ""; };
  world.executor.Run();
  EXPECT_EQ(world.log.size(), 2u);
  bool drained = false;
  world.pool->Drain([&] { drained = true; });
  world.executor.Run();
  EXPECT_FALSE(drained);
  world.executor.Advance(Seconds(130));  // their time-out
  EXPECT_TRUE(drained);
  EXPECT_EQ(world.verdicts.size(), 2u);
  EXPECT_EQ(world.pool->waiting(), 8u);
  world.pool->Drop([](const Mail&) { return true; });
  EXPECT_EQ(world.pool->waiting(), 0u);
}

TEST(Pool, AMailWhoseTimeIsOverNeitherBeginsNorGetsItsFinalDot) {
  World world;
  world.Make({.connections = 1});
  world.relay.hook = [&](const std::string& command, const std::string&) {
    if (command == "DATA") world.in_time = false;
    return "";
  };
  world.Submit(3);
  world.executor.Run();
  EXPECT_EQ(world.Count(Kind::kLate), 3u);
  EXPECT_TRUE(world.relay.received.empty());
  size_t begun = 0;
  for (const auto& line : world.log) {
    begun += line.starts_with("begin") ? 1u : 0u;
    EXPECT_FALSE(line.starts_with("dot")) << line;
  }
  EXPECT_EQ(begun, 1u);
  EXPECT_FALSE(world.pool->down());
  // Others go on.
  world.relay.hook = nullptr;
  world.in_time = true;
  world.Submit(2);
  world.executor.Run();
  EXPECT_EQ(world.Count(Kind::kDelivered), 2u);
}

TEST(Pool, AnIdlePoolDrainsAtOnceAndDestructionMidwayIsQuiet) {
  World world;
  world.Make({.connections = 3});
  bool drained = false;
  world.pool->Drain([&] { drained = true; });
  world.executor.Run();
  EXPECT_TRUE(drained);
  world.Make({.connections = 3});
  world.Submit(5);
  world.pool.reset();
  world.executor.Advance(Seconds(100));
  EXPECT_TRUE(world.verdicts.empty());
  EXPECT_EQ(world.relay.open, 0);
}

// ---- TLS and logins ----

// A relay with a certificate for its name, and what a client needs to trust it.
struct Certified {
  explicit Certified(World& world, const std::string& name = "relay.test") {
    std::string path = (std::filesystem::temp_directory_path() / "maily_roots_XXXXXX").string();
    const int file = mkstemp(path.data());
    MAILY_CHECK(file >= 0, "mkstemp {}", path);
    const tls::TestCertificate made = tls::MakeTestCertificate(name);
    MAILY_CHECK(write(file, made.roots.data(), made.roots.size()) == static_cast<ssize_t>(made.roots.size()), "write {}", path);
    close(file);
    world.relay.tls = tls::Context::Server(made.chain, made.key).value();
    options.tls = tls::Context::Client(path).value();
    std::filesystem::remove(path);
    options.relay = {"relay.test", 25};
    options.connections = 1;
  }
  PoolOptions options;
};

TEST(Pool, SecuresConnectionsAndSaysHow) {
  World world;
  Certified relay(world);
  world.relay.chunking = true;
  relay.options.verify = tls::Verify::kRequire;
  relay.options.session = {.tls = TlsUse::kRequired, .login = Login{"me", "secret"}};
  std::string auth;
  world.relay.hook = [&](const std::string& command, const std::string& rest) {
    if (command == "AUTH") auth = rest;
    return std::string();
  };
  world.Make(relay.options);
  world.Submit(3);
  world.executor.Run();
  EXPECT_EQ(auth, "PLAIN AG1lAHNlY3JldA==");
  ASSERT_EQ(world.Count(Kind::kDelivered), 3u);
  EXPECT_EQ(world.relay.secured, 1);
  EXPECT_EQ(world.relay.received.at(2).data, "Subject: x\r\n\r\nhello\r\n");
  ASSERT_TRUE(world.verdicts[0].tls);
  EXPECT_EQ(world.verdicts[0].tls->version, "TLSv1.3");
  EXPECT_TRUE(world.verdicts[0].tls->verified);
  EXPECT_EQ(world.log[1].substr(0, 3), "dot") << "of the bytes before they are encrypted";
}

TEST(Pool, ACertificateOfAnotherNameIsNotedOrRefused) {
  for (const tls::Verify verify : {tls::Verify::kRecord, tls::Verify::kRequire}) {
    World world;
    Certified relay(world, "other.test");
    relay.options.verify = verify;
    relay.options.session.tls = TlsUse::kRequired;
    world.Make(relay.options);
    world.Submit(1);
    world.executor.Advance(Seconds(20));
    ASSERT_EQ(world.verdicts.size(), 1u);
    if (verify == tls::Verify::kRecord) {
      EXPECT_EQ(world.verdicts[0].kind, Kind::kDelivered);
      EXPECT_FALSE(world.verdicts[0].tls->verified);
      EXPECT_EQ(world.verdicts[0].tls->why_not, "hostname mismatch");
      continue;
    }
    EXPECT_EQ(world.verdicts[0].kind, Kind::kDeferred);
    EXPECT_EQ(world.verdicts[0].stage, Stage::kStartTls);
    EXPECT_NE(world.verdicts[0].text.find("hostname mismatch"), std::string::npos) << world.verdicts[0].text;
    EXPECT_TRUE(world.relay.received.empty());
    EXPECT_TRUE(world.pool->down());
  }
}

// Where TLS is only welcome, a relay whose TLS is broken gets its mail all the same; ten minutes later TLS is tried again.
TEST(Pool, ABrokenHandshakeIsGoneRoundWhereTlsIsNotRequired) {
  World world;
  Certified relay(world);
  relay.options.session.tls = TlsUse::kIfOffered;
  world.relay.tls_broken = true;
  world.Make(relay.options);
  world.Submit(1);
  world.executor.Advance(Seconds(5));
  ASSERT_EQ(world.Count(Kind::kDelivered), 1u);
  EXPECT_FALSE(world.verdicts[0].tls);
  world.relay.tls_broken = false;
  world.Submit(1);
  world.executor.Advance(Seconds(700));
  world.Submit(1);
  world.executor.Run();
  ASSERT_EQ(world.Count(Kind::kDelivered), 3u);
  EXPECT_FALSE(world.verdicts[1].tls);
  EXPECT_TRUE(world.verdicts[2].tls);
}

TEST(Pool, AWrongPasswordIsNoFaultOfTheMail) {
  World world;
  Certified relay(world);
  relay.options.session = {.tls = TlsUse::kRequired, .login = Login{"me", "wrong"}};
  world.relay.hook = [](const std::string& command, const std::string&) {
    return command == "AUTH" ? std::string("535 5.7.8 wrong\r\n") : std::string();
  };
  world.Make(relay.options);
  world.Submit(1);
  world.executor.Advance(Seconds(20));
  ASSERT_EQ(world.verdicts.size(), 1u);
  EXPECT_EQ(world.verdicts[0].kind, Kind::kDeferred);
  EXPECT_EQ(world.verdicts[0].code, 535);
  EXPECT_EQ(world.pool->trouble(), "wrong");
}

}  // namespace
}  // namespace maily::smtp
