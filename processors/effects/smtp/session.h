// One SMTP client conversation (RFC 5321, 1870, 2034, 2920, 3030, 3207, 4954, 6152, 6531) without I/O: bytes go in, bytes and verdicts
// come out.
//
//   greeting ─220─▶ hello ─250─▶ ready ──Start()──▶ envelope ─354─▶ body ─2xx─▶ ready
//                     │ 5xx: HELO  ▲                   │ refused      │ refused
//                     ├────────────┤◀──── reset ◀──────┴──────────────┘          every state ──421, garbage, lost, late──▶ dead
//                     │            ├─Quit()─▶ quit ──▶ dead
//                     │            └── auth, if there is a login
//                     └─ STARTTLS ─220─▶ tls ──Secured()──▶ hello
//
// The driver's loop: feed what was read with Receive; write what TakeOutput gives; after each call look at TakeVerdict and state(). In
// kTls it makes the handshake, then calls Secured. The body goes out as one output, or, where it has a tail, as several, of which the last
// ends with the final dot, or with the last chunk where the peer takes chunks: once the driver hands that one to the wire, nobody knows
// without a reply whether the mail was taken.
// Not thread-safe; no clock: the driver enforces wait_limit().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "streams/base/time.h"
#include "streams/tls/channel.h"

namespace maily::smtp {

// Where in the conversation something happened; the names are those of sends.v1.RecordAttempt.stage.
// Their numbers stand in slots: never renumber. [format]
enum class Stage : uint8_t { kConnect, kGreeting, kEhlo, kMail, kRcpt, kData, kBody, kDot, kStartTls, kAuth };
std::string_view StageName(Stage stage);

// How one mail came out.
struct Verdict {
  enum class Kind : uint8_t {
    kNotTried,   // the connection went away before MAIL was answered: try it on another
    kDelivered,  // 2xx after the final dot
    kDeferred,   // 4xx, garbage, or lost before the final dot
    kBounced,    // 5xx, or the peer cannot take this mail at all
    kUnknown,    // lost after the final dot
    kLate,       // its time was over before the final dot: nothing was handed over
  };
  Kind kind = Kind::kDeferred;
  Stage stage = Stage::kConnect;
  uint16_t code = 0;                   // of the reply that decided; 0 = there was none
  std::string enhanced = {};           // "5.1.1", or empty
  std::string text = {};               // the reply's lines without codes, joined by a space, at most kReplyTextBytesMax
  std::optional<tls::Facts> tls = {};  // how the connection was secured; none: it was not
  std::string peer = {};               // "host:port"; set by the pool; empty: there was no connection
};

// How long to wait for what (RFC 5321 §4.5.3.2).
struct Timeouts {
  Duration greeting = Seconds(300);
  Duration command = Seconds(300);  // EHLO, STARTTLS and its handshake, AUTH, MAIL, RCPT, RSET
  Duration data = Seconds(120);     // for 354
  Duration dot = Seconds(600);      // writing the body and waiting for the last reply
  Duration quit = Seconds(5);
};

enum class TlsUse : uint8_t { kNever, kIfOffered, kRequired };
struct Login {
  std::string user;
  std::string password;
};
struct SessionOptions {
  std::string helo = "localhost";  // what this host calls itself; a name or address literal, ASCII
  Timeouts timeouts = {};
  TlsUse tls = TlsUse::kNever;
  std::optional<Login> login = {};  // AUTH PLAIN or LOGIN; never without TLS
};

struct Envelope {
  std::string_view mail_from;  // empty = the null sender
  std::string_view rcpt_to;
};

class Session {
 public:
  static constexpr size_t kLineBytesMax = 4096;       // of a reply line; RFC 5321 asks for 512, peers send more
  static constexpr size_t kReplyBytesMax = 65536;     // of all lines of one reply
  static constexpr size_t kPieceBytes = 256 << 10;    // of a tail that are copied to the wire at once
  static constexpr size_t kReplyTextBytesMax = 1000;  // twice what events hold: addresses are taken out before it is cut

  enum class State : uint8_t { kGreeting, kHello, kStartTls, kTls, kAuth, kReady, kEnvelope, kBody, kReset, kQuit, kDead };

  explicit Session(SessionOptions options);

  // Plain bytes. In kTls they are thrown away: the peer must not have said anything before the handshake (RFC 3207 §5).
  void Receive(std::string_view bytes);
  // The handshake is done: what follows is secured, and what the peer said before counts no more. CHECK: state() is kTls.
  void Secured();
  // The connection was closed or broken, or wait_limit() has passed.
  void Lost(std::string_view why);

  // Hands over the next mail. `data`: the message, CRLF lines, not dot-stuffed; `tail`: what follows it, ASCII in CRLF lines of which none
  // begins with a dot, which goes to the wire in pieces of kPieceBytes. Both must live until the verdict. CHECK: state() is ready; where
  // there is a tail, both end with CRLF.
  void Start(const Envelope& envelope, std::string_view data, std::string_view tail = {});
  // Ends politely. CHECK: state() is ready.
  void Quit();

  // Bytes to write now; empty = none. `has_dot`: these end with the final dot, or the last chunk.
  struct Output {
    std::string bytes;
    bool has_dot = false;
  };
  Output TakeOutput();
  // The next output ends with the final dot. Lost() before it is taken: the mail was not handed over.
  bool dot_is_next() const { return output_has_dot_; }
  // The verdict on the mail that was started, once.
  std::optional<Verdict> TakeVerdict();

  State state() const { return state_; }
  // How long the present wait may last; zero = for ever (ready).
  Duration wait_limit() const;
  // Why it is dead.
  const Verdict& failure() const { return failure_; }

 private:
  struct Reply {
    int code = 0;
    std::string text;
    std::string enhanced;
  };
  void OnLine(std::string_view line);
  void OnReply(Reply reply);
  void OnGreeting(const Reply& reply);
  void OnHello(const Reply& reply);
  void OnStartTls(const Reply& reply);
  void OnAuth(const Reply& reply);
  void OnEnvelope(const Reply& reply);
  void OnBody(const Reply& reply);
  void OnCapability(std::string_view line);
  void Greeted(bool may_start_tls);
  void SendEnvelopeStep();
  void SendBody();
  void SendTail();
  // Something of the body has not been taken as output.
  bool BodyLeft() const { return output_has_dot_ || !tail_.empty(); }
  void Refused(const Reply& reply, Stage stage);
  void EndEnvelope();
  void Decide(Verdict verdict);
  void Die(Verdict verdict);
  Verdict Describe(const Reply& reply, Verdict::Kind kind, Stage stage) const;
  Stage WaitingFor() const;

  // What the peer offers; told anew after STARTTLS.
  struct Offers {
    bool pipelining = false;
    bool smtputf8 = false;
    bool eight_bit = false;
    bool chunking = false;
    bool starttls = false;
    bool plain = false;  // AUTH
    bool login = false;
    uint64_t size_limit = 0;  // 0 = none told
  };

  const SessionOptions options_;
  State state_ = State::kGreeting;
  bool helo_tried_ = false;
  bool secured_ = false;
  Offers offers_;
  int auth_step_ = 0;  // of AUTH LOGIN: what was answered

  std::string line_;  // an unfinished line
  Reply reply_;       // an unfinished reply
  size_t reply_bytes_ = 0;
  std::string output_;
  bool output_has_dot_ = false;

  // Of the mail under way.
  std::string commands_[3];  // MAIL, RCPT, DATA
  int steps_ = 3;            // 2 where the mail goes as a chunk
  int sent_ = 0;             // commands handed out
  int answered_ = 0;         // commands answered
  std::string_view data_;
  std::string_view tail_;           // what is left of it
  std::optional<Verdict> refusal_;  // of the envelope; decided when all replies are in
  bool open_ = false;               // a mail has no verdict yet
  std::optional<Verdict> verdict_;
  Verdict failure_;
};

}  // namespace maily::smtp
