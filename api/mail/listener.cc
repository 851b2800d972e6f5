// See listener.h.
#include "api/mail/listener.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <vector>

#include "streams/observe/logging.h"
#include "streams/observe/metrics.h"

namespace maily::mail {
namespace {

constexpr size_t kReadBytesMax = 16 * 1024;
constexpr Duration kSweepInterval = Seconds(1);  // how exactly time-outs are kept
constexpr Duration kWriteTimeout = Seconds(60);  // for a peer to take what is said to it
constexpr size_t kRefusalsMax = 100;             // connections that are told 421 at once; more are closed without a word

// Named by what the peer was told.
struct Counts {
  observe::Counter accepted;
  observe::Counter deferred;
  observe::Counter refused;

  Counts() = default;
  Counts(const std::string& name, const std::string& help) {
    auto& metrics = observe::Metrics::Process();
    accepted = metrics.AddCounter(name, help, {{"result", "accepted"}});
    deferred = metrics.AddCounter(name, help, {{"result", "deferred"}});
    refused = metrics.AddCounter(name, help, {{"result", "refused"}});
  }
  // What the session refused itself since `before`.
  void Add(const SmtpServer& session, uint64_t& refused_before, uint64_t& deferred_before) const {
    refused.Add(session.mails_refused() - std::exchange(refused_before, session.mails_refused()));
    deferred.Add(session.mails_deferred() - std::exchange(deferred_before, session.mails_deferred()));
  }
  void Add(const Reply& reply) const { (reply.code == 250 ? accepted : reply.code / 100 == 4 ? deferred : refused).Add(); }
};

// One connection and its conversation.
struct Line {
  Line(std::unique_ptr<Connection> connection_in, const ServerOptions& options, std::shared_ptr<Budget> budget)
      : connection(std::move(connection_in)), peer(connection->peer()), session(options, std::move(budget)) {}

  std::unique_ptr<Connection> connection;
  const Endpoint peer;
  std::string group;                        // see PeerGroup; empty: this one was too many, and is counted nowhere
  std::shared_ptr<const tls::Context> tls;  // for STARTTLS
  std::optional<tls::Channel> secured;      // from STARTTLS on
  SmtpServer session;
  bool reading = false;
  bool writing = false;
  bool gone = false;
  Duration ends_at;       // in steady time, as all of these
  Duration wait_ends_at;  // of the session's present wait
  Duration body_ends_at;
  Duration write_ends_at;
  uint64_t progress = 0;
  SmtpServer::State state = SmtpServer::State::kGreeting;
  uint64_t asked = 0;  // the question that the owner has
  bool asked_mail = false;
  uint64_t refused = 0;  // mails of the session's own refusing that are counted
  uint64_t deferred = 0;
};
using LinePtr = std::shared_ptr<Line>;

bool InBody(SmtpServer::State state) { return state == SmtpServer::State::kLines || state == SmtpServer::State::kChunk; }

}  // namespace

std::string PeerGroup(const std::string& host) {
  std::array<unsigned char, 16> bytes{};
  const std::string address = host.substr(0, host.find('%'));  // without a scope
  if (inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1) return host;
  std::array<char, INET6_ADDRSTRLEN> text{};
  static constexpr std::array<unsigned char, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) {
    return inet_ntop(AF_INET, bytes.data() + kMapped.size(), text.data(), text.size());
  }
  std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
  return std::string(inet_ntop(AF_INET6, bytes.data(), text.data(), text.size())) + "/64";
}

struct MailListener::Impl : std::enable_shared_from_this<MailListener::Impl> {
  Impl(Executor& executor_in, Clock& clock_in, MailOwner& owner_in, MailListenerOptions options_in)
      : options(std::move(options_in)),
        tls(options.tls),
        budget(std::make_shared<Budget>(options.budget_bytes)),
        executor(executor_in),
        clock(clock_in),
        owner(owner_in),
        mails("maily_mail_mails_total", "Whole mails that came in, by what their sender was told."),
        recipients("maily_mail_recipients_total", "Recipients that were asked for, by what the sender was told.") {
    auto& metrics = observe::Metrics::Process();
    const std::string help = "Connections that bring mail, by what became of them at their beginning.";
    taken = metrics.AddCounter("maily_mail_connections_total", help, {{"result", "taken"}});
    too_many = metrics.AddCounter("maily_mail_connections_total", help, {{"result", "too_many"}});
    too_many_of_peer = metrics.AddCounter("maily_mail_connections_total", help, {{"result", "too_many_of_peer"}});
    open_connections = metrics.AddGauge("maily_mail_connections", "Connections that bring mail, open now.");
    secured = metrics.AddCounter("maily_mail_secured_total", "Connections that bring mail and were secured by STARTTLS.");
    received = metrics.AddCounter("maily_mail_received_bytes_total", "Bytes read from connections that bring mail.");
    held = metrics.AddProbe("maily_mail_held_bytes", "Memory that mails take which are coming in or with their owner.", {},
                            [used = budget] { return static_cast<double>(used->used()); });
  }
  ~Impl() { open_connections.Add(-static_cast<int64_t>(open)); }

  // --- connections ---
  void Accept(std::unique_ptr<Connection> connection) {
    if (closed || stopping) return;
    const std::string group = PeerGroup(connection->peer().host);
    const bool full = open >= options.connections_max;
    const auto of_group = groups.find(group);
    if (full || (of_group != groups.end() && of_group->second >= options.connections_per_peer_max)) {
      (full ? too_many : too_many_of_peer).Add();
      return RefuseConnection(std::move(connection), full ? "has too many connections" : "has too many connections from you");
    }
    taken.Add();
    ServerOptions server = options.server;
    server.starttls = tls != nullptr;
    auto line = Add(std::move(connection), server);
    line->group = group;
    line->tls = tls;
    ++groups[group];
    ++open;
    open_connections.Add(1);
    line->ends_at = clock.Steady() + options.connection_lifetime;
    executor.After(options.greeting_delay, [weak = weak_from_this(), weak_line = std::weak_ptr<Line>(line)] {
      const auto self = weak.lock();
      const auto found = weak_line.lock();
      if (!self || !found || found->gone) return;
      found->session.Greet();
      self->Step(found);
    });
    Step(line);
  }

  void RefuseConnection(std::unique_ptr<Connection> connection, std::string_view why) {
    if (lines.size() - open >= kRefusalsMax) return;
    auto line = Add(std::move(connection), options.server);
    line->session.Leave("4.7.0", why);
    Step(line);
  }

  LinePtr Add(std::unique_ptr<Connection> connection, const ServerOptions& server) {
    auto line = std::make_shared<Line>(std::move(connection), server, budget);
    line->ends_at = clock.Steady() + kWriteTimeout;
    lines.push_back(line);
    Sweep();
    return line;
  }

  void Remove(const LinePtr& line) {
    if (std::exchange(line->gone, true)) return;
    std::erase(lines, line);
    line->connection->Close();
    if (!line->group.empty()) {
      const auto of_group = groups.find(line->group);
      if (--of_group->second == 0) groups.erase(of_group);
      --open;
      open_connections.Add(-1);
    }
    executor.Post([line] {});  // it is still on the stack: it goes later
    CheckStopped();
  }

  // --- one conversation ---
  // Carries out whatever the session wants now.
  void Step(const LinePtr& line) {
    if (line->gone) return;
    Ask(line);
    mails.Add(line->session, line->refused, line->deferred);
    const SmtpServer::State state = line->session.state();
    if (state == SmtpServer::State::kTls && !line->secured && !line->writing) {
      // The 220 goes out before the handshake begins.
      if (std::string last = line->session.TakeOutput(); !last.empty()) {
        Write(line, std::move(last));
      } else {
        line->secured.emplace(line->tls);
      }
    }
    SetDeadline(*line);
    Write(line);
    if (line->gone || line->writing) return;
    if (state == SmtpServer::State::kEnd) return Remove(line);
    if (!line->reading && line->session.wants_input()) Read(line);
  }

  void SetDeadline(Line& line) {
    const Duration now = clock.Steady();
    const SmtpServer::State state = line.session.state();
    if (InBody(state) && !InBody(line.state)) line.body_ends_at = now + options.server.timeouts.body;
    if (line.progress != line.session.progress() || line.state != state) line.wait_ends_at = now + line.session.wait_limit();
    line.progress = line.session.progress();
    line.state = state;
  }

  void Ask(const LinePtr& line) {
    std::optional<Question> question = line->session.TakeQuestion();
    if (!question) return;
    line->asked = question->number;
    line->asked_mail = question->kind == Question::Kind::kMail;
    Answer answer = [&to = executor, weak = weak_from_this(), weak_line = std::weak_ptr<Line>(line),
                     number = question->number](Reply reply) {
      to.Post([weak, weak_line, number, reply = std::move(reply)] {
        const auto self = weak.lock();
        const auto found = weak_line.lock();
        if (!self || !found || found->gone || self->closed) return;
        self->Answered(found, number, reply);
      });
    };
    if (line->asked_mail) {
      owner.Take(line->peer, std::move(question->mail), std::move(answer));
    } else {
      owner.Recipient(line->peer, line->session.envelope(), question->recipient, std::move(answer));
    }
  }

  void Answered(const LinePtr& line, uint64_t number, const Reply& reply) {
    if (line->asked != number) return;
    line->asked = 0;
    (line->asked_mail ? mails : recipients).Add(reply);
    line->session.Answer(number, reply);
    Step(line);
  }

  void Read(const LinePtr& line) {
    line->reading = true;
    line->connection->Read(kReadBytesMax, [weak = weak_from_this(), line](Result<std::string> read) {
      line->reading = false;
      const auto self = weak.lock();
      if (!self || line->gone) return;
      if (!read || read->empty()) return self->Remove(line);
      self->received.Add(read->size());
      if (!line->secured) {
        line->session.Receive(*read);
      } else if (!self->Decrypt(*line, *read)) {
        return self->Remove(line);
      }
      self->Step(line);
    });
  }

  // False: the connection is of no more use.
  bool Decrypt(Line& line, std::string_view bytes) {
    const bool was_established = line.secured->established();
    if (const auto got = line.secured->Receive(bytes); !got) {
      if (!line.writing && !was_established)
        line.connection->Write(line.secured->TakeEncrypted(), [](const Result<void>&) {});  // the alert
      return false;
    }
    if (!was_established && line.secured->established()) {
      secured.Add();
      line.session.Secured(line.secured->facts());
    }
    if (const std::string plain = line.secured->TakePlain(); !plain.empty()) line.session.Receive(plain);
    return !line.secured->closed();
  }

  void Write(const LinePtr& line) {
    if (line->writing || line->gone) return;
    std::string bytes;
    if (!line->secured) {
      bytes = line->session.TakeOutput();
    } else {
      if (line->secured->established()) {
        const std::string plain = line->session.TakeOutput();
        if (const auto sent = plain.empty() ? Ok() : line->secured->Send(plain); !sent) return Remove(line);
        if (line->session.state() == SmtpServer::State::kEnd) line->secured->Close();
      }
      bytes = line->secured->TakeEncrypted();
    }
    if (!bytes.empty()) Write(line, std::move(bytes));
  }

  void Write(const LinePtr& line, std::string bytes) {
    line->writing = true;
    line->write_ends_at = clock.Steady() + kWriteTimeout;
    line->connection->Write(std::move(bytes), [weak = weak_from_this(), line](Result<void> written) {
      line->writing = false;
      const auto self = weak.lock();
      if (!self || line->gone) return;
      if (!written) return self->Remove(line);
      self->Step(line);
    });
  }

  // --- time ---
  void Sweep() {
    if (sweeping || closed || lines.empty()) return;
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
      if (line->gone) continue;
      if (line->writing) {
        if (now >= line->write_ends_at) Remove(line);
        continue;
      }
      const bool waits = line->session.wait_limit().us > 0;
      if (now >= line->ends_at && line->session.wants_input()) {
        line->session.Leave("4.3.2", "has heard enough of you for now");
      } else if (waits && (now >= line->wait_ends_at || (InBody(line->state) && now >= line->body_ends_at))) {
        if (std::exchange(line->asked, 0) != 0) (line->asked_mail ? mails : recipients).Add(Reply::Defer());
        line->session.TimedOut();
      } else {
        continue;
      }
      Step(line);
    }
  }

  // --- the end ---
  void CheckStopped() {
    if (!stopping || !stopped || !lines.empty()) return;
    executor.Post(std::exchange(stopped, nullptr));
  }

  void Stop(Job done) {
    MAILY_CHECK(!stopping, "a second stop of a mail listener");
    stopping = true;
    stopped = std::move(done);
    listener.reset();
    for (const LinePtr& line : std::vector<LinePtr>(lines)) {
      if (line->gone) continue;
      line->session.Shutdown();
      Step(line);
    }
    executor.After(options.stop_timeout, [weak = weak_from_this()] {
      if (const auto self = weak.lock(); self && !self->closed) self->StopNow();
    });
    CheckStopped();
  }

  void StopNow() {
    if (!lines.empty()) observe::Log(observe::Level::kWarn, "mails under way are cut off", {{"connections", lines.size()}});
    for (const LinePtr& line : std::vector<LinePtr>(lines)) Remove(line);
  }

  const MailListenerOptions options;
  std::shared_ptr<const tls::Context> tls;
  const std::shared_ptr<Budget> budget;
  Executor& executor;
  Clock& clock;
  MailOwner& owner;

  std::unique_ptr<Listener> listener;
  Endpoint local;
  std::vector<LinePtr> lines;            // taken ones, and those that are told 421
  size_t open = 0;                       // of them: taken
  std::map<std::string, size_t> groups;  // of those
  bool sweeping = false;
  bool stopping = false;
  bool closed = false;
  Job stopped;

  const Counts mails;
  const Counts recipients;
  observe::Counter taken;
  observe::Counter too_many;
  observe::Counter too_many_of_peer;
  observe::Counter secured;
  observe::Counter received;
  observe::Gauge open_connections;
  observe::Metrics::Probe held;
};

MailListener::MailListener(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

MailListener::~MailListener() {
  impl_->closed = true;
  impl_->listener.reset();
  for (const LinePtr& line : impl_->lines) {
    line->gone = true;
    line->connection->Close();
  }
}

Result<std::unique_ptr<MailListener>> MailListener::Start(Net& net, Executor& executor, Clock& clock, MailOwner& owner,
                                                          MailListenerOptions options) {
  auto impl = std::make_shared<Impl>(executor, clock, owner, std::move(options));
  auto listener = net.Listen(impl->options.listen, [weak = std::weak_ptr<Impl>(impl)](std::unique_ptr<Connection> connection) {
    if (const auto self = weak.lock()) self->Accept(std::move(connection));
  });
  if (!listener) return listener.error();
  impl->local = (*listener)->local();
  impl->listener = std::move(*listener);
  return std::unique_ptr<MailListener>(new MailListener(std::move(impl)));
}

Endpoint MailListener::local() const { return impl_->local; }
void MailListener::UseTls(std::shared_ptr<const tls::Context> tls) { impl_->tls = std::move(tls); }
void MailListener::Stop(Job done) { impl_->Stop(std::move(done)); }
size_t MailListener::connections() const { return impl_->open; }
size_t MailListener::held_bytes() const { return impl_->budget->used(); }

}  // namespace maily::mail
