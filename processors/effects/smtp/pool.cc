// See pool.h.
#include "processors/effects/smtp/pool.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "streams/observe/logging.h"
#include "streams/observe/metrics.h"

namespace maily::smtp {
namespace {

constexpr size_t kReadBytesMax = 16 * 1024;
constexpr Duration kSweepInterval = Seconds(1);  // how exactly time-outs are kept

// One connection and its conversation.
struct Line {
  Line(Connector::Connected connected, SessionOptions options)
      : connection(std::move(connected.connection)), host(std::move(connected.host)), session(std::move(options)) {}
  bool idle() const { return !gone && !mail && session.state() == Session::State::kReady; }

  std::unique_ptr<Connection> connection;
  const std::string host;
  std::optional<tls::Channel> secured;  // from STARTTLS on
  Session session;
  std::unique_ptr<Mail> mail;
  uint32_t mails = 0;  // carried to a verdict
  bool was_ready = false;
  bool proven = false;  // a mail got a reply on it
  bool writing = false;
  bool late = false;  // its mail's time was over at the final dot
  bool gone = false;
  Duration deadline;  // in steady time
};
using LinePtr = std::shared_ptr<Line>;

const Verdict kLate{.kind = Verdict::Kind::kLate, .stage = Stage::kConnect, .text = "its time was over before it was handed over"};

}  // namespace

struct Pool::Impl : std::enable_shared_from_this<Pool::Impl> {
  struct Waiting {
    std::unique_ptr<Mail> mail;
    Duration since;
    bool begun = false;
  };

  Impl(const PoolOptions& options_in, std::unique_ptr<Connector> connector_in, std::shared_ptr<Site> site_in, Executor& executor_in,
       Clock& clock_in)
      : options(options_in), connector(std::move(connector_in)), site(std::move(site_in)), executor(executor_in), clock(clock_in) {
    MAILY_CHECK(options.session.tls == TlsUse::kNever || options.tls != nullptr, "TLS is asked for, and there is nothing to make it with");
    auto& metrics = observe::Metrics::Process();
    const std::string help = "Connections to the relay, by how they came out.";
    connected = metrics.AddCounter("maily_smtp_connects_total", help, {{"result", "ready"}});
    failed = metrics.AddCounter("maily_smtp_connects_total", help, {{"result", "failed"}});
    open_connections = metrics.AddGauge("maily_smtp_connections", "Connections to the relay, open or opening.");
    waiting_mails = metrics.AddGauge("maily_smtp_waiting_mails", "Mails that wait for a connection.");
  }
  ~Impl() {
    waiting_mails.Add(-static_cast<int64_t>(queue.size()));
    for (size_t n = lines.size() + dialing; n > 0; --n) GiveUp();
  }

  // --- mails find connections ---
  void Pump() {
    if (closed) return;
    if (site && site->suspended()) QuitIdle();
    DropLate();
    while (!queue.empty() && !draining) {
      const auto line = std::find_if(lines.begin(), lines.end(), [](const LinePtr& l) { return l->idle() && !l->writing; });
      if (line == lines.end()) break;
      if (!Assign(*line)) return;
      Step(LinePtr(*line));
    }
    size_t opening = dialing;
    for (const LinePtr& line : lines) opening += line->was_ready ? 0 : 1;
    for (; !draining && opening < queue.size() && lines.size() + dialing < options.connections && MayDial(); ++opening) {
      if (site && !site->TryConnect()) break;  // looked at again by Sweep
      Dial();
    }
    Sweep();
  }

  // While the relay is down, one connection at a time finds out whether it is back.
  bool MayDial() const {
    if (failures == 0) return true;
    const bool probing = dialing > 0 || std::any_of(lines.begin(), lines.end(), [](const LinePtr& line) { return !line->proven; });
    return !probing && clock.Steady() >= next_dial;
  }

  // Those at the head whose time is over: the next one may begin.
  void DropLate() {
    while (!queue.empty() && !queue.front().mail->InTime()) {
      const Waiting late = std::move(queue.front());
      queue.pop_front();
      waiting_mails.Add(-1);
      late.mail->Done(kLate);
    }
  }

  // After so many urgent ones in a row, the first of the others comes to the head.
  void Choose() {
    if (urgent_run + 1 < kOrdinaryTurn || !queue.front().mail->urgent()) return;
    const auto other = std::ranges::find_if(queue, [](const Waiting& waiting) { return !waiting.mail->urgent(); });
    if (other != queue.end()) std::rotate(queue.begin(), other, other + 1);
  }

  // Gives the first waiting mail to an idle line. False: it cannot begin now.
  bool Assign(const LinePtr& line) {
    for (;;) {
      DropLate();
      if (queue.empty()) return false;
      Choose();
      if (queue.front().mail->Begin()) break;
      if (queue.front().mail->InTime()) return false;
    }
    Waiting& first = queue.front();
    line->mail = std::move(first.mail);
    urgent_run = line->mail->urgent() ? urgent_run + 1 : 0;
    queue.pop_front();
    waiting_mails.Add(-1);
    line->session.Start({line->mail->mail_from(), line->mail->rcpt_to()}, line->mail->data(), line->mail->tail());
    return true;
  }

  // Connections that carry nothing end.
  void QuitIdle() {
    for (const LinePtr& line : std::vector<LinePtr>(lines)) {
      if (!line->idle() || line->writing) continue;
      line->session.Quit();
      Step(line);
    }
  }

  // One connection less.
  void GiveUp() {
    open_connections.Add(-1);
    if (site) site->Disconnected();
  }

  void Dial() {
    ++dialing;
    open_connections.Add(1);
    connector->Connect([weak = weak_from_this()](Result<Connector::Connected> dialed) mutable {
      const auto self = weak.lock();
      if (!self || self->closed) return;
      --self->dialing;
      if (dialed) return self->Open(std::move(*dialed));
      self->GiveUp();
      self->Failed({.kind = Verdict::Kind::kDeferred, .stage = Stage::kConnect, .text = dialed.error().message});
      self->Pump();
    });
  }

  void Open(Connector::Connected connected_in) {
    SessionOptions how = options.session;
    if (how.tls == TlsUse::kIfOffered && clock.Steady() < plain_until) how.tls = TlsUse::kNever;
    auto line = std::make_shared<Line>(std::move(connected_in), std::move(how));
    line->deadline = clock.Steady() + line->session.wait_limit();
    lines.push_back(line);
    Read(line);
    Sweep();
  }

  // --- one conversation ---
  void Read(const LinePtr& line) {
    line->connection->Read(kReadBytesMax, [weak = weak_from_this(), line](Result<std::string> read) {
      const auto self = weak.lock();
      if (!self || line->gone) return;
      if (!read) {
        line->session.Lost(read.error().message);
      } else if (read->empty()) {
        line->session.Lost("the relay closed the connection");
      } else if (line->secured) {
        self->Decrypt(*line, *read);
      } else {
        line->session.Receive(*read);
      }
      self->Step(line);
      if (!line->gone) self->Read(line);
    });
  }

  void Decrypt(Line& line, std::string_view bytes) {
    const bool was_established = line.secured->established();
    if (const auto received = line.secured->Receive(bytes); !received) {
      if (!was_established) plain_until = clock.Steady() + options.plain_after_tls;
      return line.session.Lost(received.error().message);
    }
    if (!was_established && line.secured->established()) line.session.Secured();
    if (const std::string plain = line.secured->TakePlain(); !plain.empty()) line.session.Receive(plain);
    if (line.secured->closed()) line.session.Lost("the relay closed the connection");
  }

  // Carries out whatever the session wants now.
  void Step(const LinePtr& line) {
    while (!line->gone) {
      if (line->mail && line->session.dot_is_next() && !line->writing && !line->mail->InTime()) {
        line->late = line->proven = true;  // the relay did its part
        line->session.Lost(kLate.text);
      }
      if (line->session.state() == Session::State::kTls && !line->secured) {
        line->secured.emplace(options.tls, line->host, options.verify);
      }
      if (auto verdict = line->session.TakeVerdict()) Settle(*line, std::move(*verdict));
      Write(line);
      if (line->session.state() == Session::State::kDead) return Remove(line);
      const bool ready = line->session.state() == Session::State::kReady;
      line->deadline = clock.Steady() + (ready ? options.idle_timeout : line->session.wait_limit());
      if (!ready || line->mail || line->writing) return;
      if (!std::exchange(line->was_ready, true)) connected.Add();
      if (line->mails >= options.mails_per_connection || draining || (site && site->suspended())) {
        line->session.Quit();
      } else if (queue.empty() || !Assign(line)) {
        return;
      }
    }
  }

  void Settle(Line& line, Verdict verdict) {
    std::unique_ptr<Mail> mail = std::move(line.mail);
    if (line.late) verdict = kLate;
    if (verdict.kind == Verdict::Kind::kNotTried) {
      if (line.mails > 0) {
        queue.push_front({std::move(mail), clock.Steady(), true});
        waiting_mails.Add(1);
        return;
      }
      verdict.kind = Verdict::Kind::kDeferred;  // on a fresh connection the mail itself may be why
    }
    if (line.secured && line.secured->established()) verdict.tls = line.secured->facts();
    verdict.peer = Endpoint{line.host, line.connection->peer().port}.ToString();
    ++line.mails;
    if (verdict.code != 0 && verdict.code != 421) Prove(line);
    mail->Done(verdict);
    CheckDrained();
  }

  void Prove(Line& line) {
    line.proven = true;
    if (std::exchange(failures, 0) == 0) return;
    last_failure = {};
    Tell({});
    observe::Log(observe::Level::kInfo, "relay is back", {{"relay", options.relay.ToString()}});
    executor.Post([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Pump();
    });
  }

  void Write(const LinePtr& line) {
    if (line->writing) return;
    std::string bytes;
    if (!line->secured || line->secured->established()) {
      Session::Output output = line->session.TakeOutput();
      if (output.has_dot) line->mail->DotSent();
      bytes = std::move(output.bytes);
    }
    if (line->secured) {
      if (const auto sent = bytes.empty() ? Ok() : line->secured->Send(bytes); !sent) line->session.Lost(sent.error().message);
      bytes = line->secured->TakeEncrypted();
    }
    if (bytes.empty()) return;
    line->writing = true;
    line->connection->Write(std::move(bytes), [weak = weak_from_this(), line](Result<void> written) {
      line->writing = false;
      const auto self = weak.lock();
      if (!self || line->gone) return;
      if (!written) line->session.Lost(written.error().message);
      self->Step(line);
    });
  }

  void Remove(const LinePtr& line) {
    line->gone = true;
    std::erase(lines, line);
    GiveUp();
    line->connection->Close();
    // A line that ends before it is of any use says that the relay is not well; others have just come to their end.
    if (!line->was_ready) {
      connector->Useless();
      Failed(line->session.failure());
    } else if (line->mails > 0 && !line->proven) {
      // Without the relay's words: they may name the recipient.
      Verdict why{.kind = Verdict::Kind::kDeferred, .stage = line->session.failure().stage, .code = line->session.failure().code};
      why.text = "the relay ends connections before it answers a mail";
      Failed(std::move(why));
    }
    executor.Post([line, weak = weak_from_this()] {  // the line is still on the stack: it goes later
      if (const auto self = weak.lock()) self->Pump();
    });
    CheckDrained();
  }

  void Failed(Verdict why) {
    failed.Add();
    const Duration now = clock.Steady();
    last_failure = std::move(why);
    last_failure.kind = Verdict::Kind::kDeferred;
    Tell(last_failure.text);
    if (failures > 0 && now < next_dial) return;  // others of the same burst
    const int doublings = std::min(failures, 20);
    const Duration delay{std::min(options.backoff_max.us, options.backoff_min.us << doublings)};
    ++failures;
    next_dial = now + delay;
    observe::Log(failures == 1 ? observe::Level::kWarn : observe::Level::kDebug, "relay is down",
                 {{"relay", options.relay.ToString()}, {"why", last_failure.text}, {"code", last_failure.code}, {"next_try_in", delay}});
    executor.After(delay, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Pump();
    });
  }

  void Tell(const std::string& why) {
    const std::lock_guard lock(trouble_mutex);
    trouble = why;
  }

  // --- time ---
  void Sweep() {
    if (sweeping || closed || (lines.empty() && queue.empty())) return;
    sweeping = true;
    executor.After(kSweepInterval, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->sweeping = false;
      self->Expire();
      self->Sweep();
    });
  }

  void Expire() {
    const Duration now = clock.Steady();
    for (const LinePtr& line : std::vector<LinePtr>(lines)) {
      const bool unwanted = line->idle() && site && site->WantsIdleClosed();
      if (line->gone || (now < line->deadline && !unwanted)) continue;
      if (line->idle()) {
        line->session.Quit();
      } else {
        line->session.Lost("no reply in time");
      }
      Step(line);
    }
    if (draining) return;
    std::deque<Waiting> late;
    const Duration wait_max = failures > 0 ? std::min(options.wait_max, options.wait_down_max) : options.wait_max;
    std::erase_if(queue, [&](Waiting& waiting) {
      if (now < waiting.since + wait_max) return false;
      late.push_back(std::move(waiting));
      waiting_mails.Add(-1);
      return true;
    });
    Verdict why = last_failure;
    if (why.text.empty()) why.text = "no connection to the relay was free";
    for (const Waiting& waiting : late) waiting.mail->Done(why);
    Pump();
  }

  // --- the end ---
  void CheckDrained() {
    if (!draining || !drained) return;
    if (std::any_of(lines.begin(), lines.end(), [](const LinePtr& line) { return line->mail != nullptr; })) return;
    executor.Post(std::exchange(drained, nullptr));
  }

  const PoolOptions options;
  const std::unique_ptr<Connector> connector;
  const std::shared_ptr<Site> site;  // null: nobody else uses the relay
  Executor& executor;
  Clock& clock;

  std::deque<Waiting> queue;  // the urgent ones before the others, but for those that have begun
  uint32_t urgent_run = 0;    // urgent mails since the last other one
  std::vector<LinePtr> lines;
  size_t dialing = 0;
  int failures = 0;  // in a row
  Duration next_dial;
  Duration plain_until;  // a handshake failed
  Verdict last_failure;
  mutable std::mutex trouble_mutex;
  std::string trouble;  // guarded by it: the text of last_failure for other threads
  bool sweeping = false;
  bool draining = false;
  bool closed = false;
  Job drained;

  observe::Counter connected;
  observe::Counter failed;
  observe::Gauge open_connections;
  observe::Gauge waiting_mails;
};

Pool::Pool(const PoolOptions& options, Dialer& dialer, Executor& executor, Clock& clock)
    : Pool(options,
           std::make_unique<Connector>(Connector::Options{.hosts = {options.relay}, .dial_timeout = options.dial_timeout}, dialer, nullptr,
                                       executor),
           nullptr, executor, clock) {}

Pool::Pool(const PoolOptions& options, std::unique_ptr<Connector> connector, std::shared_ptr<Site> site, Executor& executor, Clock& clock)
    : impl_(std::make_shared<Impl>(options, std::move(connector), std::move(site), executor, clock)) {}

Pool::~Pool() {
  impl_->closed = true;
  for (const LinePtr& line : impl_->lines) {
    line->gone = true;
    line->connection->Close();
  }
}

void Pool::Submit(std::unique_ptr<Mail> mail) {
  auto& queue = impl_->queue;
  const auto place =
      !mail->urgent() ? queue.end()
                      : std::ranges::find_if(queue, [](const Impl::Waiting& waiting) { return !waiting.begun && !waiting.mail->urgent(); });
  queue.insert(place, {std::move(mail), impl_->clock.Steady(), false});
  impl_->waiting_mails.Add(1);
  impl_->Pump();
}

void Pool::Drop(const std::function<bool(const Mail&)>& drop) {
  const size_t dropped = std::erase_if(impl_->queue, [&](const Impl::Waiting& waiting) { return !waiting.begun && drop(*waiting.mail); });
  impl_->waiting_mails.Add(-static_cast<int64_t>(dropped));
}

void Pool::Pump() { impl_->Pump(); }

void Pool::Drain(Job done) {
  impl_->draining = true;
  impl_->drained = std::move(done);
  impl_->QuitIdle();
  impl_->CheckDrained();
}

size_t Pool::connections() const { return impl_->lines.size() + impl_->dialing; }
size_t Pool::waiting() const { return impl_->queue.size(); }
bool Pool::down() const { return impl_->failures > 0; }
std::string Pool::trouble() const {
  const std::lock_guard lock(impl_->trouble_mutex);
  return impl_->trouble;
}

}  // namespace maily::smtp
