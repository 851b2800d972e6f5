// See smtp_server.h.
#include "api/mail/smtp_server.h"

#include <algorithm>
#include <charconv>

#include "streams/base/result.h"

namespace maily::mail {
namespace {

constexpr size_t kTextBytesMax = 400;  // of what an owner says; a reply line has 512 at most (RFC 5321 §4.5.3.1.5)
constexpr size_t kHeloBytesMax = 255;
constexpr size_t kLeftBytesMin = 64 * 1024;  // of the budget, for DATA to be worth it

const Reply kHelloFirst{503, "5.5.1", "EHLO first"};
const Reply kMailFirst{503, "5.5.1", "MAIL first"};
const Reply kRcptFirst{503, "5.5.1", "RCPT first"};
const Reply kNoRecipients{554, "5.5.1", "no valid recipients"};
const Reply kNotInChunks{503, "5.5.1", "BDAT has begun: BDAT or RSET"};
const Reply kNoArgument{501, "5.5.4", "no argument is allowed"};
const Reply kWrongArgument{501, "5.5.4", "syntax error in the argument"};
const Reply kUnknownParameter{555, "5.5.4", "parameter not recognized"};
const Reply kTooLarge{552, "5.3.4", "the mail is too large"};
const Reply kBareNewline{550, "5.6.11", "the mail has a CR or LF of its own; lines end with CR LF"};
const Reply kLongLine{554, "5.6.0", "the mail has a line of more than 65536 bytes"};
const Reply kNoRoom{452, "4.3.1", "no room for a mail at the moment"};

char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
bool SameWord(std::string_view text, std::string_view upper) {
  return std::ranges::equal(text, upper, [](char a, char b) { return Upper(a) == b; });
}
bool IsPrintableAscii(char c) { return c > 0x20 && c < 0x7F; }

std::string_view Trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

// The word before the first space; it and the spaces after it go.
std::string_view TakeWord(std::string_view& text) {
  const size_t end = std::min(text.find_first_of(" \t"), text.size());
  const std::string_view word = text.substr(0, end);
  text = Trimmed(text.substr(end));
  return word;
}

// Digits alone, at most 20 (RFC 1870 §3, RFC 3030 §2), that fit 64 bits.
std::optional<uint64_t> Number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || text.size() > 20 || failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "FROM:" or "TO:" off the front; spaces after it are not in the grammar, and common.
bool TakePrefix(std::string_view& text, std::string_view prefix) {
  if (!SameWord(text.substr(0, prefix.size()), prefix)) return false;
  text = Trimmed(text.substr(prefix.size()));
  return true;
}

// Browsers that were made to speak to this port: their next lines would be commands.
bool IsHttp(std::string_view verb) {
  static constexpr std::string_view kMethods[] = {"GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS"};
  return std::ranges::any_of(kMethods, [&](std::string_view method) { return SameWord(verb, method); });
}

}  // namespace

struct SmtpServer::Verb {
  std::string_view name;
  void (SmtpServer::*run)(std::string_view argument);
};
const SmtpServer::Verb SmtpServer::kVerbs[] = {
    {"EHLO", &SmtpServer::OnEhlo},           {"HELO", &SmtpServer::OnHelo},           {"MAIL", &SmtpServer::OnMail},
    {"RCPT", &SmtpServer::OnRcpt},           {"DATA", &SmtpServer::OnData},           {"BDAT", &SmtpServer::OnBdat},
    {"RSET", &SmtpServer::OnRset},           {"NOOP", &SmtpServer::OnNoop},           {"VRFY", &SmtpServer::OnVrfy},
    {"HELP", &SmtpServer::OnHelp},           {"QUIT", &SmtpServer::OnQuit},           {"STARTTLS", &SmtpServer::OnStartTls},
    {"EXPN", &SmtpServer::OnNotImplemented}, {"AUTH", &SmtpServer::OnNotImplemented}, {"ETRN", &SmtpServer::OnNotImplemented},
};

SmtpServer::SmtpServer(ServerOptions options, std::shared_ptr<Budget> budget) : options_(std::move(options)), budget_(std::move(budget)) {
  MAILY_CHECK(budget_ != nullptr, "a mail server without a budget");
}

std::string_view StateName(SmtpServer::State state) {
  static constexpr std::string_view kNames[] = {"greeting", "command", "asks recipient", "lines", "chunk", "asks mail", "tls", "end"};
  return kNames[static_cast<size_t>(state)];
}

Duration SmtpServer::wait_limit() const {
  switch (state_) {
    case State::kCommand:
    case State::kTls:
      return options_.timeouts.command;
    case State::kLines:
    case State::kChunk:
      return options_.timeouts.data;
    case State::kAsksRecipient:
    case State::kAsksMail:
      return options_.timeouts.decision;
    case State::kGreeting:
    case State::kEnd:
      break;
  }
  return {};
}

// --- bytes ---

void SmtpServer::Greet() {
  if (state_ == State::kEnd) return;
  MAILY_CHECK(state_ == State::kGreeting, "a second greeting");
  state_ = State::kCommand;
  ++progress_;
  output_ += fmt::format("220 {} ESMTP\r\n", options_.host);
}

void SmtpServer::Receive(std::string_view bytes) {
  if (bytes.empty() || state_ == State::kEnd || state_ == State::kTls) return;
  if (state_ == State::kGreeting) return End({554, "5.5.1", "you spoke before the greeting"});
  if (wants_input() && input_.empty()) {
    Process(bytes);
    input_ = bytes;
    return;
  }
  input_ += bytes;
}

// Leaves what is not wanted yet.
void SmtpServer::Process(std::string_view& bytes) {
  while (!bytes.empty() && wants_input()) {
    switch (state_) {
      case State::kCommand:
        TakeLine(bytes);
        break;
      case State::kLines:
        TakeLines(bytes);
        break;
      case State::kChunk:
        TakeChunk(bytes);
        break;
      default:  // kTls
        bytes = {};
    }
  }
  if (state_ == State::kEnd) bytes = {};
}

void SmtpServer::TakeLine(std::string_view& bytes) {
  const size_t end = bytes.find('\n');
  const bool whole = end != std::string_view::npos;
  const std::string_view part = bytes.substr(0, whole ? end + 1 : end);
  bytes.remove_prefix(part.size());
  const bool cr = part.size() > 1 ? part[part.size() - 2] == '\r' : long_line_ > 0 ? long_line_cr_ : line_.ends_with('\r');
  const uint64_t size = long_line_ + line_.size() + part.size();
  if (size > kLongLineBytesMax) return End({500, "5.5.2", "the line does not end"});
  // Nothing but CR LF ends a command, either (RFC 5321 §2.3.8); who is of another mind about that is not talked to.
  if (whole && !cr) return End({500, "5.5.2", "lines end with CR LF"});
  if (size > kLineBytesMax) {
    line_ = std::string();
    long_line_ = size;
    long_line_cr_ = part.ends_with('\r');
    if (!whole) return;
    long_line_ = 0;
    ++progress_;
    return SayError({500, "5.5.2", "the line is too long"});
  }
  line_ += part;
  if (!whole) return;
  const std::string line = std::exchange(line_, {});
  ++progress_;
  OnCommand(std::string_view(line).substr(0, line.size() - 2));
  if (state_ == State::kCommand) ToCommand();
}

void SmtpServer::TakeLines(std::string_view& bytes) {
  ++progress_;
  const bool ended = body_.TakeLines(bytes);
  const Reply* const fault = FaultOfBody();
  if (fault != nullptr && drained_ + body_.size() > options_.drain_bytes_max) {
    ++mails_refused_;
    return End(kTooLarge);
  }
  if (!ended) return;
  if (fault == nullptr) return AskMail();
  MailRefused(*fault);
}

void SmtpServer::TakeChunk(std::string_view& bytes) {
  ++progress_;
  const std::string_view part = bytes.substr(0, std::min<uint64_t>(bytes.size(), chunk_left_));
  bytes.remove_prefix(part.size());
  chunk_left_ -= part.size();
  if (chunk_refusal_ == nullptr) body_.TakeChunk(part);
  if (chunk_left_ == 0) ChunkEnded();
}

void SmtpServer::ChunkEnded() {
  if (chunk_refusal_ != nullptr) {
    SayError(*chunk_refusal_);
    return ToCommand();
  }
  // The mail is over: chunks that are under way find none (RFC 3030 §2).
  if (const Reply* const fault = FaultOfBody()) return MailRefused(*fault);
  in_chunks_ = true;
  if (chunk_is_last_) return AskMail();
  Say({250, "2.0.0", fmt::format("{} octets so far", body_.size())});
  ToCommand();
}

void SmtpServer::MailRefused(const Reply& why) {
  drained_ = std::min(options_.drain_bytes_max, drained_ + body_.size());
  Forget();
  ++(why.code / 100 == 4 ? mails_deferred_ : mails_refused_);
  SayError(why);
  ToCommand();
}

// --- commands ---

void SmtpServer::OnCommand(std::string_view line) {
  if (std::ranges::any_of(line, [](char c) { return (static_cast<uint8_t>(c) < 0x20 && c != '\t') || c == 0x7F; })) {
    return SayError({500, "5.5.2", "a control character in a command"});
  }
  std::string_view argument = Trimmed(line);
  const std::string_view verb = TakeWord(argument);
  for (const Verb& known : kVerbs) {
    if (SameWord(verb, known.name)) return (this->*known.run)(argument);
  }
  if (IsHttp(verb)) return End({500, "5.5.1", "this is not HTTP"});
  SayError({500, "5.5.2", "command not recognized"});
}

bool SmtpServer::Greeted(std::string_view argument, bool esmtp) {
  if (argument.empty() || argument.size() > kHeloBytesMax || !std::ranges::all_of(argument, IsPrintableAscii)) {
    SayError(kWrongArgument);
    return false;
  }
  Forget();  // as RSET (RFC 5321 §4.1.4)
  envelope_.helo = argument;
  envelope_.esmtp = esmtp;
  CountIdle();
  return state_ != State::kEnd;
}

void SmtpServer::OnEhlo(std::string_view argument) {
  if (!Greeted(argument, true)) return;
  // Greetings have no enhanced codes (RFC 2034 §4). BINARYMIME and DSN are not offered.
  output_ += fmt::format("250-{} greets you\r\n250-PIPELINING\r\n250-SIZE {}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n",
                         options_.host, options_.mail_bytes_max);
  if (options_.starttls && !secured_) output_ += "250-STARTTLS\r\n";
  output_ += "250 ENHANCEDSTATUSCODES\r\n";
}

void SmtpServer::OnHelo(std::string_view argument) {
  if (Greeted(argument, false)) output_ += fmt::format("250 {}\r\n", options_.host);
}

void SmtpServer::OnMail(std::string_view argument) {
  if (envelope_.helo.empty()) return SayError(kHelloFirst);
  if (in_mail_) return SayError({503, "5.5.1", "there is a mail already: RSET"});
  if (!TakePrefix(argument, "FROM:")) return SayError({501, "5.5.4", "MAIL FROM:<address>"});
  std::optional<Mailbox> sender = TakePath(argument, PathUse::kSender);
  if (!sender || (!argument.empty() && argument.front() != ' ')) return SayError({501, "5.1.7", "no sender's address"});
  Forget();
  if (!TakeSenderParameters(Trimmed(argument))) return;
  if (!IsAscii(*sender) && !envelope_.utf8) return SayError({553, "5.6.7", "such a sender needs SMTPUTF8"});  // RFC 6531 §3.5
  envelope_.sender = std::move(*sender);
  in_mail_ = true;
  Say({250, "2.1.0", "sender ok"});
}

// False: one is wrong, and that was said.
bool SmtpServer::TakeSenderParameters(std::string_view text) {
  while (!text.empty()) {
    const std::string_view word = TakeWord(text);
    const size_t equals = std::min(word.find('='), word.size());
    if (!TakeSenderParameter(word.substr(0, equals), word.substr(equals))) return false;
  }
  return true;
}

// `value`: with its '=', or empty.
bool SmtpServer::TakeSenderParameter(std::string_view keyword, std::string_view value) {
  const auto refuse = [this](const Reply& reply) {
    SayError(reply);
    return false;
  };
  if (SameWord(keyword, "SIZE")) {
    const std::optional<uint64_t> size = value.empty() ? std::nullopt : Number(value.substr(1));
    if (!size) return refuse(kWrongArgument);
    if (*size > options_.mail_bytes_max) {
      ++mails_refused_;
      return refuse(kTooLarge);
    }
    envelope_.declared_bytes = *size;
    return true;
  }
  if (SameWord(keyword, "BODY")) {
    envelope_.eight_bit = SameWord(value, "=8BITMIME");
    return envelope_.eight_bit || SameWord(value, "=7BIT") || refuse(kUnknownParameter);
  }
  if (SameWord(keyword, "SMTPUTF8")) {
    envelope_.utf8 = true;
    return value.empty() || refuse(kWrongArgument);
  }
  return refuse(kUnknownParameter);
}

void SmtpServer::OnRcpt(std::string_view argument) {
  if (!in_mail_) return SayError(kMailFirst);
  if (in_chunks_) return SayError(kNotInChunks);
  if (!TakePrefix(argument, "TO:")) return SayError({501, "5.5.4", "RCPT TO:<address>"});
  std::optional<Mailbox> recipient = TakePath(argument, PathUse::kRecipient);
  if (!recipient || (!argument.empty() && argument.front() != ' ')) return SayError({501, "5.1.3", "no recipient's address"});
  if (!Trimmed(argument).empty()) return SayError(kUnknownParameter);
  if (!IsAscii(*recipient) && !envelope_.utf8) return SayError({553, "5.6.7", "such a recipient needs SMTPUTF8"});
  if (envelope_.recipients.size() + refused_ >= options_.recipients_max) return SayError({452, "4.5.3", "too many recipients"});
  state_ = State::kAsksRecipient;
  asked_recipient_ = *recipient;
  question_.emplace(Question{.kind = Question::Kind::kRecipient, .number = ++asked_, .recipient = std::move(*recipient)});
}

const Reply* SmtpServer::MissingBeforeData() const {
  if (envelope_.helo.empty()) return &kHelloFirst;
  if (!in_mail_) return &kMailFirst;
  if (!envelope_.recipients.empty()) return nullptr;
  return refused_ > 0 ? &kNoRecipients : &kRcptFirst;
}

void SmtpServer::OnData(std::string_view argument) {
  if (!argument.empty()) return SayError(kNoArgument);
  if (const Reply* const missing = MissingBeforeData()) return SayError(*missing);
  if (in_chunks_) return SayError(kNotInChunks);
  // A mail of unknown size may be larger; if so, and there is no room then, it is told after the dot.
  const uint64_t wanted = std::max<uint64_t>(envelope_.declared_bytes, std::min(kLeftBytesMin, options_.mail_bytes_max));
  if (budget_->left() < wanted) {
    ++mails_deferred_;
    return SayError(kNoRoom);
  }
  body_ = Body(options_.mail_bytes_max, Room(budget_));
  state_ = State::kLines;
  output_ += "354 end with a dot on a line of its own\r\n";
}

void SmtpServer::OnBdat(std::string_view argument) {
  const std::optional<uint64_t> size = Number(TakeWord(argument));
  const bool last = SameWord(argument, "LAST");
  // Of which size the chunk is, and where the next command begins, is then unknown.
  if (!size || (!argument.empty() && !last)) return End({501, "5.5.4", "BDAT size [LAST]"});
  chunk_refusal_ = MissingBeforeData();
  const uint64_t already = in_chunks_ ? body_.size() : 0;
  if (chunk_refusal_ == nullptr && *size > options_.mail_bytes_max - already) {
    chunk_refusal_ = &kTooLarge;
    ++mails_refused_;
    Forget();
  }
  if (chunk_refusal_ != nullptr) {
    if (*size > options_.drain_bytes_max - drained_) return End(*chunk_refusal_);
    drained_ += *size;
  } else if (!in_chunks_) {
    body_ = Body(options_.mail_bytes_max, Room(budget_));
  }
  chunk_left_ = *size;
  chunk_is_last_ = last;
  state_ = State::kChunk;
  if (*size > 0) return;
  if (!last) CountIdle();
  if (state_ == State::kChunk) ChunkEnded();
}

void SmtpServer::OnRset(std::string_view argument) {
  if (!argument.empty()) return SayError(kNoArgument);
  Forget();
  Say({250, "2.0.0", "ok"});
  CountIdle();
}

void SmtpServer::OnNoop(std::string_view) {
  Say({250, "2.0.0", "ok"});
  CountIdle();
}

void SmtpServer::OnVrfy(std::string_view argument) {
  if (argument.empty()) return SayError(kWrongArgument);
  Say({252, "2.0.0", "cannot say; RCPT can"});  // RFC 5321 §3.5.3, §7.3
  CountIdle();
}

void SmtpServer::OnHelp(std::string_view) {
  Say({214, "2.0.0", "RFC 5321"});
  CountIdle();
}

void SmtpServer::OnQuit(std::string_view argument) {
  if (!argument.empty()) return SayError(kNoArgument);
  End({221, "2.0.0", "bye"});
}

void SmtpServer::OnStartTls(std::string_view argument) {
  if (!options_.starttls) return OnNotImplemented(argument);
  if (!argument.empty()) return SayError(kNoArgument);
  if (secured_) return SayError({503, "5.5.1", "TLS is there already"});
  if (!envelope_.esmtp) return SayError(kHelloFirst);
  Say({220, "2.0.0", "begin TLS"});
  Forget();
  state_ = State::kTls;
}

void SmtpServer::OnNotImplemented(std::string_view) { SayError({502, "5.5.1", "command not implemented"}); }

// --- the mail ---

void SmtpServer::AskMail() {
  Question question{.kind = Question::Kind::kMail, .number = ++asked_};
  question.mail.data = body_.TakeData();
  question.mail.room = body_.TakeRoom();
  question.mail.envelope = envelope_;
  Forget();
  question_.emplace(std::move(question));
  state_ = State::kAsksMail;
}

void SmtpServer::Answer(uint64_t number, const Reply& reply) {
  if (number != asked_ || (state_ != State::kAsksRecipient && state_ != State::kAsksMail)) return;
  const int kind = reply.code / 100;
  MAILY_CHECK((reply.code == 250 || kind == 4 || kind == 5) && reply.enhanced.size() >= 5 && reply.enhanced[0] - '0' == kind,
              "an answer to a peer: {} {}", reply.code, reply.enhanced);
  question_.reset();
  ++progress_;
  if (reply.code == 421) return End(reply);
  const bool of_recipient = state_ == State::kAsksRecipient;
  state_ = State::kCommand;
  if (reply.code == 250 && of_recipient) envelope_.recipients.push_back(std::move(asked_recipient_));
  if (reply.code != 250 && of_recipient) ++refused_;
  if (reply.code == 250 && !of_recipient) idle_commands_ = drained_ = 0;
  if (kind == 5) {
    SayError(reply);
  } else {
    Say(reply);
  }
  ToCommand();
  std::string rest = std::exchange(input_, {});
  std::string_view left = rest;
  Process(left);
  input_ = rest.substr(rest.size() - left.size());
}

const Reply* SmtpServer::FaultOfBody() const {
  switch (body_.fault()) {
    case Body::Fault::kNone:
      return nullptr;
    case Body::Fault::kTooLarge:
      return &kTooLarge;
    case Body::Fault::kBareNewline:
      return &kBareNewline;
    case Body::Fault::kLongLine:
      return &kLongLine;
    case Body::Fault::kNoRoom:
      return &kNoRoom;
  }
  return nullptr;
}

// The mail under way; not who the peer is.
void SmtpServer::Forget() {
  envelope_ = {.helo = std::move(envelope_.helo), .esmtp = envelope_.esmtp, .tls = std::move(envelope_.tls)};
  in_mail_ = in_chunks_ = false;
  refused_ = 0;
  body_ = Body();
}

// --- ends ---

void SmtpServer::Secured(tls::Facts facts) {
  MAILY_CHECK(state_ == State::kTls, "secured in state '{}'", StateName(state_));
  state_ = State::kCommand;
  secured_ = true;
  ++progress_;
  envelope_ = {.tls = std::move(facts)};  // it says EHLO anew (RFC 3207 §4.2)
}

void SmtpServer::TimedOut() {
  if (state_ == State::kAsksRecipient || state_ == State::kAsksMail) return Answer(asked_, Reply::Defer());
  Leave("4.4.2", "that took too long");
}

void SmtpServer::Shutdown() {
  shutting_down_ = true;
  if (state_ == State::kAsksMail || state_ == State::kLines || state_ == State::kChunk) return;
  ToCommand();
}

void SmtpServer::Leave(std::string_view enhanced, std::string_view text) {
  if (state_ != State::kEnd) End({421, std::string(enhanced), fmt::format("{} {}", options_.host, text)});
}

// Ready for the next command, unless it is time to go.
void SmtpServer::ToCommand() {
  if (state_ == State::kEnd) return;
  if (shutting_down_ && !in_chunks_) return Leave("4.3.2", "is shutting down");
  if (state_ != State::kTls) state_ = State::kCommand;
}

void SmtpServer::CountIdle() {
  if (++idle_commands_ > options_.idle_commands_max) Leave("4.7.0", "too many commands without a mail");
}

void SmtpServer::Say(const Reply& reply) {
  if (state_ == State::kEnd) return;
  output_ += fmt::format("{} {} ", reply.code, reply.enhanced);
  for (const char c : std::string_view(reply.text).substr(0, kTextBytesMax)) output_.push_back(c >= 0x20 && c < 0x7F ? c : '?');
  output_ += "\r\n";
}

void SmtpServer::SayError(const Reply& reply) {
  Say(reply);
  if (++errors_ > options_.errors_max) Leave("4.7.0", "too many errors");
}

void SmtpServer::End(const Reply& reply) {
  if (state_ != State::kTls) Say(reply);
  Forget();
  state_ = State::kEnd;
  question_.reset();
  input_ = std::string();
  line_ = std::string();
}

}  // namespace maily::mail
