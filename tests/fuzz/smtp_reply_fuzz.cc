// Replies of an SMTP server: whatever it says, each mail gets at most one verdict, texts stay within their limits, and the same bytes in
// other pieces say the same. The first byte chooses the pieces and the mail, and whether TLS and a login are wanted.
#include "maily/sends/v1/commands.pb.h"
#include "processors/effects/smtp/redact.h"
#include "processors/effects/smtp/session.h"
#include "schemas/codec.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

// One conversation; gives what came of it as text.
std::string Talk(std::string_view bytes, size_t piece, bool utf8, bool secure) {
  smtp::SessionOptions options;
  if (secure) {
    options.tls = smtp::TlsUse::kIfOffered;
    options.login = smtp::Login{"user", "password"};
  }
  smtp::Session session(options);
  const std::string mail = "Subject: x\r\n\r\n.dot\r\n";
  const std::string address = utf8 ? "ann\xC3\xA4@example.com" : "ann@example.com";
  std::string said;
  bool started = false;
  for (;;) {
    while (!session.TakeOutput().bytes.empty()) {
    }
    if (auto verdict = session.TakeVerdict()) {
      MAILY_CHECK(started, "a verdict without a mail");
      MAILY_CHECK(verdict->text.size() <= smtp::Session::kReplyTextBytesMax, "{} bytes of text", verdict->text.size());
      started = false;
      const std::string redacted = smtp::RedactReply(verdict->text, address);
      MAILY_CHECK(redacted.find(utf8 ? "ann??@example.com" : address) == std::string::npos, "'{}' has the address", redacted);
      // It goes into a command, which must be readable.
      sends::v1::RecordAttempt record;
      record.set_reply_text(redacted);
      record.set_enhanced_code(verdict->enhanced);
      const auto read = schema::Decode<sends::v1::RecordAttempt>(record.SerializeAsString());
      MAILY_CHECK(read.has_value() && read->reply_text() == redacted, "a result that cannot be read: {}", redacted);
      said += fmt::format("{} {} {} {} {}\n", static_cast<int>(verdict->kind), smtp::StageName(verdict->stage), verdict->code,
                          verdict->enhanced, verdict->text);
    }
    if (session.state() == smtp::Session::State::kDead) break;
    if (session.state() == smtp::Session::State::kTls) {
      session.Secured();
      continue;
    }
    if (session.state() == smtp::Session::State::kReady && !started && said.size() < 10'000) {
      session.Start({.mail_from = "news@example.com", .rcpt_to = address}, mail);
      started = true;
      continue;
    }
    if (bytes.empty()) {
      session.Lost("the end");
      MAILY_CHECK(session.state() == smtp::Session::State::kDead, "it outlives its connection");
      continue;
    }
    session.Receive(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  MAILY_CHECK(!started, "a mail without a verdict");
  return said;
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  std::string_view input = fuzz::View(data, size);
  const uint8_t choice = fuzz::TakeByte(input);
  // Byte by byte a mail starts as soon as the session is ready; a large piece may hold replies to what was not asked yet.
  const bool utf8 = choice % 2 == 1;
  const bool secure = choice / 64 == 1;
  fuzz::Talk(input, 1, utf8, secure);
  fuzz::Talk(input, 1 + choice / 2, utf8, secure);
  return 0;
}
