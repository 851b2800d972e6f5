// The connections that are kept to one relay, or to the mail servers of a site, and the mails that wait for one.
//
// A connection is opened when mail waits and none is free, carries one mail after another, and ends after mails_per_connection or when
// idle. While the relay is down (not reachable, or fails connections before they carried a mail) one connection at a time probes it, after
// 0.25 s doubling to 30 s. A kept connection that goes away before MAIL is answered was no attempt: its mail goes to another one.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "processors/effects/smtp/route.h"
#include "processors/effects/smtp/session.h"
#include "processors/effects/smtp/site.h"
#include "streams/port/env.h"
#include "streams/port/net.h"

namespace maily::smtp {

inline constexpr uint32_t kOrdinaryTurn = 8;

// One mail on its way. Called on the pool's executor.
class Mail {
 public:
  virtual ~Mail() = default;
  virtual const std::string& mail_from() const = 0;
  virtual const std::string& rcpt_to() const = 0;
  // The whole message, CRLF lines, not dot-stuffed; the same until the mail is gone.
  virtual const std::string& data() const = 0;
  // What follows it, shared with other mails (Session::Start).
  virtual std::string_view tail() const { return {}; }
  // It goes before those that wait already and are not, but for one in kOrdinaryTurn while there are any.
  virtual bool urgent() const { return false; }
  // MAIL is about to be written, and once more when the final dot is: false = its time is over, nothing of it is written any more and
  // Done says kLate.
  virtual bool InTime() = 0;
  // MAIL is about to be written; once more for each connection tried. False: not now, the mail waits until Pump is called; or never any
  // more, and InTime says so.
  virtual bool Begin() = 0;
  // The bytes with the final dot are about to be handed to the wire.
  virtual void DotSent() = 0;
  // The end, exactly once; never kNotTried. The mail is destroyed afterwards.
  virtual void Done(const Verdict& verdict) = 0;
};

struct PoolOptions {
  Endpoint relay = {};
  size_t connections = 16;
  uint32_t mails_per_connection = 1000;
  SessionOptions session = {};
  // How connections are secured where session.tls asks for it (CHECK: then it is there); the certificate must be of the relay's host.
  std::shared_ptr<const tls::Context> tls = nullptr;
  tls::Verify verify = tls::Verify::kRecord;
  Duration dial_timeout = Seconds(30);
  Duration idle_timeout = Seconds(60);   // below what relays allow (Postfix: 300 s)
  Duration wait_max = Seconds(60);       // a mail that found no connection for so long is deferred with why
  Duration wait_down_max = Seconds(10);  // the same while the relay is down: the reason shows early at those who wait
  Duration backoff_min = Milliseconds(250);
  Duration backoff_max = Seconds(30);
  Duration plain_after_tls = Seconds(600);  // where TLS is used if offered, and a handshake failed: so long without
};

// Lives on `executor`: all calls there. Destroying it drops all connections at once; mails under way are destroyed without Done.
class Pool {
 public:
  // To the relay of the options.
  Pool(const PoolOptions& options, Dialer& dialer, Executor& executor, Clock& clock);
  // To where `connector` leads, within what the site allows; the relay of the options is its name alone.
  Pool(const PoolOptions& options, std::unique_ptr<Connector> connector, std::shared_ptr<Site> site, Executor& executor, Clock& clock);
  ~Pool();

  // Takes the mail. Bounded by its callers: at most as many as credits were granted.
  void Submit(std::unique_ptr<Mail> mail);
  // Destroys mails that have not begun (Begin was never true) and for which `drop` is true.
  void Drop(const std::function<bool(const Mail&)>& drop);
  // Looks for work again: a mail said "not now" before.
  void Pump();
  // Starts no mail any more; calls `done` once when none is under way.
  void Drain(Job done);

  // For metrics: connections open or opening, mails waiting, whether the relay counts as down.
  size_t connections() const;
  size_t waiting() const;
  // True if mails are waited for by nobody: no connection, no mail.
  bool unused() const { return connections() == 0 && waiting() == 0; }
  bool down() const;
  // Why the relay counts as down; empty: it does not. Thread: any.
  std::string trouble() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::smtp
