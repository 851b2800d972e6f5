// Mail that comes back, through the whole API: what its bringer is told, by SMTP and by HTTP.
#include "api/inbound_mail.h"

#include "tests/api/client.h"

namespace maily::api {
namespace {

using Headers = http::Headers;

class InboundMailTest : public ApiTest {
 protected:
  InboundMailTest() {
    const auto read = [this](std::string_view token) -> Result<inbound::Send> {
      if (!keys_) return Fail(Code::kRetry, "the keys cannot be read");
      if (!token.starts_with("bgood")) return Fail(Code::kInvalid, "not ours");
      return inbound::Send{SimApi::kTenant, PartitionId(1), 7, 1};
    };
    dependencies_.inbound = {.return_path = read,
                             .message_id = read,
                             .opt_out = read,
                             .redact = [](std::string_view text, std::string_view) { return std::string(text); },
                             .partition_count = SimApi::kPartitions};
    router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
    inbound_ = std::make_unique<InboundMail>(dependencies_);
  }

  // The reply to a bounce for that local part.
  int Bring(const std::string& local) {
    mail::Mail mail;
    mail.envelope.recipients = {{local, "bounces.example"}};
    mail.data = kBounce;
    const auto code = std::make_shared<int>(0);
    inbound_->Take({"192.0.2.1", 25}, std::move(mail), [code](const mail::Reply& reply) { *code = reply.code; });
    EXPECT_TRUE(world_.Until([&] { return *code != 0; }));
    return *code;
  }
  int Recipient(const std::string& local) {
    int code = 0;
    inbound_->Recipient({"192.0.2.1", 25}, {}, {local, "bounces.example"}, [&code](const mail::Reply& reply) { code = reply.code; });
    return code;
  }

  static constexpr const char* kOurs = "bgoodaaaaaaaaaaaaaaaaaaaaaaa";
  static constexpr const char* kForged = "bevilaaaaaaaaaaaaaaaaaaaaaaa";
  static constexpr const char* kBounce =
      "From: MAILER-DAEMON@mx.example\r\nTo: bgoodaaaaaaaaaaaaaaaaaaaaaaa@bounces.example\r\nSubject: failure notice\r\n\r\nHi. This is "
      "the "
      "qmail-send program at mx.example.\r\nI'm afraid I wasn't able to deliver your message to the following addresses.\r\n\r\n"
      "<ann@a.example>:\r\nRemote host said: 550 5.1.1 User unknown\r\n";
  bool keys_ = true;
  std::unique_ptr<InboundMail> inbound_;
};

TEST_F(InboundMailTest, OnlyWhatMayBeOursIsARecipient) {
  EXPECT_EQ(Recipient(kOurs), 250);
  EXPECT_EQ(Recipient(kForged), 250);  // whoever forges is not told
  EXPECT_EQ(Recipient("postmaster"), 250);
  EXPECT_EQ(Recipient("ann"), 550);
}

TEST_F(InboundMailTest, AMailIsTakenOnlyIfItsCommandIsDurable) {
  EXPECT_EQ(Bring(kForged), 250);
  EXPECT_EQ(Bring(kOurs), 250);  // no such mail went out: that is decided, and durable
  world_.log.SetFull(true);
  EXPECT_EQ(Bring(kOurs), 451);
  EXPECT_EQ(Bring("postmaster"), 451);  // the mail itself names the send
  EXPECT_EQ(Bring(kForged), 451);
  world_.log.SetFull(false);
  EXPECT_EQ(Bring(kOurs), 250);
  keys_ = false;
  EXPECT_EQ(Bring(kOurs), 451);
}

TEST_F(InboundMailTest, ByHttpTheAnswerSaysWhatItIs) {
  const Headers as_mail{{"content-type", "message/rfc822"}};
  const auto ask = [&](const std::string& mail, const Headers& headers) { return Ask(Method::kPost, "/v1/inbound", mail, headers); };
  EXPECT_EQ(ask(kBounce, as_mail).status, 202);
  EXPECT_EQ(ask(kBounce, as_mail).body, (json{{"what", "bounce"}, {"result", "unknown_send"}}));
  EXPECT_EQ(ask("Subject: hi\r\n\r\nhi\r\n", as_mail).body, (json{{"what", "nobody"}, {"result", "quarantined"}}));
  EXPECT_EQ(ask(kBounce, {{"content-type", "application/json"}}).status, 415);
  EXPECT_EQ(ask("", as_mail).status, 400);
  world_.log.SetFull(true);
  EXPECT_EQ(ask(kBounce, as_mail).status, 503);
  world_.log.SetFull(false);
}

}  // namespace
}  // namespace maily::api
