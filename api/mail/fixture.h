// For tests: a session whose owner answers at once, and keeps the mails that he took.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/mail/smtp_server.h"

namespace maily::mail {

inline constexpr size_t kTestBudgetBytes = 16 << 20;

class Talk {
 public:
  explicit Talk(ServerOptions options = {.host = "mx.test"}, size_t budget_bytes = kTestBudgetBytes)
      : budget(std::make_shared<Budget>(budget_bytes)), server(std::move(options), budget) {}

  // What the server says to `bytes`.
  std::string Say(std::string_view bytes) {
    server.Receive(bytes);
    return Settle();
  }
  std::string Settle() {
    std::string said = server.TakeOutput();
    while (auto question = server.TakeQuestion()) {
      const bool whole = question->kind == Question::Kind::kMail;
      const Reply reply = whole ? on_mail(question->mail) : on_recipient(question->recipient);
      if (whole && reply.code == 250) mails.push_back(std::move(question->mail));
      server.Answer(question->number, reply);
      said += server.TakeOutput();
    }
    return said;
  }
  // Greeted, and helloed.
  Talk& Begin() {
    server.Greet();
    Say("EHLO peer.test\r\n");
    return *this;
  }
  // With a mail to one recipient begun.
  Talk& Mail() {
    Begin();
    Say("MAIL FROM:<>\r\nRCPT TO:<b@mx.test>\r\n");
    return *this;
  }
  bool ended() const { return server.state() == SmtpServer::State::kEnd; }

  std::function<Reply(const Mailbox&)> on_recipient = [](const Mailbox&) { return Reply{250, "2.1.5", "recipient ok"}; };
  std::function<Reply(const mail::Mail&)> on_mail = [](const mail::Mail&) { return Reply::Accept("taken"); };
  std::shared_ptr<Budget> budget;
  SmtpServer server;
  std::vector<mail::Mail> mails;
};

// The codes of the replies in `said`: "250 354 250".
inline std::string Codes(std::string_view said) {
  std::string codes;
  while (!said.empty()) {
    const std::string_view line = said.substr(0, said.find("\r\n"));
    said.remove_prefix(std::min(said.size(), line.size() + 2));
    if (line.size() > 3 && line[3] == '-') continue;
    codes += (codes.empty() ? "" : " ") + std::string(line.substr(0, 3));
  }
  return codes;
}

}  // namespace maily::mail
