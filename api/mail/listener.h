// Takes mail from the network: SmtpServer sessions over connections, their clock, their numbers, their end.
//
// Memory: the mails of all connections and those that their owner keeps take at most `budget_bytes`; each connection besides takes at most
// about 300 KiB (a read, recipients, replies that are not sent yet, TLS), so 100 of them 30 MiB.
//
// A peer that leaves while its mail is with the owner gets no answer and sends the mail again: the owner must expect repeats (RFC 1047).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/mail/smtp_server.h"
#include "streams/port/env.h"
#include "streams/port/net.h"

namespace maily::mail {

// Call once; a later call, or one for a peer that has gone or was told to come back, is ignored. Thread: any, while the executor lives.
// One that is dropped without a call is as good as late: see ServerTimeouts::decision.
using Answer = std::move_only_function<void(Reply)>;

// Who decides what is taken. Called on the executor of the listener, and must outlive it. What is passed by reference is there during the
// call only.
class MailOwner {
 public:
  virtual ~MailOwner() = default;
  // Is mail for `recipient` taken? `envelope`: what is known so far. Reply::Accept, Refuse (550 "5.1.1" no such recipient, 550 "5.7.1" no)
  // or Defer.
  virtual void Recipient(const Endpoint& peer, const Envelope& envelope, const Mailbox& recipient, Answer answer) = 0;
  // A whole mail. Accept says that it is durable: from then on it is this side's to keep (RFC 5321 §6.1).
  virtual void Take(const Endpoint& peer, Mail mail, Answer answer) = 0;
};

struct MailListenerOptions {
  Endpoint listen{"127.0.0.1", 2526};
  ServerOptions server = {};                     // `starttls` is set by `tls`
  std::shared_ptr<const tls::Context> tls = {};  // of a server; none: STARTTLS is not offered
  size_t connections_max = 100;                  // beyond it: 421 4.7.0
  size_t connections_per_peer_max = 20;          // from one IPv4 address or IPv6 /64: 421 4.7.0
  size_t budget_bytes = 64 << 20;                // of mails; beyond it: 452 4.3.1
  Duration greeting_delay = Milliseconds(100);   // before 220: who speaks in it is refused
  Duration connection_lifetime = Seconds(3600);  // of a connection, whatever it does; then 421
  Duration stop_timeout = Seconds(30);           // for mails that are under way when Stop is called
};

// Lives on one executor, that of `net`: all calls there, but for Answers. `net`, `executor`, `clock` and `owner` outlive it.
class MailListener {
 public:
  // kConflict: the port is taken. kInvalid: that is no address to listen on.
  static Result<std::unique_ptr<MailListener>> Start(Net& net, Executor& executor, Clock& clock, MailOwner& owner,
                                                     MailListenerOptions options);
  // Closes every connection; no question is asked and no answer said from here on.
  ~MailListener();

  Endpoint local() const;
  // For connections from now on: a renewed certificate. None: STARTTLS is not offered any more.
  void UseTls(std::shared_ptr<const tls::Context> tls);
  // Takes no more connections, finishes the mails that are half there or with their owner, says 421 to all others, and then, or after
  // stop_timeout, calls `done` once. CHECK: it is the first call.
  void Stop(Job done);

  size_t connections() const;
  // Of the budget: what mails take that are coming in or with their owner.
  size_t held_bytes() const;

 private:
  struct Impl;
  explicit MailListener(std::shared_ptr<Impl> impl);
  const std::shared_ptr<Impl> impl_;
};

// What counts as one peer: an IPv4 address (mapped ones too), the first 64 bits of an IPv6 address; anything else as it is.
std::string PeerGroup(const std::string& host);

}  // namespace maily::mail
