// See session.h.
#include "processors/effects/smtp/session.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "streams/base/base64.h"
#include "streams/base/result.h"
#include "streams/base/utf8.h"

namespace maily::smtp {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

// "5.1.1" at the front of a reply's text, if its class fits the code (RFC 2034 §4).
std::string_view EnhancedCode(int code, std::string_view text) {
  size_t at = 0;
  int dots = 0;
  size_t digits = 0;
  for (; at < text.size() && (IsDigit(text[at]) || text[at] == '.'); ++at) {
    if (text[at] == '.') {
      if (digits == 0) return {};
      ++dots;
      digits = 0;
    } else if (++digits > 3) {
      return {};
    }
  }
  if (dots != 2 || digits == 0 || text[1] != '.' || text[0] - '0' != code / 100) return {};
  if (at < text.size() && text[at] != ' ') return {};
  return text.substr(0, at);
}

// An address may stand between < and > of an envelope command: it can neither end the command nor begin another.
bool FitsEnvelope(std::string_view address) {
  return address.size() <= 320 && std::none_of(address.begin(), address.end(),
                                               [](char c) { return static_cast<uint8_t>(c) <= 0x20 || c == 0x7F || c == '<' || c == '>'; });
}

constexpr std::string_view kFinalDot = ".\r\n";

// The message with lines that begin with a dot doubled (RFC 5321 §4.5.2).
void AppendStuffed(std::string_view data, std::string& out) {
  out.reserve(out.size() + data.size() + data.size() / 64 + 8);
  size_t run = 0;
  if (data.starts_with('.')) out.push_back('.');
  for (size_t at = 0; (at = data.find("\n.", at)) != std::string_view::npos; at += 1) {
    out.append(data, run, at + 1 - run);
    out.push_back('.');
    run = at + 1;
  }
  out.append(data, run);
}

// Control characters of a peer's text go into no log and no event.
void AppendPrintable(std::string_view text, std::string& out) {
  for (const char c : text) {
    if (out.size() >= Session::kReplyTextBytesMax) return;
    out.push_back(static_cast<uint8_t>(c) < 0x20 || static_cast<uint8_t>(c) >= 0x7F ? '?' : c);
  }
}

}  // namespace

std::string_view StageName(Stage stage) {
  switch (stage) {
    case Stage::kConnect:
      return "connect";
    case Stage::kGreeting:
      return "greeting";
    case Stage::kEhlo:
      return "ehlo";
    case Stage::kMail:
      return "mail";
    case Stage::kRcpt:
      return "rcpt";
    case Stage::kData:
      return "data";
    case Stage::kBody:
      return "body";
    case Stage::kDot:
      return "dot";
    case Stage::kStartTls:
      return "starttls";
    case Stage::kAuth:
      return "auth";
  }
  return "connect";
}

Session::Session(SessionOptions options) : options_(std::move(options)) {}

Duration Session::wait_limit() const {
  const Timeouts& timeouts = options_.timeouts;
  switch (state_) {
    case State::kGreeting:
      return timeouts.greeting;
    case State::kHello:
    case State::kStartTls:
    case State::kTls:
    case State::kAuth:
    case State::kReset:
      return timeouts.command;
    case State::kEnvelope:
      return answered_ == 2 ? timeouts.data : timeouts.command;
    case State::kBody:
      return timeouts.dot;
    case State::kQuit:
      return timeouts.quit;
    case State::kReady:
    case State::kDead:
      break;
  }
  return {};
}

Stage Session::WaitingFor() const {
  switch (state_) {
    case State::kGreeting:
      return Stage::kGreeting;
    case State::kHello:
      return Stage::kEhlo;
    case State::kStartTls:
    case State::kTls:
      return Stage::kStartTls;
    case State::kAuth:
      return Stage::kAuth;
    case State::kEnvelope:
      return answered_ == 0 ? Stage::kMail : answered_ == 1 ? Stage::kRcpt : Stage::kData;
    case State::kBody:
      return BodyLeft() ? Stage::kBody : Stage::kDot;
    default:
      return Stage::kConnect;
  }
}

Session::Output Session::TakeOutput() {
  Output output{std::exchange(output_, {}), std::exchange(output_has_dot_, false)};
  if (state_ == State::kBody && !tail_.empty()) SendTail();
  return output;
}

std::optional<Verdict> Session::TakeVerdict() { return std::exchange(verdict_, std::nullopt); }

void Session::Receive(std::string_view bytes) {
  while (!bytes.empty() && state_ != State::kDead && state_ != State::kTls) {
    const size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + part.size() > kLineBytesMax) {
      return Die({.kind = Verdict::Kind::kDeferred, .stage = WaitingFor(), .text = "the peer sent a line that is too long"});
    }
    if (end == std::string_view::npos) {
      line_ += part;
      return;
    }
    bytes.remove_prefix(end + 1);
    if (line_.empty()) {
      OnLine(part);
    } else {
      line_ += part;
      const std::string line = std::exchange(line_, {});
      OnLine(line);
    }
  }
}

void Session::OnLine(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  int code = 0;
  const bool numbered = line.size() >= 3 && line[0] >= '2' && line[0] <= '5' && IsDigit(line[1]) && IsDigit(line[2]);
  if (numbered) std::from_chars(line.data(), line.data() + 3, code);
  const bool last = line.size() == 3 || (line.size() > 3 && line[3] == ' ');
  reply_bytes_ += line.size();
  if (!numbered || (!last && line[3] != '-') || (reply_.code != 0 && reply_.code != code) || reply_bytes_ > kReplyBytesMax) {
    return Die({.kind = Verdict::Kind::kDeferred, .stage = WaitingFor(), .text = "the peer does not speak SMTP"});
  }
  std::string_view text = line.substr(std::min<size_t>(line.size(), 4));
  const bool first = reply_.code == 0;
  reply_.code = code;
  if (state_ == State::kHello && code == 250 && !first) OnCapability(text);
  const std::string_view enhanced = EnhancedCode(code, text);
  if (!enhanced.empty()) {
    if (reply_.enhanced.empty()) reply_.enhanced = enhanced;
    text.remove_prefix(std::min(text.size(), enhanced.size() + 1));
  }
  if (!reply_.text.empty() && !text.empty()) AppendPrintable(" ", reply_.text);
  AppendPrintable(text, reply_.text);
  if (!last) return;
  reply_bytes_ = 0;
  OnReply(std::exchange(reply_, {}));
}

void Session::OnCapability(std::string_view line) {
  std::vector<std::string> words(1);
  for (const char c : line) {
    if (c != ' ') {
      words.back().push_back(Upper(c));
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  const std::string& name = words[0];
  if (name == "PIPELINING") offers_.pipelining = true;
  if (name == "SMTPUTF8") offers_.smtputf8 = true;
  if (name == "8BITMIME") offers_.eight_bit = true;
  if (name == "CHUNKING") offers_.chunking = true;
  if (name == "STARTTLS") offers_.starttls = true;
  if (name == "SIZE" && words.size() > 1) std::from_chars(words[1].data(), words[1].data() + words[1].size(), offers_.size_limit);
  if (name != "AUTH") return;
  for (const std::string& mechanism : words) {
    if (mechanism == "PLAIN") offers_.plain = true;
    if (mechanism == "LOGIN") offers_.login = true;
  }
}

void Session::OnReply(Reply reply) {
  if (reply.code == 421) return Die(Describe(reply, Verdict::Kind::kDeferred, WaitingFor()));
  switch (state_) {
    case State::kGreeting:
      return OnGreeting(reply);
    case State::kHello:
      return OnHello(reply);
    case State::kStartTls:
      return OnStartTls(reply);
    case State::kAuth:
      return OnAuth(reply);
    case State::kEnvelope:
      return OnEnvelope(reply);
    case State::kBody:
      return OnBody(reply);
    case State::kReset:
      if (reply.code / 100 == 2) {
        state_ = State::kReady;
        return;
      }
      return Die(Describe(reply, Verdict::Kind::kDeferred, Stage::kConnect));
    case State::kQuit:
      return Die(Describe(reply, Verdict::Kind::kDeferred, Stage::kConnect));
    case State::kReady:
      return Die({.kind = Verdict::Kind::kDeferred, .stage = Stage::kConnect, .text = "the peer spoke out of turn"});
    case State::kTls:
    case State::kDead:
      return;
  }
}

void Session::OnGreeting(const Reply& reply) {
  if (reply.code / 100 != 2) return Die(Describe(reply, Verdict::Kind::kDeferred, Stage::kGreeting));
  output_ += "EHLO " + options_.helo + "\r\n";
  state_ = State::kHello;
}

void Session::OnHello(const Reply& reply) {
  if (reply.code / 100 == 2) return Greeted(/*may_start_tls=*/true);
  if (reply.code / 100 == 5 && !std::exchange(helo_tried_, true)) {
    output_ += "HELO " + options_.helo + "\r\n";
    return;
  }
  Die(Describe(reply, Verdict::Kind::kDeferred, Stage::kEhlo));
}

// The peer has said what it offers: what is left to do before the first mail.
void Session::Greeted(bool may_start_tls) {
  const auto stop = [this](Stage stage, std::string_view why) {
    Die({.kind = Verdict::Kind::kDeferred, .stage = stage, .text = std::string(why)});
  };
  if (!secured_ && options_.tls != TlsUse::kNever && offers_.starttls && may_start_tls) {
    output_ += "STARTTLS\r\n";
    state_ = State::kStartTls;
    return;
  }
  if (!secured_ && options_.tls == TlsUse::kRequired) return stop(Stage::kStartTls, "the relay offers no STARTTLS, and TLS is required");
  if (!options_.login) {
    state_ = State::kReady;
    return;
  }
  if (!secured_) return stop(Stage::kAuth, "the relay offers no STARTTLS, and a password is not sent without TLS");
  if (offers_.plain) {
    output_ += "AUTH PLAIN " + ToBase64('\0' + options_.login->user + '\0' + options_.login->password) + "\r\n";
    auth_step_ = 2;
  } else if (offers_.login) {
    output_ += "AUTH LOGIN\r\n";
    auth_step_ = 0;
  } else {
    return stop(Stage::kAuth, "the relay offers neither AUTH PLAIN nor AUTH LOGIN");
  }
  state_ = State::kAuth;
}

void Session::OnStartTls(const Reply& reply) {
  if (reply.code == 220) {
    state_ = State::kTls;
    return;
  }
  if (options_.tls == TlsUse::kRequired) return Die(Describe(reply, Verdict::Kind::kDeferred, Stage::kStartTls));
  Greeted(/*may_start_tls=*/false);
}

void Session::Secured() {
  MAILY_CHECK(state_ == State::kTls, "a handshake that nobody asked for");
  secured_ = true;
  offers_ = {};
  output_ += "EHLO " + options_.helo + "\r\n";
  state_ = State::kHello;
}

void Session::OnAuth(const Reply& reply) {
  if (reply.code == 235) {
    state_ = State::kReady;
    return;
  }
  if (reply.code != 334 || auth_step_ == 2) return Die(Describe(reply, Verdict::Kind::kDeferred, Stage::kAuth));
  output_ += ToBase64(auth_step_++ == 0 ? options_.login->user : options_.login->password) + "\r\n";
}

void Session::Start(const Envelope& envelope, std::string_view data, std::string_view tail) {
  MAILY_CHECK(state_ == State::kReady && !verdict_, "a mail was started on a session that is not ready");
  MAILY_CHECK(tail.empty() || (data.ends_with("\r\n") && tail.ends_with("\r\n")), "a tail behind an unfinished line");
  open_ = true;
  const uint64_t size = data.size() + tail.size();
  const auto cannot = [&](std::string_view why) {
    Decide({.kind = Verdict::Kind::kBounced, .stage = Stage::kMail, .text = std::string(why)});
  };
  if (!FitsEnvelope(envelope.mail_from) || !FitsEnvelope(envelope.rcpt_to) || envelope.rcpt_to.empty()) {
    return cannot("this address cannot stand in an SMTP command");
  }
  const bool utf8 = !IsAscii(envelope.mail_from) || !IsAscii(envelope.rcpt_to);
  if (utf8 && !offers_.smtputf8) return cannot("the relay does not offer SMTPUTF8, which this address needs");
  const bool eight_bit = !IsAscii(data);
  if (eight_bit && !offers_.eight_bit) return cannot("the relay does not offer 8BITMIME, which this mail needs");
  if (offers_.size_limit != 0 && size > offers_.size_limit) return cannot("the mail is larger than the relay takes");
  commands_[0] = fmt::format("MAIL FROM:<{}>", envelope.mail_from);
  if (offers_.size_limit != 0) commands_[0] += fmt::format(" SIZE={}", size);
  if (eight_bit) commands_[0] += " BODY=8BITMIME";
  if (utf8) commands_[0] += " SMTPUTF8";
  commands_[0] += "\r\n";
  commands_[1] = fmt::format("RCPT TO:<{}>\r\n", envelope.rcpt_to);
  commands_[2] = "DATA\r\n";
  steps_ = offers_.chunking ? 2 : 3;
  sent_ = answered_ = 0;
  data_ = data;
  tail_ = tail;
  state_ = State::kEnvelope;
  SendEnvelopeStep();
}

void Session::SendEnvelopeStep() {
  const int until = offers_.pipelining ? steps_ : answered_ + 1;
  for (; sent_ < until; ++sent_) output_ += commands_[sent_];
}

void Session::OnEnvelope(const Reply& reply) {
  static constexpr Stage kStages[] = {Stage::kMail, Stage::kRcpt, Stage::kData};
  const int step = answered_;
  const bool granted = step == 2 ? reply.code == 354 : reply.code / 100 == 2;
  if (!granted && !refusal_) {
    const bool permanent = reply.code / 100 == 5;
    refusal_ = Describe(reply, permanent ? Verdict::Kind::kBounced : Verdict::Kind::kDeferred, kStages[step]);
  }
  ++answered_;
  if (refusal_) {
    // 354 without a recipient: leaving is the one way that cannot send an empty mail (RFC 2920 §3.1 asks for a lone dot).
    if (granted && step == 2) {
      Decide(std::move(*refusal_));
      return Die({.kind = Verdict::Kind::kDeferred, .stage = Stage::kData, .text = "the peer asked for data without a recipient"});
    }
    if (answered_ == sent_) EndEnvelope();
    return;
  }
  if (answered_ == steps_) return SendBody();
  SendEnvelopeStep();
}

void Session::EndEnvelope() {
  output_ += "RSET\r\n";
  state_ = State::kReset;
  Decide(std::move(*refusal_));
}

void Session::SendBody() {
  state_ = State::kBody;
  if (!tail_.empty()) {
    if (offers_.chunking) output_ += fmt::format("BDAT {} LAST\r\n", data_.size() + tail_.size());
    if (offers_.chunking) {
      output_ += data_;
    } else {
      AppendStuffed(data_, output_);
    }
    return;
  }
  if (offers_.chunking) {
    const std::string_view end = data_.ends_with("\r\n") ? "" : "\r\n";
    output_ += fmt::format("BDAT {} LAST\r\n", data_.size() + end.size());
    output_.append(data_).append(end);
  } else {
    AppendStuffed(data_, output_);
    if (!data_.ends_with("\r\n")) output_ += "\r\n";
    output_ += kFinalDot;
  }
  output_has_dot_ = true;
}

// The next piece, which waits until the one before is taken.
void Session::SendTail() {
  output_ = tail_.substr(0, kPieceBytes);
  tail_.remove_prefix(output_.size());
  if (!tail_.empty()) return;
  if (!offers_.chunking) output_ += kFinalDot;
  output_has_dot_ = true;
}

void Session::OnBody(const Reply& reply) {
  const int kind = reply.code / 100;
  if (!tail_.empty() && kind >= 4) {  // it has heard enough; the rest is not worth its way
    return Die(Describe(reply, kind == 5 ? Verdict::Kind::kBounced : Verdict::Kind::kDeferred, Stage::kBody));
  }
  if (BodyLeft() || kind == 3) {
    return Die({.kind = Verdict::Kind::kDeferred, .stage = WaitingFor(), .text = "the peer spoke out of turn"});
  }
  if (kind == 2) {
    state_ = State::kReady;
    return Decide(Describe(reply, Verdict::Kind::kDelivered, Stage::kDot));
  }
  output_ += "RSET\r\n";
  state_ = State::kReset;
  Decide(Describe(reply, kind == 5 ? Verdict::Kind::kBounced : Verdict::Kind::kDeferred, Stage::kDot));
}

void Session::Quit() {
  MAILY_CHECK(state_ == State::kReady, "QUIT on a session that is not ready");
  output_ += "QUIT\r\n";
  state_ = State::kQuit;
}

void Session::Lost(std::string_view why) {
  if (state_ == State::kDead) return;
  Die({.kind = Verdict::Kind::kDeferred, .stage = WaitingFor(), .text = std::string(why)});
}

Verdict Session::Describe(const Reply& reply, Verdict::Kind kind, Stage stage) const {
  return {.kind = kind, .stage = stage, .code = static_cast<uint16_t>(reply.code), .enhanced = reply.enhanced, .text = reply.text};
}

void Session::Decide(Verdict verdict) {
  if (!std::exchange(open_, false)) return;
  verdict_ = std::move(verdict);
  refusal_.reset();
  data_ = tail_ = {};
}

void Session::Die(Verdict verdict) {
  failure_ = verdict;
  if (open_) {
    if (state_ == State::kEnvelope && answered_ == 0) {
      verdict.kind = Verdict::Kind::kNotTried;
    } else if (state_ == State::kEnvelope && refusal_) {
      verdict = std::move(*refusal_);
    } else if (state_ == State::kBody && !BodyLeft() && verdict.code == 0) {
      verdict.kind = Verdict::Kind::kUnknown;
    }
    Decide(std::move(verdict));
  }
  state_ = State::kDead;
  output_.clear();
  output_has_dot_ = false;
}

}  // namespace maily::smtp
