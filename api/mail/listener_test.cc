// The listener over a simulated network: what is bounded, what is waited for, and how it ends.
#include "api/mail/listener.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "api/mail/fixture.h"
#include "streams/adapters/sim/sim_net.h"
#include "streams/observe/metrics.h"
#include "streams/tls/test_certificate.h"

namespace maily::mail {
namespace {

const Endpoint kAt{"10.0.0.1", 25};

// Answers at once, or keeps the questions.
class Owner : public MailOwner {
 public:
  void Recipient(const Endpoint&, const Envelope&, const Mailbox& recipient, Answer answer) override {
    if (recipient.local == "no") return answer(Reply::Refuse(550, "5.1.1", "no such recipient"));
    answer(Reply::Accept());
  }
  void Take(const Endpoint& peer, Mail mail, Answer answer) override {
    peers.push_back(peer);
    mails.push_back(std::move(mail));
    if (on_mail) return on_mail(std::move(answer));
    answer(Reply::Accept("taken"));
  }
  std::function<void(Answer)> on_mail;
  std::vector<Mail> mails;
  std::vector<Endpoint> peers;
};

// Sends the parts of its script, each when the reply to the one before is there.
class Client {
 public:
  Client(Dialer& dialer, std::deque<std::string> script) : script_(std::move(script)) {
    dialer.Dial(kAt, Seconds(10), [this](Result<std::unique_ptr<Connection>> dialed) {
      if (!dialed) {
        closed = true;
        return;
      }
      connection_ = std::move(*dialed);
      Read();
    });
  }
  void Send(std::string bytes) {
    if (connection_ != nullptr) connection_->Write(std::move(bytes), [](const Result<void>&) {});
  }
  void Leave() { connection_.reset(); }
  std::string codes() const { return Codes(said); }

  std::string said;
  bool closed = false;

 private:
  void Read() {
    connection_->Read(4096, [this](Result<std::string> bytes) {
      if (!bytes || bytes->empty()) {
        closed = true;
        return connection_.reset();
      }
      said += *bytes;
      // The last line is whole, and the last of its reply.
      const size_t line = said.size() < 3                                            ? 0
                          : said.rfind("\r\n", said.size() - 3) == std::string::npos ? 0
                                                                                     : said.rfind("\r\n", said.size() - 3) + 2;
      if (said.ends_with("\r\n") && said.size() > line + 3 && said[line + 3] == ' ' && !script_.empty()) {
        Send(std::move(script_.front()));
        script_.pop_front();
      }
      Read();
    });
  }
  std::deque<std::string> script_;
  std::unique_ptr<Connection> connection_;
};

std::deque<std::string> MailScript(const std::string& body = "Subject: x\r\n\r\nx\r\n") {
  return {"EHLO peer.test\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<a@mx.test>\r\n", "DATA\r\n", body + ".\r\n", "QUIT\r\n"};
}
constexpr std::string_view kGoodCodes = "220 250 250 250 354 250 221";

class MailListenerTest : public testing::Test {
 protected:
  void Start() {
    options.listen = kAt;
    options.server.host = "mx.test";
    listener = MailListener::Start(*server, *server_executor, scheduler.clock(), owner, options).value();
  }
  Client& Connect(std::deque<std::string> script = {}) {
    clients.push_back(std::make_unique<Client>(*client, std::move(script)));
    return *clients.back();
  }
  void Stop() {
    listener->Stop([this] { stopped = true; });
  }

  sim::Scheduler scheduler{7};
  sim::SimNet net{scheduler, {}};
  std::unique_ptr<Executor> server_executor = scheduler.MakeExecutor();
  std::unique_ptr<Executor> client_executor = scheduler.MakeExecutor();
  std::unique_ptr<sim::SimHost> server = net.MakeHost(*server_executor);
  std::unique_ptr<sim::SimHost> client = net.MakeHost(*client_executor);
  Owner owner;
  MailListenerOptions options;
  std::vector<std::unique_ptr<Client>> clients;
  std::unique_ptr<MailListener> listener;
  bool stopped = false;
};

TEST_F(MailListenerTest, TakesAMailAndSaysWhoBroughtIt) {
  Start();
  Client& peer = Connect(MailScript());
  ASSERT_TRUE(scheduler.RunUntil([&] { return peer.closed; }, Seconds(10)));
  EXPECT_EQ(peer.codes(), kGoodCodes);
  ASSERT_EQ(owner.mails.size(), 1u);
  EXPECT_EQ(owner.mails[0].data, "Subject: x\r\n\r\nx\r\n");
  EXPECT_EQ(owner.mails[0].envelope.helo, "peer.test");
  EXPECT_EQ(owner.peers[0].host, "127.0.0.1");
  EXPECT_EQ(listener->connections(), 0u);
  EXPECT_GT(listener->held_bytes(), 0u);
  owner.mails.clear();
  EXPECT_EQ(listener->held_bytes(), 0u);
}

TEST_F(MailListenerTest, SaysNothingBeforeTheOwnerWhoMayBeOnAnotherThread) {
  const auto elsewhere = scheduler.MakeExecutor();
  owner.on_mail = [&](Answer answer) {
    elsewhere->After(Seconds(100), [answer = std::move(answer)]() mutable {
      answer(Reply::Accept("durable"));
      answer(Reply::Defer("a second word"));
    });
  };
  Start();
  Client& peer = Connect(MailScript());
  scheduler.RunFor(Seconds(99));
  EXPECT_EQ(peer.codes(), "220 250 250 250 354");
  ASSERT_TRUE(scheduler.RunUntil([&] { return peer.closed; }, Seconds(10)));
  EXPECT_EQ(peer.codes(), kGoodCodes);
}

TEST_F(MailListenerTest, AnOwnerWhoIsSilentDefers) {
  std::vector<Answer> answers;
  owner.on_mail = [&](Answer answer) { answers.push_back(std::move(answer)); };
  Start();
  Client& peer = Connect(MailScript());
  ASSERT_TRUE(scheduler.RunUntil([&] { return peer.closed; }, Seconds(300)));
  EXPECT_EQ(peer.codes(), "220 250 250 250 354 451 221");
  answers.at(0)(Reply::Accept());
  scheduler.RunFor(Seconds(1));
  // One that outlives the listener says nothing, either.
  Client& last = Connect(MailScript());
  ASSERT_TRUE(scheduler.RunUntil([&] { return answers.size() == 2; }, Seconds(10)));
  listener.reset();
  answers[1](Reply::Accept());
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(last.codes(), "220 250 250 250 354");
  EXPECT_TRUE(last.closed);
}

TEST_F(MailListenerTest, SlowPeersAreEnded) {
  Start();
  Client& silent = Connect();
  Client& dribbles_command = Connect();
  Client& dribbles_body = Connect({"EHLO a\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<a@b>\r\n", "DATA\r\n"});
  Client& stops_in_body = Connect({"EHLO a\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<a@b>\r\n", "DATA\r\n", "x"});
  for (int i = 0; i < 95; ++i) {
    scheduler.RunFor(Seconds(10));
    dribbles_command.Send("N");
    dribbles_body.Send("x\r\n");
    const int seconds = (i + 1) * 10;
    if (seconds == 170) {
      EXPECT_FALSE(stops_in_body.closed);
    }
    if (seconds == 190) {
      EXPECT_TRUE(stops_in_body.closed);
    }
    if (seconds == 290) {
      EXPECT_FALSE(silent.closed || dribbles_command.closed);
    }
    if (seconds == 310) {
      EXPECT_TRUE(silent.closed && dribbles_command.closed);
    }
    if (seconds == 890) {
      EXPECT_FALSE(dribbles_body.closed);
    }
  }
  EXPECT_TRUE(dribbles_body.closed);
  EXPECT_EQ(silent.codes(), "220 421");
  EXPECT_EQ(dribbles_command.codes(), "220 421");
  EXPECT_EQ(stops_in_body.codes(), "220 250 250 250 354 421");
  EXPECT_EQ(dribbles_body.codes(), "220 250 250 250 354 421");
  EXPECT_TRUE(owner.mails.empty());
}

TEST_F(MailListenerTest, NoConnectionLivesForEver) {
  options.server.idle_commands_max = 100'000;
  Start();
  Client& peer = Connect({"EHLO a\r\n"});
  for (int i = 0; i < 100 && !peer.closed; ++i) {
    scheduler.RunFor(Seconds(60));
    peer.Send("NOOP\r\n");
    EXPECT_EQ(peer.closed, i >= 60) << i;
  }
  EXPECT_TRUE(peer.said.ends_with("421 4.3.2 mx.test has heard enough of you for now\r\n"));
}

TEST_F(MailListenerTest, OneConnectionTooManyIsToldToComeBack) {
  options.connections_max = 5;
  options.connections_per_peer_max = 5;
  Start();
  for (int i = 0; i < 5; ++i) Connect();
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(listener->connections(), 5u);
  Client& sixth = Connect(MailScript());
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(sixth.said, "421 4.7.0 mx.test has too many connections\r\n");
  EXPECT_TRUE(sixth.closed);
  clients[0]->Leave();
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(listener->connections(), 4u);
  Client& seventh = Connect(MailScript());
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(seventh.codes(), kGoodCodes);
}

TEST_F(MailListenerTest, OnePeerCannotTakeAllConnections) {
  options.connections_per_peer_max = 2;
  Start();
  Connect();
  Connect();
  scheduler.RunFor(Seconds(1));
  Client& third = Connect();
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(third.said, "421 4.7.0 mx.test has too many connections from you\r\n");
  EXPECT_EQ(PeerGroup("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(PeerGroup("::ffff:192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(PeerGroup("2001:db8:1:2:3:4:5:6"), PeerGroup("2001:db8:1:2::1"));
  EXPECT_NE(PeerGroup("2001:db8:1:2::1"), PeerGroup("2001:db8:1:3::1"));
  EXPECT_EQ(PeerGroup("fe80::1%eth0"), PeerGroup("fe80::2"));
  EXPECT_EQ(PeerGroup("what"), "what");
}

TEST_F(MailListenerTest, WhoSpeaksFirstIsNoMailServer) {
  options.greeting_delay = Seconds(1);
  Start();
  Client& peer = Connect();
  scheduler.RunFor(Milliseconds(500));
  EXPECT_EQ(peer.said, "");
  peer.Send("EHLO a\r\nMAIL FROM:<>\r\n");
  scheduler.RunFor(Milliseconds(100));
  EXPECT_EQ(peer.codes(), "554");
  EXPECT_TRUE(peer.closed);
}

TEST_F(MailListenerTest, MailsOfAllConnectionsShareOneBudget) {
  options.budget_bytes = 4 << 20;
  options.connections_per_peer_max = 100;
  std::vector<Answer> answers;
  owner.on_mail = [&](Answer answer) { answers.push_back(std::move(answer)); };
  Start();
  std::string body;
  while (body.size() < 1 << 20) body += "a line like any other\r\n";
  for (int i = 0; i < 20; ++i) Connect(MailScript(body));
  scheduler.RunFor(Seconds(10));
  size_t held = 0;
  for (const Mail& mail : owner.mails) held += mail.room.bytes();
  EXPECT_GE(answers.size(), 1u);
  EXPECT_LE(held, options.budget_bytes);
  EXPECT_LE(listener->held_bytes(), options.budget_bytes);
  const size_t taken = answers.size();
  for (Answer& answer : answers) answer(Reply::Accept());
  scheduler.RunFor(Seconds(1));
  size_t good = 0;
  for (const auto& each : clients) {
    good += each->codes() == kGoodCodes ? 1 : 0;
    if (each->codes() != kGoodCodes) {
      EXPECT_NE(each->said.find("452 4.3.1"), std::string::npos) << each->said;
    }
  }
  EXPECT_EQ(good, taken);
  // What is let go is there for others.
  owner.mails.clear();
  Client& next = Connect(MailScript(body));
  ASSERT_TRUE(scheduler.RunUntil([&] { return answers.size() == taken + 1; }, Seconds(10)));
  answers.back()(Reply::Accept());
  ASSERT_TRUE(scheduler.RunUntil([&] { return next.closed; }, Seconds(10)));
  EXPECT_EQ(next.codes(), kGoodCodes);
}

TEST_F(MailListenerTest, AStopFinishesWhatIsUnderWay) {
  std::vector<Answer> answers;
  owner.on_mail = [&](Answer answer) { answers.push_back(std::move(answer)); };
  Start();
  Client& idle = Connect({"EHLO a\r\n"});
  Client& in_envelope = Connect({"EHLO a\r\n", "MAIL FROM:<>\r\n"});
  Client& in_body = Connect({"EHLO a\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<a@b>\r\n", "DATA\r\n", "x"});
  Client& with_owner = Connect(MailScript());
  Client& greeted_late = Connect();
  ASSERT_TRUE(scheduler.RunUntil([&] { return answers.size() == 1; }, Seconds(10)));
  scheduler.RunFor(Seconds(1));
  Stop();
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(idle.codes(), "220 250 421");
  EXPECT_EQ(in_envelope.codes(), "220 250 250 421");
  EXPECT_EQ(greeted_late.codes(), "220 421");
  EXPECT_TRUE(idle.closed && in_envelope.closed && greeted_late.closed);
  EXPECT_FALSE(stopped || in_body.closed || with_owner.closed);
  Client& refused = Connect();
  in_body.Send("\r\n.\r\n");
  scheduler.RunFor(Seconds(1));
  EXPECT_TRUE(refused.closed);
  EXPECT_EQ(refused.said, "");
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_FALSE(stopped);
  for (Answer& answer : answers) answer(Reply::Accept());
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(in_body.codes(), "220 250 250 250 354 250 421");
  EXPECT_EQ(with_owner.codes(), "220 250 250 250 354 250 421");
  EXPECT_TRUE(stopped);
}

TEST_F(MailListenerTest, AStopDoesNotWaitForEver) {
  owner.on_mail = [](const Answer&) {};
  Start();
  Client& with_owner = Connect(MailScript());
  Client& in_body = Connect({"EHLO a\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<a@b>\r\n", "DATA\r\n", "x"});
  scheduler.RunFor(Seconds(5));
  Stop();
  scheduler.RunFor(Seconds(29));
  EXPECT_FALSE(stopped || with_owner.closed || in_body.closed);
  scheduler.RunFor(Seconds(2));
  EXPECT_TRUE(stopped && with_owner.closed && in_body.closed);
  EXPECT_EQ(in_body.codes(), "220 250 250 250 354");
}

TEST_F(MailListenerTest, AStopOfNothingIsDone) {
  Start();
  Stop();
  scheduler.RunUntilIdle();
  EXPECT_TRUE(stopped);
}

TEST_F(MailListenerTest, CountsWhatBecameOfMailsAndRecipients) {
  const auto value = [](const std::string& name, const std::string& result) {
    return observe::Metrics::Process().AddCounter(name, "", {{"result", result}}).value();
  };
  const auto all = [&] {
    std::vector<uint64_t> values;
    for (const std::string name : {"maily_mail_mails_total", "maily_mail_recipients_total"}) {
      for (const std::string result : {"accepted", "deferred", "refused"}) values.push_back(value(name, result));
    }
    values.push_back(value("maily_mail_connections_total", "taken"));
    return values;
  };
  options.server.mail_bytes_max = 1000;
  owner.on_mail = [this](Answer answer) {
    const std::string& data = owner.mails.back().data;
    answer(data == "later\r\n" ? Reply::Defer() : data == "no\r\n" ? Reply::Refuse(554, "5.7.1", "no") : Reply::Accept());
  };
  Start();
  const std::vector<uint64_t> before = all();
  Connect(MailScript());
  Connect(MailScript("later\r\n"));
  Connect(MailScript("no\r\n"));
  Connect(MailScript(std::string(2000, 'x') + "\r\n"));
  Connect(MailScript("a\nb\r\n"));
  Connect({"EHLO a\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<no@b>\r\n"});
  scheduler.RunFor(Seconds(5));
  std::vector<uint64_t> grown = all();
  for (size_t i = 0; i < grown.size(); ++i) grown[i] -= before[i];
  EXPECT_EQ(grown, (std::vector<uint64_t>{1, 1, 3, 5, 0, 1, 6}));
}

// --- TLS ---

TEST_F(MailListenerTest, AHandshakeThatIsNoneEndsTheConnection) {
  const tls::TestCertificate certificate = tls::MakeTestCertificate("mx.test");
  options.tls = tls::Context::Server(certificate.chain, certificate.key).value();
  Start();
  Client& garbage = Connect({"EHLO a\r\n", "STARTTLS\r\n", "EHLO a\r\nMAIL FROM:<>\r\n"});
  Client& silent = Connect({"EHLO a\r\n", "STARTTLS\r\n"});
  scheduler.RunFor(Seconds(5));
  EXPECT_TRUE(garbage.closed);
  EXPECT_EQ(Codes(garbage.said.substr(0, garbage.said.find("220 2.0.0") + 20)), "220 250 220");
  EXPECT_EQ(silent.codes(), "220 250 220");
  EXPECT_FALSE(silent.closed);
  scheduler.RunFor(Seconds(300));
  EXPECT_TRUE(silent.closed);
  // Without a certificate nothing is offered.
  listener->UseTls(nullptr);
  Client& plain = Connect({"EHLO a\r\n", "STARTTLS\r\n"});
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(plain.codes(), "220 250 502");
}

// --- load and faults ---

// Many peers, a network that breaks, an owner who is slow and of changing mind, and a stop in the middle: who was told 250 has his mail
// taken, what was not asked for is not there, and nothing is left behind.
TEST(MailListenerLoad, WhatWasAcceptedIsWithItsOwnerWhateverBreaks) {
  const uint32_t first_seed = std::random_device{}();
  for (uint32_t seed = first_seed; seed != first_seed + 30; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    sim::Scheduler scheduler(seed);
    sim::SimNet net(scheduler, {.refuse = 0.02, .drop = seed % 3 == 0 ? 0.0 : 0.01});
    const auto server_executor = scheduler.MakeExecutor();
    const auto client_executor = scheduler.MakeExecutor();
    const auto owner_executor = scheduler.MakeExecutor();
    const auto server = net.MakeHost(*server_executor);
    const auto client = net.MakeHost(*client_executor);
    std::vector<std::string> durable;
    Owner owner;
    owner.on_mail = [&](Answer answer) {
      const std::string data = owner.mails.back().data;
      owner.mails.clear();
      owner_executor->After(scheduler.RandomDuration({}, Seconds(3)), [&, data, answer = std::move(answer)]() mutable {
        if (scheduler.Chance(0.1)) return answer(Reply::Defer());
        if (scheduler.Chance(0.02)) return;  // forgotten
        durable.push_back(data);
        answer(Reply::Accept());
      });
    };
    MailListenerOptions options{.listen = kAt, .connections_max = 15, .connections_per_peer_max = 12, .budget_bytes = 1 << 20};
    auto listener = MailListener::Start(*server, *server_executor, scheduler.clock(), owner, options).value();
    std::vector<std::unique_ptr<Client>> clients;
    bool stopped = false;
    for (int i = 0; i < 60; ++i) {
      clients.push_back(std::make_unique<Client>(*client, MailScript(fmt::format("mail {}\r\n", i))));
      scheduler.RunFor(scheduler.RandomDuration({}, Milliseconds(400)));
      EXPECT_LE(listener->connections(), options.connections_per_peer_max);
    }
    listener->Stop([&] { stopped = true; });
    ASSERT_TRUE(scheduler.RunUntil([&] { return stopped; }, Seconds(31)));
    EXPECT_EQ(listener->connections(), 0u);
    EXPECT_EQ(listener->held_bytes(), 0u);
    scheduler.RunFor(Seconds(10));
    size_t accepted = 0;
    for (size_t i = 0; i < clients.size(); ++i) {
      const std::string codes = clients[i]->codes();
      const std::string data = fmt::format("mail {}\r\n", i);
      const auto taken = std::ranges::count(durable, data);
      EXPECT_LE(taken, 1);
      if (codes.starts_with("220 250 250 250 354 250")) {
        ++accepted;
        EXPECT_EQ(taken, 1) << data;
      }
      EXPECT_TRUE(clients[i]->closed);
    }
    EXPECT_GT(accepted, 5u);
    listener.reset();
    clients.clear();
  }
}

// --- a peer that does not take what it is told ---

class Stuck : public Connection {
 public:
  explicit Stuck(bool& closed) : closed_(closed) {}
  ~Stuck() override { closed_ = true; }
  void Read(size_t, std::move_only_function<void(Result<std::string>)>) override {}
  void Write(std::string, std::move_only_function<void(Result<void>)>) override {}
  void Close() override { closed_ = true; }
  Endpoint peer() const override { return {"192.0.2.1", 1}; }

 private:
  bool& closed_;
};
class StuckNet : public Net {
 public:
  Result<std::unique_ptr<Listener>> Listen(const Endpoint& at, std::function<void(std::unique_ptr<Connection>)> accept) override {
    struct At : Listener {
      explicit At(Endpoint at) : local_(std::move(at)) {}
      Endpoint local() const override { return local_; }
      const Endpoint local_;
    };
    accept_ = std::move(accept);
    return std::unique_ptr<Listener>(std::make_unique<At>(at));
  }
  std::function<void(std::unique_ptr<Connection>)> accept_;
};

TEST(MailListenerStuck, APeerThatReadsNothingIsEnded) {
  sim::Scheduler scheduler(1);
  const auto executor = scheduler.MakeExecutor();
  StuckNet net;
  Owner owner;
  const auto listener = MailListener::Start(net, *executor, scheduler.clock(), owner, {.connections_max = 1}).value();
  bool first = false;
  std::deque<bool> others(150);
  net.accept_(std::make_unique<Stuck>(first));
  for (bool& other : others) net.accept_(std::make_unique<Stuck>(other));
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(std::ranges::count(others, true), 50);  // of those that are too many a hundred are told so
  scheduler.RunFor(Seconds(50));
  EXPECT_FALSE(first);
  scheduler.RunFor(Seconds(15));
  EXPECT_TRUE(first);
  EXPECT_EQ(std::ranges::count(others, true), 150);
  EXPECT_EQ(listener->connections(), 0u);
}

}  // namespace
}  // namespace maily::mail
