// One SMTP server conversation (RFC 5321, 1870, 2034, 2920, 3030, 3207, 6152, 6531) without I/O: bytes go in, bytes and questions come out.
//
//   greeting ──Greet()──▶ command ──RCPT──▶ asks recipient ──Answer()──▶ command
//      │                    │ ▲  ├──DATA──▶ lines ──final dot──▶ asks mail ──Answer()──▶ command
//      │ bytes: 554         │ │  └──BDAT──▶ chunk ──its end──▶ command, after the last one: asks mail
//      ▼                    │ └──Secured()── tls ◀──STARTTLS── command
//     end ◀─────────────────┴─QUIT, too many errors, too much, late, Shutdown()
//
// The driver's loop: feed what was read with Receive while wants_input(); write what TakeOutput gives; bring what TakeQuestion gives to the
// owner, and what he says back with Answer. In kTls it writes first, then makes the handshake and calls Secured. In kEnd it writes and
// closes. 250 is said to a mail only when the owner has said so: then it must be durable.
//
// Every limit below is enforced here, but for time: the driver keeps the clock, enforces wait_limit() and calls TimedOut. There is no AUTH,
// no relaying and no Received field: the mail's owner adds one from the envelope. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/mail/body.h"
#include "api/mail/path.h"
#include "streams/base/time.h"
#include "streams/tls/channel.h"

namespace maily::mail {

// How long to wait for what. RFC 5321 §4.5.3.2.7 asks for 5 minutes at least for a command; the peer waits 5 minutes for the answer to
// RCPT and 10 for that to the final dot (§4.5.3.2.3, §4.5.3.2.6).
struct ServerTimeouts {
  Duration command = Seconds(300);   // for a whole command, and for STARTTLS's handshake
  Duration data = Seconds(180);      // for some more bytes of a mail
  Duration body = Seconds(900);      // for all bytes of a mail
  Duration decision = Seconds(240);  // for the owner; beyond it the peer is told to come back
};

struct ServerOptions {
  std::string host = "localhost";          // what this host calls itself: a name or address literal, ASCII
  size_t mail_bytes_max = 2 << 20;         // told by SIZE; beyond it 552
  uint64_t drain_bytes_max = 32ULL << 20;  // read of mails and chunks that are refused, before the connection is ended
  size_t recipients_max = 100;             // that a mail asks for; RFC 5321 §4.5.3.1.8 asks for 100; beyond them 452
  size_t errors_max = 20;                  // of a connection; one more: 421
  size_t idle_commands_max = 100;          // of those that bring no mail nearer (NOOP, RSET, EHLO, …), since the last mail; one more: 421
  bool starttls = false;                   // offered
  ServerTimeouts timeouts = {};
};

// What the owner says, or the session for him. `code`: 250, 4xx or 5xx; `enhanced`: "5.1.1", of the same class (RFC 3463). Of `text` 400
// bytes are said, and what is not printable ASCII as '?'.
struct Reply {
  int code = 250;
  std::string enhanced = "2.0.0";
  std::string text = "ok";

  static Reply Accept(std::string text = "ok") { return {250, "2.0.0", std::move(text)}; }
  static Reply Refuse(int code, std::string enhanced, std::string text) { return {code, std::move(enhanced), std::move(text)}; }
  static Reply Defer(std::string text = "try again later") { return {451, "4.3.0", std::move(text)}; }
};

struct Envelope {
  std::string helo = {};               // what the peer called itself: printable ASCII, at most 255 bytes, not checked
  bool esmtp = false;                  // it said EHLO
  std::optional<tls::Facts> tls = {};  // none: the connection is not secured
  Mailbox sender = {};
  std::vector<Mailbox> recipients = {};  // those that were accepted
  uint64_t declared_bytes = 0;           // SIZE=; 0 = not told
  bool eight_bit = false;                // BODY=8BITMIME
  bool utf8 = false;                     // SMTPUTF8
};

// A whole mail. What it takes of the budget is given back when `room` goes: keep it as long as the bytes.
struct Mail {
  Envelope envelope = {};
  std::string data = {};  // as meant: not dot-stuffed. After DATA all line ends are CR LF; after BDAT anything may be there. NULs are kept
  Room room = {};
};

struct Question {
  enum class Kind { kRecipient, kMail };
  Kind kind = Kind::kRecipient;
  uint64_t number = 0;     // for Answer
  Mailbox recipient = {};  // kRecipient; the envelope so far is in envelope()
  Mail mail = {};          // kMail
};

class SmtpServer {
 public:
  static constexpr size_t kLineBytesMax = 4096;       // of a command with its CR LF; RFC 5321 §4.5.3.1.4 asks for 512, extensions add to it
  static constexpr size_t kLongLineBytesMax = 65536;  // of a command that is thrown away as too long, before the connection is ended

  enum class State { kGreeting, kCommand, kAsksRecipient, kLines, kChunk, kAsksMail, kTls, kEnd };

  // `budget`: shared by all sessions; beyond it mails are answered 452.
  SmtpServer(ServerOptions options, std::shared_ptr<Budget> budget);

  // Says 220. Who speaks before it is no mail server (RFC 5321 §3.1, §4.3.1): 554. CHECK: state() is kGreeting or kEnd.
  void Greet();
  // Plain bytes. What comes while it does not want input is kept; in kTls and kEnd it is thrown away (RFC 3207 §4.2: what the peer said
  // before the handshake counts no more).
  void Receive(std::string_view bytes);
  // The handshake is done. CHECK: state() is kTls.
  void Secured(tls::Facts facts);
  // The owner's answer; a number that is not waited for any more is ignored. CHECK: the reply is one.
  void Answer(uint64_t number, const Reply& reply);
  // wait_limit() has passed.
  void TimedOut();
  // Ends with 421 as soon as no mail is half there or with its owner (RFC 5321 §3.8).
  void Shutdown();
  // Ends at once, with 421 and these words where they can be said.
  void Leave(std::string_view enhanced, std::string_view text);

  std::string TakeOutput() { return std::exchange(output_, {}); }
  // Once for each question; there is at most one at a time.
  std::optional<Question> TakeQuestion() { return std::exchange(question_, std::nullopt); }

  State state() const { return state_; }
  bool wants_input() const { return state_ != State::kAsksRecipient && state_ != State::kAsksMail && state_ != State::kEnd; }
  // How long the present wait may last; zero = for ever. It begins anew whenever progress() has changed.
  Duration wait_limit() const;
  uint64_t progress() const { return progress_; }
  const Envelope& envelope() const { return envelope_; }
  // Whole mails that were not brought before their owner, for what they are (5xx) or for want of room (4xx).
  uint64_t mails_refused() const { return mails_refused_; }
  uint64_t mails_deferred() const { return mails_deferred_; }

 private:
  struct Verb;
  static const Verb kVerbs[];

  void Process(std::string_view& bytes);
  void TakeLine(std::string_view& bytes);
  void TakeLines(std::string_view& bytes);
  void TakeChunk(std::string_view& bytes);
  void OnCommand(std::string_view line);
  void OnEhlo(std::string_view argument);
  void OnHelo(std::string_view argument);
  void OnMail(std::string_view argument);
  void OnRcpt(std::string_view argument);
  void OnData(std::string_view argument);
  void OnBdat(std::string_view argument);
  void OnRset(std::string_view argument);
  void OnNoop(std::string_view argument);
  void OnVrfy(std::string_view argument);
  void OnHelp(std::string_view argument);
  void OnQuit(std::string_view argument);
  void OnStartTls(std::string_view argument);
  void OnNotImplemented(std::string_view argument);

  bool Greeted(std::string_view argument, bool esmtp);
  bool TakeSenderParameters(std::string_view text);
  bool TakeSenderParameter(std::string_view keyword, std::string_view value);
  const Reply* MissingBeforeData() const;
  void ChunkEnded();
  void MailRefused(const Reply& why);
  void AskMail();
  const Reply* FaultOfBody() const;
  void Forget();
  void ToCommand();
  void CountIdle();

  void Say(const Reply& reply);
  void SayError(const Reply& reply);
  void End(const Reply& reply);

  const ServerOptions options_;
  const std::shared_ptr<Budget> budget_;
  State state_ = State::kGreeting;
  bool shutting_down_ = false;
  bool secured_ = false;
  uint64_t progress_ = 0;
  uint64_t asked_ = 0;  // questions so far: the number of the last one
  uint64_t mails_refused_ = 0;
  uint64_t mails_deferred_ = 0;
  size_t errors_ = 0;
  uint64_t idle_commands_ = 0;
  uint64_t drained_ = 0;  // bytes of what was refused since the last mail; at most drain_bytes_max

  std::string input_;          // came while it was not wanted
  std::string line_;           // an unfinished command
  uint64_t long_line_ = 0;     // bytes of a line that is too long; 0 = there is none
  bool long_line_cr_ = false;  // its last byte is a CR
  std::string output_;
  std::optional<Question> question_;

  Envelope envelope_;
  Mailbox asked_recipient_;  // waits for the owner's answer
  bool in_mail_ = false;     // MAIL was accepted
  bool in_chunks_ = false;   // a chunk of the mail was taken
  size_t refused_ = 0;       // recipients of the mail that were not accepted
  Body body_;
  uint64_t chunk_left_ = 0;
  bool chunk_is_last_ = false;
  const Reply* chunk_refusal_ = nullptr;  // the chunk is thrown away, then this is said
};

std::string_view StateName(SmtpServer::State state);

}  // namespace maily::mail
