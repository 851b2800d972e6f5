// See server.h. RFC 5321, with PIPELINING.
#include "tests/rehearsal/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <set>

namespace maily::rehearsal {
namespace {

// A connection counts as held by both sides if it is still open so long after a later one was accepted: twice the slowest way of a packet
// (sim_net.h), so that the closing of one and the opening of the next, which pass each other, do not count as two.
constexpr Duration kBothKnow = Milliseconds(5);
constexpr uint16_t kPort = 25;
constexpr int64_t kHourUs = int64_t{3600} * 1'000'000;

std::string_view InBrackets(std::string_view line) {
  const size_t open = line.find('<');
  const size_t close = line.find('>', open);
  return close == std::string_view::npos ? std::string_view() : line.substr(open + 1, close - open - 1);
}

}  // namespace

struct MailServers::Impl : std::enable_shared_from_this<Impl> {
  // One connection.
  struct Talk : std::enable_shared_from_this<Talk> {
    Talk(std::shared_ptr<Impl> site_in, std::unique_ptr<Connection> connection_in, uint64_t number_in)
        : site(std::move(site_in)), connection(std::move(connection_in)), number(number_in) {}
    ~Talk() { Close(); }

    void Greet() {
      if (site->plan.temper == Temper::kMute) return Read();
      if (site->Within(site->plan.storms)) {
        Reply(421, "4.7.0 we are busy, come back later");
        ended = true;
      } else {
        Reply(220, "ready");
      }
      Answer({});
    }

    void Reply(int code, std::string_view text) {
      out += fmt::format("{} {}\r\n", code, text);
      ++site->seen.replies[code];
    }

    // What was gathered leaves when this site has thought about it.
    void Answer(Duration more) {
      const Duration wait = site->Pick(site->plan.reply_min, site->plan.reply_max) + more;
      site->executor.After(wait, [self = shared_from_this()] {
        if (self->closed) return;
        self->connection->Write(std::exchange(self->out, {}), [self](const Result<void>& written) {
          if (!written || self->ended) return self->Close();
          self->Read();
        });
      });
    }

    void Read() {
      if (closed) return;
      connection->Read(64 * 1024, [self = shared_from_this()](Result<std::string> bytes) {
        if (!bytes || bytes->empty()) return self->Close();
        self->in += *bytes;
        self->Parse();
      });
    }

    void Parse() {
      size_t at = 0;
      Duration more;
      for (size_t end = 0; !ended && !closed && (end = in.find("\r\n", at)) != std::string::npos; at = end + 2) {
        const std::string_view line = std::string_view(in).substr(at, end - at);
        if (!data) {
          Command(line);
        } else if (line != ".") {
          if (line.starts_with("Message-ID:")) message_id = InBrackets(line);
        } else {
          data = false;
          Finish();
          more = site->Pick(site->plan.dot_min, site->plan.dot_max);
        }
      }
      if (closed) return;
      in.erase(0, at);
      if (out.empty() && !ended) return Read();
      Answer(more);
    }

    void Command(std::string_view line) {
      if (line.starts_with("EHLO")) {
        out += "250-site\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n";
      } else if (line.starts_with("MAIL FROM:")) {
        recipient.clear();
        Mail();
      } else if (line.starts_with("RCPT TO:")) {
        if (!in_mail) return Reply(503, "5.5.1 MAIL first");
        Rcpt(std::string(InBrackets(line)));
      } else if (line.starts_with("DATA")) {
        if (recipient.empty()) return Reply(503, "5.5.1 no recipient");
        data = true;
        out += "354 go on\r\n";
      } else if (line.starts_with("QUIT")) {
        out += "221 2.0.0 bye\r\n";
        ended = true;
        site->open.erase(number);  // the client is done with it
      } else {
        in_mail = false;
        recipient.clear();
        out += "250 2.0.0 ok\r\n";
      }
    }

    void Mail() {
      in_mail = false;
      site->CountMail(++mails);
      if (site->Within(site->plan.storms)) {
        ended = true;
        return Reply(421, "4.7.0 we are busy, come back later");
      }
      if (site->plan.throttled_above > 0 && site->OfLastMinute() > site->plan.throttled_above)
        return Reply(451, "4.7.1 you send too fast, slow down");
      in_mail = true;
      out += "250 2.1.0 ok\r\n";
    }

    void Rcpt(const std::string& address) {
      if (Chance("stranger/" + address) < site->plan.strangers) return Reply(550, "5.1.1 there is no such user");
      if (Chance("full/" + address) < site->plan.full) return Reply(452, "4.2.2 the mailbox is full");
      if (site->plan.greylisted_for.us > 0) {
        const Duration now = site->Now();
        const auto first = site->first_seen.emplace(address, now).first->second;
        if (now < first + site->plan.greylisted_for) return Reply(450, "4.7.1 greylisted, come back in some minutes");
      }
      recipient = address;
      out += "250 2.1.5 ok\r\n";
    }

    void Finish() {
      const bool drops = site->Next() < site->plan.drops;
      if (!drops || site->Next() < 0.8) site->seen.taken.push_back({recipient, message_id, site->Now()});
      in_mail = false;
      recipient.clear();
      if (!drops) return Reply(250, "2.0.0 taken");
      ++site->seen.hung_up;
      Close();
    }

    void Close() {
      if (std::exchange(closed, true)) return;
      site->open.erase(number);
      site->talks.erase(number);
      connection->Close();
    }

    const std::shared_ptr<Impl> site;
    const std::unique_ptr<Connection> connection;
    const uint64_t number;
    std::string in, out;
    std::string recipient, message_id;
    size_t mails = 0;
    bool in_mail = false, data = false;
    bool ended = false;  // after what is answered
    bool closed = false;
  };

  Impl(SitePlan plan_in, sim::SimNet& net, sim::Scheduler& scheduler_in, Executor& executor_in, Duration begin_in)
      : plan(std::move(plan_in)), scheduler(scheduler_in), executor(executor_in), begin(begin_in), host(net.MakeHost(executor)) {}

  void Listen() {
    for (const std::string& ip : plan.ips) {
      listeners.push_back(host->Listen({ip, kPort},
                                       [weak = weak_from_this()](std::unique_ptr<Connection> connection) {
                                         if (const auto self = weak.lock()) self->Accept(std::move(connection));
                                       })
                              .value());
    }
  }

  void Shut(const Span& span) {
    executor.After(begin + span.from - scheduler.clock().Steady(), [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->listeners.clear();
    });
    executor.After(begin + span.to - scheduler.clock().Steady(), [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Listen();
    });
  }

  void Accept(std::unique_ptr<Connection> connection) {
    const uint64_t number = ++seen.connections;
    open.insert(number);
    executor.After(kBothKnow, [weak = weak_from_this(), number] {
      const auto self = weak.lock();
      if (!self) return;
      const auto held = static_cast<size_t>(std::distance(self->open.begin(), self->open.upper_bound(number)));
      self->seen.connections_at_once = std::max(self->seen.connections_at_once, held);
    });
    const auto talk = std::make_shared<Talk>(shared_from_this(), std::move(connection), number);
    talks[number] = talk;
    talk->Greet();
  }

  Duration Now() { return scheduler.clock().Steady() - begin; }
  bool Within(const std::vector<Span>& spans) {
    const Duration now = Now();
    return std::ranges::any_of(spans, [&](const Span& span) { return now >= span.from && now < span.to; });
  }
  // Chance of this site's own: what others draw changes nothing here.
  double Next() { return Chance(fmt::format("{}/{}", plan.name, ++drawn)); }
  Duration Pick(Duration min, Duration max) { return min + Duration{static_cast<int64_t>(Next() * static_cast<double>((max - min).us))}; }

  void CountMail(size_t of_connection) {
    const Duration now = Now();
    ++seen.mails;
    seen.mails_of_a_connection = std::max(seen.mails_of_a_connection, of_connection);
    const int64_t hour = scheduler.clock().Now().us / kHourUs;
    ++seen.by_hour[hour];
    ++seen.by_day[hour / 24];
    if (plan.policy.mails_per_second > 0) {
      ahead = std::max(0.0, ahead - static_cast<double>((now - last_mail).us) / 1e6 * plan.policy.mails_per_second) + 1;
      seen.burst = std::max(seen.burst, ahead);
    }
    last_mail = now;
    recent.push_back(now);
  }
  size_t OfLastMinute() {
    while (!recent.empty() && recent.front() < Now() - Seconds(60)) recent.pop_front();
    return recent.size();
  }

  const SitePlan plan;
  sim::Scheduler& scheduler;
  Executor& executor;
  const Duration begin;
  const std::unique_ptr<sim::SimHost> host;
  std::vector<std::unique_ptr<Listener>> listeners;
  Seen seen;
  std::set<uint64_t> open;  // connections, by their numbers
  std::map<uint64_t, std::weak_ptr<Talk>> talks;
  std::map<std::string, Duration> first_seen;
  std::deque<Duration> recent;  // MAIL commands of the last minute
  Duration last_mail;
  double ahead = 0;
  uint64_t drawn = 0;
};

MailServers::MailServers(const SitePlan& plan, sim::SimNet& net, sim::Scheduler& scheduler, Executor& executor, Duration begin)
    : impl_(std::make_shared<Impl>(plan, net, scheduler, executor, begin)) {
  impl_->Listen();
  for (const Span& span : plan.shut) impl_->Shut(span);
}
MailServers::~MailServers() {
  impl_->listeners.clear();
  for (const auto& [number, weak] : std::exchange(impl_->talks, {})) {  // a talk that waits to read holds itself
    if (const auto talk = weak.lock()) talk->Close();
  }
}
const Seen& MailServers::seen() const { return impl_->seen; }

}  // namespace maily::rehearsal
