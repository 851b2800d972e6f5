// What a peer says to the server that takes mail: each reply is whole and a line, mails stay within their limits, in chunks and lines,
// memory is given back, what was read as an address is read again as the same, and the same bytes in other pieces come to the same. The
// first byte chooses the pieces; odd ones have STARTTLS, behind which pieces matter: what came before the handshake is thrown away.
#include "api/mail/fixture.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

using mail::Mailbox;
using mail::SmtpServer;

constexpr size_t kMailBytesMax = 2000;
constexpr size_t kBudgetBytes = 8000;

void CheckReplies(std::string_view said) {
  while (!said.empty()) {
    const size_t end = said.find("\r\n");
    MAILY_CHECK(end != std::string_view::npos && end >= 5 && end <= 510, "a reply that is none: '{}'", said);
    const std::string_view line = said.substr(0, end);
    MAILY_CHECK(line[0] >= '2' && line[0] <= '5' && (line[3] == ' ' || line[3] == '-'), "'{}'", line);
    MAILY_CHECK(std::ranges::all_of(line, [](char c) { return c >= 0x20 && c < 0x7F; }), "'{}'", line);
    said.remove_prefix(end + 2);
  }
}

// Quotes and backslashes may be put otherwise, and a source route is gone.
void CheckMailbox(const Mailbox& mailbox, mail::PathUse use) {
  const std::string path = "<" + mailbox.ToString() + ">";
  std::string_view rest = path;
  if (path.size() > mail::kPathBytesMax) return;
  const auto again = mail::TakePath(rest, use);
  MAILY_CHECK((mailbox.null() && path == "<>") || (again && *again == mailbox && rest.empty()), "{} is not read again", path);
}

std::string Talk(std::string_view bytes, size_t piece, bool starttls) {
  mail::ServerOptions options{.host = "mx.test", .mail_bytes_max = kMailBytesMax, .drain_bytes_max = 10'000, .recipients_max = 3};
  options.errors_max = 8;
  options.idle_commands_max = 10;
  options.starttls = starttls;
  mail::Talk talk(options, kBudgetBytes);
  std::string came;
  std::string mails;
  talk.on_recipient = [&](const Mailbox& mailbox) {
    CheckMailbox(mailbox, mail::PathUse::kRecipient);
    return mailbox.local.starts_with('n') ? mail::Reply::Refuse(550, "5.1.1", mailbox.ToString()) : mail::Reply::Accept();
  };
  talk.on_mail = [&](const mail::Mail& mail) {
    CheckMailbox(mail.envelope.sender, mail::PathUse::kSender);
    MAILY_CHECK(mail.data.size() <= kMailBytesMax && mail.data.capacity() <= std::max<size_t>(mail.room.bytes(), 15),
                "{} bytes, {} counted", mail.data.capacity(), mail.room.bytes());
    MAILY_CHECK(!mail.envelope.recipients.empty() && mail.envelope.recipients.size() <= 3, "{} recipients",
                mail.envelope.recipients.size());
    mails += fmt::format("[{} {} {}]", mail.envelope.helo, mail.envelope.sender.ToString(), mail.data);
    return mail.data.ends_with("4\r\n") ? mail::Reply::Defer() : mail::Reply::Accept();
  };
  talk.server.Greet();
  while (!bytes.empty() && !talk.ended()) {
    const std::string said = talk.Say(bytes.substr(0, piece));
    CheckReplies(said);
    came += said;
    bytes.remove_prefix(std::min(piece, bytes.size()));
    talk.mails.clear();
    MAILY_CHECK(talk.budget->used() <= kBudgetBytes, "{} bytes", talk.budget->used());
    if (talk.server.state() == SmtpServer::State::kTls) talk.server.Secured({.version = "TLSv1.3", .cipher = "x"});
  }
  talk.server.Shutdown();
  talk.server.TimedOut();
  MAILY_CHECK(talk.ended() && talk.budget->used() == 0, "it does not end: {}", StateName(talk.server.state()));
  return came + mails;
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  std::string_view input = fuzz::View(data, size);
  const uint8_t choice = fuzz::TakeByte(input);
  const bool starttls = choice % 2 == 1;
  const std::string in_pieces = fuzz::Talk(input, 1 + choice / 2, starttls);
  const std::string whole = fuzz::Talk(input, input.size() + 1, starttls);
  MAILY_CHECK(starttls || in_pieces == whole, "in pieces:\n{}\nwhole:\n{}", in_pieces, whole);
  return 0;
}
