// See sink.h. RFC 5321, with PIPELINING (RFC 2920), SIZE (1870), 8BITMIME (6152), SMTPUTF8 (6531), ENHANCEDSTATUSCODES (2034),
// STARTTLS (3207).
#include "app/sink.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>
#include <unordered_set>

#include "streams/base/hash.h"

namespace maily::app {
namespace {

constexpr size_t kLineBytesMax = 4096;
constexpr size_t kSubjectBytesMax = 200;
constexpr size_t kRecipientsMax = 1000;
constexpr size_t kReadBytes = 64 * 1024;

bool StartsWith(std::string_view line, std::string_view verb) {
  return line.size() >= verb.size() &&
         std::equal(verb.begin(), verb.end(), line.begin(), [](char a, char b) { return a == (b >= 'a' && b <= 'z' ? b - 32 : b); });
}

// The address in "MAIL FROM:<a@b> SIZE=1"; none if there are no brackets.
std::string_view Address(std::string_view line) {
  const size_t open = line.find('<');
  const size_t close = line.find('>', open);
  if (open == std::string_view::npos || close == std::string_view::npos) return {};
  return line.substr(open + 1, close - open - 1);
}

// The value of the first header field of that name ("SUBJECT:"), unfolded; empty if there is none.
std::string HeaderField(std::string_view mail, std::string_view name) {
  const std::string_view header = mail.substr(0, mail.find("\r\n\r\n"));
  for (size_t at = 0; at < header.size();) {
    size_t end = std::min(header.find("\r\n", at), header.size());
    if (StartsWith(header.substr(at, end - at), name)) {
      std::string value(header.substr(at + name.size(), end - at - name.size()));
      while (end + 2 < header.size() && (header[end + 2] == ' ' || header[end + 2] == '\t')) {
        const size_t begin = end + 2;
        end = std::min(header.find("\r\n", begin), header.size());
        value.append(header.substr(begin, end - begin));
      }
      value.erase(0, std::min(value.find_first_not_of(" \t"), value.size()));
      return value;
    }
    at = end + 2;
  }
  return {};
}

// Without its brackets.
std::string MessageId(std::string_view mail) {
  const std::string value = HeaderField(mail, "MESSAGE-ID:");
  return value.starts_with('<') ? std::string(Address(value)) : value;
}

// The number in " SIZE=…" of a MAIL command; 0 if there is none.
uint64_t DeclaredSize(std::string_view line) {
  for (size_t at = line.find('>'); at != std::string_view::npos; at = line.find(' ', at + 1)) {
    if (line[at] == ' ' && StartsWith(line.substr(at + 1), "SIZE="))
      return std::strtoull(std::string(line.substr(at + 6)).c_str(), nullptr, 10);
  }
  return 0;
}

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted.push_back('"');
    if (c != '\r' && c != '\n') quoted.push_back(c);
  }
  return quoted + "\"";
}

// The fields of one line that CsvField wrote.
std::vector<std::string> SplitCsv(std::string_view line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') {
      if (quoted && i + 1 < line.size() && line[i + 1] == '"') {
        fields.back().push_back(line[++i]);
      } else {
        quoted = !quoted;
      }
    } else if (line[i] == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back().push_back(line[i]);
    }
  }
  return fields;
}

// All of it or, by cutting a partial write off again, nothing. `end` = the file's length.
bool AppendWhole(int file, std::string_view bytes, uint64_t& end) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t written = ::write(file, bytes.data() + done, bytes.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      if (done > 0 && ::ftruncate(file, static_cast<off_t>(end)) != 0) end += done;
      return false;
    }
    done += static_cast<size_t>(written);
  }
  end += bytes.size();
  return true;
}

}  // namespace

struct Sink::Impl : std::enable_shared_from_this<Impl> {
  struct Session : std::enable_shared_from_this<Session> {
    Session(std::shared_ptr<Impl> sink_in, std::unique_ptr<Connection> connection_in)
        : sink(std::move(sink_in)), connection(std::move(connection_in)) {}

    void Start() {
      if (const SinkRule* rule = Fit(SinkRule::Stage::kConnect, {})) {
        wait = rule->delay;
        if (rule->drop != SinkRule::Drop::kNo) {
          Cut();
          return Answer();
        }
        if (!rule->reply.empty()) {
          Refuse(*rule);
          quit = !rule->reply.starts_with('2');
          return Answer();
        }
      }
      Reply("220 sink.localhost ESMTP Maily sink\r\n");
      Answer();
    }

    const SinkRule* Fit(SinkRule::Stage stage, std::string_view recipient) {
      return sink->rules.Fit(stage, recipient, sink->clock.Steady() - sink->began);
    }

    void Reply(std::string_view text) { out.append(text); }

    // What is to be said leaves once `wait` is over.
    void Answer() {
      const Duration delay = std::exchange(wait, {});
      if (delay.us <= 0) return Flush();
      sink->executor.After(delay, [self = shared_from_this()] { self->Flush(); });
    }

    void Flush() {
      if (dropping) return connection->Close();
      if (secured && !out.empty() && secured->established() && !secured->Send(std::exchange(out, {}))) return connection->Close();
      std::string bytes = secured ? secured->TakeEncrypted() : std::exchange(out, {});
      if (std::exchange(begin_tls, false)) secured.emplace(sink->options.tls);
      if (bytes.empty()) return quit ? connection->Close() : Read();
      connection->Write(std::move(bytes), [self = shared_from_this()](const Result<void>& written) {
        if (!written || self->quit) {
          self->connection->Close();
          return;
        }
        self->Read();
      });
    }

    void Read() {
      connection->Read(kReadBytes, [self = shared_from_this()](Result<std::string> bytes) {
        if (!bytes || bytes->empty()) {
          self->connection->Close();
          return;
        }
        if (self->secured) {
          if (!self->secured->Receive(*bytes) || self->secured->closed()) self->quit = true;
          self->in += self->secured->TakePlain();
        } else {
          self->in += *bytes;
        }
        self->Parse();
      });
    }

    // Takes every whole line; answers leave together, after what they answer is logged.
    void Parse() {
      size_t at = 0;
      while (!quit && !begin_tls) {
        const size_t end = in.find("\r\n", at);
        if (end == std::string::npos) {
          if (in.size() - at <= kLineBytesMax) break;
          if (!data) {
            Reply("500 5.5.2 line too long\r\n");
            quit = true;
          } else {
            // A line without end must not fill the memory: all of it but what may be the first half of its CRLF.
            AddData(std::string_view(in).substr(at, in.size() - 1 - at));
            at = in.size() - 1;
            mid_line = true;
          }
          break;
        }
        const std::string_view line = std::string_view(in).substr(at, end - at);
        at = end + 2;
        if (!data) {
          Command(line);
        } else if (line == "." && !mid_line) {
          data = false;
          wait = std::max(wait, sink->options.delay);
          Finish();
        } else {
          AddData(line.starts_with('.') && !mid_line ? line.substr(1) : line);
          AddData("\r\n");
          mid_line = false;
        }
      }
      // What a client sent in plain text after STARTTLS is not heard (RFC 3207 §4.2).
      in.erase(0, begin_tls ? in.size() : at);
      Answer();
    }

    void AddData(std::string_view bytes) {
      too_large = too_large || mail.size() + bytes.size() > sink->options.mail_bytes_max;
      if (!too_large) mail.append(bytes);
    }

    void Command(std::string_view line) {
      if (line.size() > kLineBytesMax) return Reply("500 5.5.2 line too long\r\n");
      if (StartsWith(line, "EHLO")) {
        Reset();
        return Reply(fmt::format(
            "250-sink.localhost\r\n250-PIPELINING\r\n250-SIZE {}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n{}250 ENHANCEDSTATUSCODES\r\n",
            sink->options.mail_bytes_max, OffersTls() ? "250-STARTTLS\r\n" : ""));
      }
      if (StartsWith(line, "HELO")) {
        Reset();
        return Reply("250 sink.localhost\r\n");
      }
      if (StartsWith(line, "STARTTLS")) {
        if (!OffersTls()) return Reply("502 5.5.1 not implemented\r\n");
        Reset();
        begin_tls = true;
        return Reply("220 2.0.0 go ahead\r\n");
      }
      if (StartsWith(line, "MAIL FROM:")) {
        Reset();
        if (sink->options.require_tls && !secured) return Reply("530 5.7.0 Must issue a STARTTLS command first\r\n");
        if (line.find('<') == std::string_view::npos) return Reply("501 5.1.7 no address\r\n");
        if (DeclaredSize(line) > sink->options.mail_bytes_max) return Reply("552 5.3.4 message too large\r\n");
        in_mail = true;
        return Reply("250 2.1.0 sender ok\r\n");
      }
      if (StartsWith(line, "RCPT TO:")) {
        if (!in_mail) return Reply("503 5.5.1 MAIL first\r\n");
        const std::string_view address = Address(line);
        if (address.empty()) return Reply("501 5.1.3 no address\r\n");
        if (const SinkRule* rule = Fit(SinkRule::Stage::kRcpt, address)) {
          wait = std::max(wait, rule->delay);
          if (rule->drop != SinkRule::Drop::kNo) return Cut();
          if (!rule->reply.empty()) {
            Refuse(*rule);
            if (!rule->reply.starts_with('2')) return;
            recipients.emplace_back(address);
            return;
          }
        }
        if (recipients.size() >= kRecipientsMax) return Reply("452 4.5.3 too many recipients\r\n");
        recipients.emplace_back(address);
        return Reply("250 2.1.5 recipient ok\r\n");
      }
      if (StartsWith(line, "DATA")) {
        if (recipients.empty()) return Reply("503 5.5.1 RCPT first\r\n");
        data = true;
        return Reply("354 end with .\r\n");
      }
      if (StartsWith(line, "RSET")) {
        Reset();
        return Reply("250 2.0.0 ok\r\n");
      }
      if (StartsWith(line, "NOOP")) return Reply("250 2.0.0 ok\r\n");
      if (StartsWith(line, "VRFY")) return Reply("252 2.5.2 cannot say\r\n");
      if (StartsWith(line, "QUIT")) {
        quit = true;
        return Reply("221 2.0.0 bye\r\n");
      }
      Reply("502 5.5.1 not implemented\r\n");
    }

    bool OffersTls() const { return sink->options.tls != nullptr && !secured; }

    // The rule's answer; one that begins with 2 refuses nothing.
    void Refuse(const SinkRule& rule) {
      if (!rule.reply.starts_with('2')) ++sink->rejected;
      Reply(rule.reply);
      Reply("\r\n");
      if (rule.reply.starts_with("421")) quit = true;  // RFC 5321 §3.8: the server closes
    }

    // The connection ends without an answer, once `wait` is over.
    void Cut() {
      ++sink->dropped;
      quit = dropping = true;
    }

    void Reset() {
      in_mail = false;
      mid_line = false;
      too_large = false;
      recipients.clear();
      mail.clear();
    }

    // The mail is taken and logged before the reply.
    void Finish() {
      const std::vector<std::string> to = std::exchange(recipients, {});
      const std::string taken = std::exchange(mail, {});
      const bool too_much = too_large;
      Reset();
      if (too_much) return Reply("552 5.3.4 message too large\r\n");
      const SinkRule* rule = nullptr;
      for (const std::string& address : to) {
        if ((rule = Fit(SinkRule::Stage::kDot, address)) != nullptr) break;
      }
      if (rule != nullptr) {
        wait = std::max(wait, rule->delay);
        if (rule->drop == SinkRule::Drop::kBefore) return Cut();
        if (!rule->reply.empty() && !rule->reply.starts_with('2')) return Refuse(*rule);
      }
      if (!sink->Take(to, taken)) return Reply("452 4.3.1 the log cannot be written\r\n");
      if ((rule != nullptr && rule->drop == SinkRule::Drop::kAfter) || sink->rules.Happens(sink->options.drop_after_dot)) return Cut();
      if (rule != nullptr && !rule->reply.empty()) return Refuse(*rule);
      Reply("250 2.0.0 taken\r\n");
    }

    std::shared_ptr<Impl> sink;
    std::unique_ptr<Connection> connection;
    std::string in;
    std::string out;
    std::string mail;
    std::vector<std::string> recipients;
    bool in_mail = false;
    bool data = false;
    bool mid_line = false;  // of data: what comes next continues a line
    bool too_large = false;
    bool quit = false;
    bool dropping = false;  // it ends without what was to be said
    Duration wait{};        // before the next answer
    bool begin_tls = false;
    std::optional<tls::Channel> secured;  // from STARTTLS on
  };

  Impl(Executor& executor_in, Clock& clock_in, SinkOptions options_in)
      : executor(executor_in), clock(clock_in), options(std::move(options_in)), began(clock.Steady()), rules(options.rules, options.seed) {}
  ~Impl() {
    if (log >= 0) ::close(log);
    if (kept >= 0) ::close(kept);
  }

  // Opens the files, and takes over what an earlier sink logged.
  Result<void> Open() {
    if (!options.keep_path.empty()) {
      kept = ::open(options.keep_path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
      if (kept < 0) return Fail(Code::kInvalid, "{}: {}", options.keep_path, std::strerror(errno));
      kept_end = static_cast<uint64_t>(std::max<off_t>(::lseek(kept, 0, SEEK_END), 0));
    }
    if (options.log_path.empty()) return Ok();
    log = ::open(options.log_path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0) return Fail(Code::kInvalid, "{}: {}", options.log_path, std::strerror(errno));
    std::string rest;
    char buffer[64 * 1024];
    for (ssize_t got = 0; (got = ::read(log, buffer, sizeof(buffer))) > 0;) {
      rest.append(buffer, static_cast<size_t>(got));
      size_t at = 0;
      for (size_t end = 0; (end = rest.find('\n', at)) != std::string::npos; at = end + 1) {
        std::vector<std::string> fields = SplitCsv(std::string_view(rest).substr(at, end - at));
        if (fields.size() != 7) return Fail(Code::kCorrupt, "{}: line {} is not one of a sink's log", options.log_path, mails.size() + 1);
        Add({mails.size() + 1, std::strtoll(fields[1].c_str(), nullptr, 10), std::move(fields[2]), std::move(fields[3]),
             std::strtoull(fields[4].c_str(), nullptr, 10), std::strtoll(fields[5].c_str(), nullptr, 10), std::move(fields[6])});
        log_end += end + 1 - at;
      }
      rest.erase(0, at);
    }
    // A line without end was never answered.
    if (!rest.empty() && ::ftruncate(log, static_cast<off_t>(log_end)) != 0)
      return Fail(Code::kInvalid, "{}: {}", options.log_path, std::strerror(errno));
    return Ok();
  }

  // Call with the mutex held, once the sink runs.
  void Add(ReceivedMail mail) {
    distinct.insert(Xxh3_64(mail.recipient));
    mails.push_back(std::move(mail));
  }

  bool Take(const std::vector<std::string>& recipients, const std::string& mail) {
    const int64_t now = clock.Now().us;
    const std::string id = MessageId(mail);
    const std::string subject = HeaderField(mail, "SUBJECT:").substr(0, kSubjectBytesMax);
    const std::lock_guard lock(mutex);
    const int64_t place = kept >= 0 ? static_cast<int64_t>(kept_end) : -1;
    std::string lines;
    uint64_t number = mails.size();
    for (const std::string& recipient : recipients) {
      lines +=
          fmt::format("{},{},{},{},{},{},{}\n", ++number, now, CsvField(recipient), CsvField(id), mail.size(), place, CsvField(subject));
    }
    if (kept >= 0 && !AppendWhole(kept, mail, kept_end)) return false;
    if (log >= 0 && !AppendWhole(log, lines, log_end)) return false;
    for (const std::string& recipient : recipients) Add({mails.size() + 1, now, recipient, id, mail.size(), place, subject});
    return true;
  }

  Executor& executor;
  Clock& clock;
  const SinkOptions options;
  std::unique_ptr<Listener> listener;
  int log = -1;
  int kept = -1;
  std::atomic<uint64_t> connections = 0;
  std::atomic<uint64_t> rejected = 0;
  std::atomic<uint64_t> dropped = 0;
  const Duration began;
  SinkRules rules;

  mutable std::mutex mutex;  // guards what follows
  std::vector<ReceivedMail> mails;
  std::unordered_set<uint64_t> distinct;
  uint64_t kept_end = 0;  // length of the file of kept mails
  uint64_t log_end = 0;
};

Sink::Sink(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Sink::~Sink() { impl_->listener.reset(); }

Result<std::unique_ptr<Sink>> Sink::Start(Net& net, Executor& executor, Clock& clock, SinkOptions options) {
  auto impl = std::make_shared<Impl>(executor, clock, std::move(options));
  MAILY_TRY_VOID(impl->Open());
  auto listener = net.Listen(impl->options.listen, [weak = std::weak_ptr<Impl>(impl)](std::unique_ptr<Connection> connection) {
    auto sink = weak.lock();
    if (!sink) return;
    ++sink->connections;
    std::make_shared<Impl::Session>(sink, std::move(connection))->Start();
  });
  if (!listener) return listener.error();
  impl->listener = std::move(*listener);
  return std::unique_ptr<Sink>(new Sink(impl));
}

Endpoint Sink::local() const { return impl_->listener->local(); }

Sink::Counts Sink::counts() const {
  const std::lock_guard lock(impl_->mutex);
  return {impl_->mails.size(), impl_->distinct.size(), impl_->connections, impl_->rejected, impl_->dropped};
}

std::vector<ReceivedMail> Sink::List(uint64_t after, size_t max) const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<ReceivedMail> page;
  for (uint64_t i = after; i < impl_->mails.size() && page.size() < max; ++i) page.push_back(impl_->mails[i]);
  return page;
}

Result<std::string> Sink::Message(uint64_t number) const {
  int64_t place = 0;
  uint64_t bytes = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    if (number == 0 || number > impl_->mails.size()) return Fail(Code::kNotFound, "no mail {}", number);
    place = impl_->mails[number - 1].place;
    bytes = impl_->mails[number - 1].bytes;
  }
  if (impl_->kept < 0 || place < 0) return Fail(Code::kNotFound, "mail {} was not kept; start the sink with --keep FILE", number);
  std::string mail(bytes, '\0');
  if (::pread(impl_->kept, mail.data(), bytes, static_cast<off_t>(place)) != static_cast<ssize_t>(bytes)) {
    return Fail(Code::kCorrupt, "{}: mail {} cannot be read", impl_->options.keep_path, number);
  }
  return mail;
}

}  // namespace maily::app
