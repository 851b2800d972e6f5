// The sink as a mail server sees it, over real sockets.
#include "app/sink.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/asio/asio_net.h"
#include "streams/tls/test_certificate.h"
#include "tests/raw_socket.h"

namespace maily::app {
namespace {

class Wire {
 public:
  explicit Wire(uint16_t port) : socket_(port) { EXPECT_TRUE(Reply().starts_with("220 ")); }
  void Send(std::string_view bytes) { socket_.Send(bytes); }
  // One reply, of one line or more; empty if the connection is closed.
  std::string Reply() {
    std::string reply;
    for (size_t line = 0;;) {
      const size_t end = in_.find("\r\n");
      if (end == std::string::npos) {
        const std::string some = socket_.Read();
        if (some.empty()) return "";
        in_ += some;
        continue;
      }
      reply += in_.substr(0, end + 2);
      in_.erase(0, end + 2);
      if (reply.size() - line < 4 || reply[line + 3] != '-') return reply;
      line = reply.size();
    }
  }
  std::string Say(std::string_view line) {
    Send(std::string(line) + "\r\n");
    return Reply();
  }
  // The reply to the final dot.
  std::string Mail(std::string_view recipient, std::string_view bytes) {
    EXPECT_TRUE(Say("MAIL FROM:<from@example.com>").starts_with("250"));
    EXPECT_TRUE(Say(fmt::format("RCPT TO:<{}>", recipient)).starts_with("250"));
    EXPECT_TRUE(Say("DATA").starts_with("354"));
    return Say(std::string(bytes) + "\r\n.");
  }

 private:
  test::RawSocket socket_;
  std::string in_;
};

class SinkTest : public testing::Test {
 protected:
  SinkTest() {
    char name[] = "/tmp/maily-sink-XXXXXX";
    directory_ = mkdtemp(name);
    options_.listen.port = 0;
    options_.log_path = directory_ / "log";
    options_.keep_path = directory_ / "mails";
  }
  ~SinkTest() override {
    Stop();
    std::filesystem::remove_all(directory_);
  }
  void Start() {
    worker_ = std::make_unique<asio_net::Worker>("sink");
    net_ = std::make_unique<asio_net::AsioNet>(*worker_);
    auto started = Sink::Start(*net_, *worker_, clock_, options_);
    ASSERT_TRUE(started) << started.error().ToString();
    sink_ = std::move(*started);
  }
  void Stop() {
    if (worker_) worker_->Stop();
    sink_.reset();
    net_.reset();
    worker_.reset();
  }
  uint16_t port() const { return sink_->local().port; }
  std::string Log() const {
    std::ostringstream text;
    text << std::ifstream(options_.log_path).rdbuf();
    return text.str();
  }

  std::filesystem::path directory_;
  SinkOptions options_;
  asio_net::SystemClock clock_;
  std::unique_ptr<asio_net::Worker> worker_;
  std::unique_ptr<asio_net::AsioNet> net_;
  std::unique_ptr<Sink> sink_;
};

constexpr std::string_view kMail = "Subject: Hello\r\n there\r\nMessage-ID: <one@example.com>\r\n\r\nbody";

TEST_F(SinkTest, AMailIsLoggedBeforeItsReplyAndKeptWhole) {
  Start();
  Wire wire(port());
  const std::string hello = wire.Say("EHLO client");
  for (const char* extension : {"PIPELINING", "SIZE 33554432", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8"}) {
    EXPECT_NE(hello.find(extension), std::string::npos) << extension;
  }
  EXPECT_TRUE(wire.Mail("a@example.com", kMail).starts_with("250 "));
  const std::string log = Log();
  EXPECT_TRUE(log.starts_with("1,")) << log;
  EXPECT_NE(log.find(",a@example.com,one@example.com,63,0,Hello there\n"), std::string::npos) << log;
  EXPECT_EQ(sink_->counts().mails, 1u);
  EXPECT_EQ(*sink_->Message(1), std::string(kMail) + "\r\n");
  EXPECT_EQ(sink_->Message(2).error().code, Code::kNotFound);
  EXPECT_TRUE(wire.Say("QUIT").starts_with("221"));
  EXPECT_EQ(wire.Reply(), "");
}

TEST_F(SinkTest, DotsAreUnstuffedAndOnlyALoneDotEnds) {
  Start();
  Wire wire(port());
  EXPECT_TRUE(wire.Mail("a@x", "X: y\r\n\r\n..\r\n...two\r\n .\r\nbare\n.\nlf\r\n. x").starts_with("250"));
  EXPECT_EQ(*sink_->Message(1), "X: y\r\n\r\n.\r\n..two\r\n .\r\nbare\n.\nlf\r\n x\r\n");
}

TEST_F(SinkTest, PipelinedCommandsAndMailsAreAnsweredInOrder) {
  Start();
  Wire wire(port());
  std::string all = "EHLO c\r\n";
  for (int i = 0; i < 20; ++i) {
    all += fmt::format(
        "MAIL FROM:<> SIZE=10 BODY=8BITMIME\r\nRCPT TO:<r{}@x>\r\nRCPT TO:<s{}@x>\r\nDATA\r\nMessage-ID: <{}@x>\r\n\r\nhi\r\n.\r\n", i, i,
        i);
  }
  wire.Send(all + "QUIT\r\n");
  EXPECT_TRUE(wire.Reply().starts_with("250-"));
  for (int i = 0; i < 20; ++i) {
    for (const char* code : {"250", "250", "250", "354", "250"}) EXPECT_TRUE(wire.Reply().starts_with(code)) << i;
  }
  EXPECT_TRUE(wire.Reply().starts_with("221"));
  EXPECT_EQ(sink_->counts().mails, 40u);
  EXPECT_EQ(sink_->counts().distinct_recipients, 40u);
  const auto list = sink_->List(38, 10);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].number, 39u);
  EXPECT_EQ(list[1].recipient, "s19@x");
  EXPECT_EQ(list[1].message_id, "19@x");
  EXPECT_EQ(*sink_->Message(39), *sink_->Message(40));
}

TEST_F(SinkTest, CommandsOutOfOrderAndUnknownOnesAreRefused) {
  Start();
  Wire wire(port());
  EXPECT_TRUE(wire.Say("RCPT TO:<a@x>").starts_with("503"));
  EXPECT_TRUE(wire.Say("DATA").starts_with("503"));
  EXPECT_TRUE(wire.Say("helo c").starts_with("250"));
  EXPECT_TRUE(wire.Say("MAIL FROM: nobody").starts_with("501"));
  EXPECT_TRUE(wire.Say("mail from:<a@x>").starts_with("250"));
  EXPECT_TRUE(wire.Say("RCPT TO:a@x").starts_with("501"));
  EXPECT_TRUE(wire.Say("RSET").starts_with("250"));
  EXPECT_TRUE(wire.Say("RCPT TO:<a@x>").starts_with("503"));
  EXPECT_TRUE(wire.Say("NOOP").starts_with("250"));
  EXPECT_TRUE(wire.Say("VRFY a").starts_with("252"));
  EXPECT_TRUE(wire.Say("BDAT 3").starts_with("502"));
  EXPECT_TRUE(wire.Say(std::string(5000, 'x')).starts_with("500"));
}

TEST_F(SinkTest, SizesAreBounded) {
  options_.mail_bytes_max = 10'000;
  Start();
  Wire wire(port());
  EXPECT_TRUE(wire.Say("MAIL FROM:<a@x> SIZE=10001").starts_with("552"));
  EXPECT_TRUE(wire.Mail("a@x", std::string(20'000, 'x')).starts_with("552"));
  const std::string line(9'000, 'y');  // longer than any read of a line may be, and whole all the same
  EXPECT_TRUE(wire.Mail("a@x", line).starts_with("250"));
  EXPECT_EQ(*sink_->Message(1), line + "\r\n");
}

TEST_F(SinkTest, RulesAnswerByRecipient) {
  for (const char* rule : {"rcpt:*@soft.test=451 4.2.0 busy", "@hard.test=550 5.1.1 unknown", "dot:*@late.test=554 5.7.1 refused"}) {
    auto parsed = ParseSinkRule(rule);
    ASSERT_TRUE(parsed) << rule;
    options_.rules.push_back(std::move(*parsed));
  }
  for (const char* bad : {"@x", "@x=busy", "@x=99 low", "@x=700 high", "@x=250\r\n250 two", "@x=4511 long"})
    EXPECT_FALSE(ParseSinkRule(bad)) << bad;
  Start();
  Wire wire(port());
  EXPECT_TRUE(wire.Say("MAIL FROM:<f@x>").starts_with("250"));
  EXPECT_EQ(wire.Say("RCPT TO:<a@soft.test>"), "451 4.2.0 busy\r\n");
  EXPECT_EQ(wire.Say("RCPT TO:<a@hard.test>"), "550 5.1.1 unknown\r\n");
  EXPECT_TRUE(wire.Say("DATA").starts_with("503"));
  EXPECT_EQ(wire.Mail("a@late.test", kMail), "554 5.7.1 refused\r\n");
  EXPECT_EQ(sink_->counts().mails, 0u);
  EXPECT_EQ(sink_->counts().rejected, 3u);
}

TEST_F(SinkTest, ADroppedReplyStillTookTheMail) {
  options_.drop_after_dot = 0.5;
  options_.seed = 7;
  Start();
  uint64_t dropped = 0;
  for (int i = 0; i < 40; ++i) {
    Wire wire(port());
    if (wire.Mail("a@x", kMail).empty()) ++dropped;
  }
  EXPECT_GT(dropped, 5u) << "seed " << options_.seed;
  EXPECT_LT(dropped, 35u);
  EXPECT_EQ(sink_->counts().mails, 40u);
  EXPECT_EQ(sink_->counts().dropped, dropped);
}

TEST_F(SinkTest, ADelayHoldsTheReplyBackOnly) {
  options_.delay = Milliseconds(30);
  Start();
  Wire wire(port());
  const Duration before = clock_.Steady();
  EXPECT_TRUE(wire.Mail("a@x", kMail).starts_with("250"));
  EXPECT_GE((clock_.Steady() - before).us, 30'000);
}

TEST_F(SinkTest, RulesOfAScriptGreetDelayAndDrop) {
  options_.rules = {{.suffix = "@lost.test", .stage = SinkRule::Stage::kDot, .drop = SinkRule::Drop::kBefore},
                    {.suffix = "@taken.test", .stage = SinkRule::Stage::kDot, .drop = SinkRule::Drop::kAfter},
                    {.suffix = "@slow.test", .delay = Milliseconds(30)},
                    {.suffix = "@full.test", .reply = "421 4.3.2 later"}};
  Start();
  EXPECT_EQ(Wire(port()).Mail("a@lost.test", kMail), "");
  EXPECT_EQ(sink_->counts().mails, 0u);
  EXPECT_EQ(Wire(port()).Mail("a@taken.test", kMail), "");
  EXPECT_EQ(sink_->counts().mails, 1u);
  EXPECT_EQ(sink_->counts().dropped, 2u);
  const Duration before = clock_.Steady();
  EXPECT_TRUE(Wire(port()).Mail("a@slow.test", kMail).starts_with("250"));
  EXPECT_GE((clock_.Steady() - before).us, 30'000);
  Wire wire(port());
  EXPECT_TRUE(wire.Say("MAIL FROM:<f@x>").starts_with("250"));
  EXPECT_EQ(wire.Say("RCPT TO:<a@full.test>"), "421 4.3.2 later\r\n");
  EXPECT_EQ(wire.Reply(), "") << "who says 421 ends the connection";
}

TEST_F(SinkTest, AConnectionCanBeRefusedOrEndedAtItsBeginning) {
  options_.rules = {{.stage = SinkRule::Stage::kConnect, .reply = "421 4.7.0 too many connections", .until = Milliseconds(1'000'000)}};
  Start();
  {
    test::RawSocket socket(port());
    EXPECT_EQ(socket.Read(), "421 4.7.0 too many connections\r\n");
    EXPECT_EQ(socket.Read(), "");
  }
  Stop();
  options_.rules = {{.stage = SinkRule::Stage::kConnect, .drop = SinkRule::Drop::kBefore}};
  Start();
  test::RawSocket socket(port());
  EXPECT_EQ(socket.Read(), "");
}

TEST_F(SinkTest, ConversationsAreSecuredByStartTls) {
  const tls::TestCertificate certificate = tls::MakeTestCertificate("sink.test");
  options_.tls = tls::Context::Server(certificate.chain, certificate.key).value();
  options_.require_tls = true;
  Start();
  const std::string roots = directory_ / "roots.pem";
  std::ofstream(roots) << certificate.roots;

  test::RawSocket socket(port());
  EXPECT_TRUE(socket.Read().starts_with("220 "));
  socket.Send("EHLO c\r\n");
  EXPECT_NE(socket.Read().find("250-STARTTLS\r\n"), std::string::npos);
  socket.Send("MAIL FROM:<a@x>\r\n");
  EXPECT_TRUE(socket.Read().starts_with("530 5.7.0 "));
  socket.Send("STARTTLS\r\nMAIL FROM:<injected@x>\r\n");  // what follows in plain text is not heard
  EXPECT_TRUE(socket.Read().starts_with("220 "));
  tls::Channel channel(tls::Context::Client(roots).value(), "sink.test", tls::Verify::kRequire);
  const auto say = [&](const std::string& line) {
    if (!line.empty()) {
      EXPECT_TRUE(channel.Send(line + "\r\n"));
    }
    for (std::string plain;;) {
      if (const std::string bytes = channel.TakeEncrypted(); !bytes.empty()) socket.Send(bytes);
      if (line.empty() && channel.established()) return plain;
      plain += channel.TakePlain();
      if (plain.ends_with("\r\n")) return plain;
      const std::string bytes = socket.Read();
      if (bytes.empty() || !channel.Receive(bytes)) return "closed: " + plain;
    }
  };
  EXPECT_EQ(say(""), "");
  const std::string hello = say("EHLO c");
  EXPECT_TRUE(hello.starts_with("250-")) << hello;
  EXPECT_EQ(hello.find("STARTTLS"), std::string::npos);
  EXPECT_TRUE(say("RCPT TO:<a@x>").starts_with("503")) << "no MAIL was heard before";
  EXPECT_TRUE(say("STARTTLS").starts_with("502"));
  EXPECT_TRUE(say("MAIL FROM:<a@x>").starts_with("250"));
  EXPECT_TRUE(say("RCPT TO:<b@x>").starts_with("250"));
  EXPECT_TRUE(say("DATA").starts_with("354"));
  EXPECT_TRUE(say(std::string(kMail) + "\r\n.").starts_with("250"));
  EXPECT_EQ(*sink_->Message(1), std::string(kMail) + "\r\n");
}

TEST_F(SinkTest, ARestartGoesOnWithTheOldLog) {
  Start();
  Wire(port()).Mail("\"a,b\"@x", "Subject: \"q\", c\r\n\r\none");
  Wire(port()).Mail("c@x", "two");
  Stop();
  std::ofstream(options_.log_path, std::ios::app) << "3,123,half a li";
  Start();
  EXPECT_EQ(sink_->counts().mails, 2u);
  EXPECT_EQ(sink_->List(0, 10)[0].recipient, "\"a,b\"@x");
  EXPECT_EQ(sink_->List(0, 10)[0].subject, "\"q\", c");
  Wire(port()).Mail("d@x", "three");
  EXPECT_EQ(sink_->List(2, 10)[0].number, 3u);
  EXPECT_EQ(*sink_->Message(2), "two\r\n");
  EXPECT_EQ(*sink_->Message(3), "three\r\n");
  const std::string log = Log();
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 3);
}

TEST_F(SinkTest, AnotherFileIsNotTakenForALog) {
  std::ofstream(options_.log_path) << "something\nelse\n";
  asio_net::Worker worker("sink");
  asio_net::AsioNet net(worker);
  const auto started = Sink::Start(net, worker, clock_, options_);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace maily::app
