// Mail over real sockets and real TLS.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>

#include "api/mail/fixture.h"
#include "api/mail/listener.h"
#include "streams/adapters/asio/asio_net.h"
#include "streams/tls/test_certificate.h"
#include "tests/raw_socket.h"

namespace maily::mail {
namespace {

// Keeps mails; answers from a thread of its own.
class Owner : public MailOwner {
 public:
  void Recipient(const Endpoint&, const Envelope&, const Mailbox&, Answer answer) override {
    elsewhere_.Post([answer = std::move(answer)]() mutable { answer(Reply::Accept()); });
  }
  void Take(const Endpoint&, Mail mail, Answer answer) override {
    elsewhere_.Post([this, mail = std::move(mail), answer = std::move(answer)]() mutable {
      {
        const std::lock_guard lock(mutex_);
        mails_.push_back(std::move(mail));
      }
      answer(Reply::Accept("taken"));
    });
  }
  std::vector<Mail> TakeMails() {
    const std::lock_guard lock(mutex_);
    return std::exchange(mails_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<Mail> mails_;
  asio_net::Worker elsewhere_{"owner"};
};

class MailOnTheWire : public testing::Test {
 protected:
  ~MailOnTheWire() override {
    std::promise<void> gone;
    worker_.Post([&] {
      listener_.reset();
      gone.set_value();
    });
    gone.get_future().wait();
  }
  void Start(std::shared_ptr<const tls::Context> tls = nullptr) {
    std::promise<void> started;
    worker_.Post([&] {
      listener_ = MailListener::Start(
                      net_, worker_, clock_, owner_,
                      {.listen = {"127.0.0.1", 0}, .server = {.host = "mx.test"}, .tls = std::move(tls), .greeting_delay = Milliseconds(1)})
                      .value();
      started.set_value();
    });
    started.get_future().wait();
  }
  uint16_t port() const { return listener_->local().port; }
  void Stop() {
    std::promise<void> stopped;
    worker_.Post([&] { listener_->Stop([&] { stopped.set_value(); }); });
    stopped.get_future().wait();
  }

  asio_net::SystemClock clock_;
  asio_net::Worker worker_{"mail"};
  asio_net::AsioNet net_{worker_};
  Owner owner_;
  std::unique_ptr<MailListener> listener_;
};

// Reads until the last line of a reply is whole.
template <class ReadSome>
std::string ReadReply(ReadSome read_some) {
  std::string said;
  for (;;) {
    const std::string some = read_some();
    if (some.empty()) return said;
    said += some;
    const size_t before = said.size() < 3 ? std::string::npos : said.rfind("\r\n", said.size() - 3);
    const size_t line = before == std::string::npos ? 0 : before + 2;
    if (said.ends_with("\r\n") && said.size() > line + 3 && said[line + 3] == ' ') return said;
  }
}

TEST_F(MailOnTheWire, TakesAMailOverTlsAndKnowsIt) {
  const tls::TestCertificate certificate = tls::MakeTestCertificate("mx.test");
  Start(tls::Context::Server(certificate.chain, certificate.key).value());
  std::string roots = (std::filesystem::temp_directory_path() / "maily_mail_XXXXXX").string();
  close(mkstemp(roots.data()));
  std::ofstream(roots) << certificate.roots;
  test::RawSocket socket(port());
  const auto plain_reply = [&] { return ReadReply([&] { return socket.Read(); }); };
  EXPECT_EQ(plain_reply(), "220 mx.test ESMTP\r\n");
  socket.Send("EHLO peer.test\r\n");
  EXPECT_NE(plain_reply().find("250-STARTTLS\r\n"), std::string::npos);
  socket.Send("STARTTLS\r\n");
  EXPECT_EQ(plain_reply(), "220 2.0.0 begin TLS\r\n");
  tls::Channel channel(tls::Context::Client(roots).value(), "mx.test", tls::Verify::kRequire);
  std::filesystem::remove(roots);
  while (!channel.established()) {
    socket.Send(channel.TakeEncrypted());
    const std::string some = socket.Read();
    ASSERT_FALSE(some.empty());
    ASSERT_TRUE(channel.Receive(some));
  }
  socket.Send(channel.TakeEncrypted());
  const auto say = [&](std::string_view bytes) {
    EXPECT_TRUE(channel.Send(bytes));
    socket.Send(channel.TakeEncrypted());
    return ReadReply([&]() -> std::string {
      for (;;) {
        if (std::string plain = channel.TakePlain(); !plain.empty()) return plain;
        const std::string some = socket.Read();
        if (some.empty() || channel.closed()) return "";
        EXPECT_TRUE(channel.Receive(some));
      }
    });
  };
  EXPECT_EQ(say("EHLO peer.test\r\n").find("STARTTLS"), std::string::npos);
  EXPECT_EQ(Codes(say("MAIL FROM:<>\r\n")), "250");
  EXPECT_EQ(Codes(say("RCPT TO:<bounce+1@mx.test>\r\n")), "250");
  EXPECT_EQ(Codes(say("DATA\r\n")), "354");
  std::string body;
  while (body.size() < 1 << 20) body += "a line like any other\r\n";
  EXPECT_EQ(say(body + ".\r\n"), "250 2.0.0 taken\r\n");
  EXPECT_EQ(Codes(say("QUIT\r\n")), "221");
  const std::vector<Mail> mails = owner_.TakeMails();
  ASSERT_EQ(mails.size(), 1u);
  EXPECT_EQ(mails[0].data, body);
  ASSERT_TRUE(mails[0].envelope.tls);
  EXPECT_EQ(mails[0].envelope.tls->version, "TLSv1.3");
  EXPECT_EQ(mails[0].envelope.recipients[0].local, "bounce+1");
  Stop();
}

TEST_F(MailOnTheWire, StopsWhileManyTalk) {
  Start();
  std::vector<std::unique_ptr<test::RawSocket>> sockets;
  for (int i = 0; i < 10; ++i) {
    sockets.push_back(std::make_unique<test::RawSocket>(port()));
    EXPECT_EQ(sockets.back()->ReadUntil("\r\n"), "220 mx.test ESMTP\r\n");
    if (i % 2 == 0) continue;
    sockets.back()->Send("EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n");
    sockets.back()->ReadUntil("354 end with a dot on a line of its own\r\n");
  }
  std::promise<void> stopped;
  worker_.Post([&] { listener_->Stop([&] { stopped.set_value(); }); });
  for (size_t i = 0; i < sockets.size(); ++i) {
    if (i % 2 != 0) sockets[i]->Send("x\r\n.\r\n");
    EXPECT_EQ(Codes(sockets[i]->ReadAll()), i % 2 == 0 ? "421" : "250 421");
  }
  stopped.get_future().wait();
  EXPECT_EQ(owner_.TakeMails().size(), 5u);
}

}  // namespace
}  // namespace maily::mail
