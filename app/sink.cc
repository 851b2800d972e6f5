// See sink.h. RFC 5321, with PIPELINING (RFC 2920), SIZE (1870), 8BITMIME (6152), SMTPUTF8 (6531), ENHANCEDSTATUSCODES (2034).
#include "app/sink.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <unistd.h>
#include <unordered_set>

#include "streams/base/hash.h"

namespace maily::app {
namespace {

constexpr size_t kLineBytesMax = 4096;
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

// The value of the first Message-ID header, without brackets.
std::string MessageId(std::string_view mail) {
  const std::string_view header = mail.substr(0, mail.find("\r\n\r\n"));
  for (size_t at = 0; at < header.size();) {
    const size_t end = std::min(header.find("\r\n", at), header.size());
    const std::string_view line = header.substr(at, end - at);
    if (StartsWith(line, "MESSAGE-ID:")) {
      const std::string_view id = Address(line.find('<') == std::string_view::npos ? header.substr(at) : line);
      return std::string(id);
    }
    at = end + 2;
  }
  return {};
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

bool WriteAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

struct Sink::Impl : std::enable_shared_from_this<Impl> {
  struct Session : std::enable_shared_from_this<Session> {
    Session(std::shared_ptr<Impl> sink_in, std::unique_ptr<Connection> connection_in) : sink(std::move(sink_in)), connection(std::move(connection_in)) {}

    void Start() {
      Reply("220 sink.localhost ESMTP Maily sink\r\n");
      Flush();
    }

    void Reply(std::string_view text) { out.append(text); }

    void Flush() {
      if (out.empty()) return Read();
      connection->Write(std::exchange(out, {}), [self = shared_from_this()](const Result<void>& written) {
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
        self->in += *bytes;
        self->Parse();
      });
    }

    // Takes every whole line; answers leave together. Ends in Flush, now or once finished mails are logged.
    void Parse() {
      size_t at = 0;
      while (!quit) {
        const size_t end = in.find("\r\n", at);
        if (end == std::string::npos) {
          if (!data && in.size() - at > kLineBytesMax) {
            Reply("500 5.5.2 line too long\r\n");
            quit = true;
          }
          break;
        }
        const std::string_view line = std::string_view(in).substr(at, end - at);
        at = end + 2;
        if (!data) {
          Command(line);
        } else if (line == ".") {
          data = false;
          if (!Finish()) {
            in.erase(0, at);
            connection->Close();
            return;
          }
        } else if (mail.size() + line.size() > sink->options.mail_bytes_max) {
          too_large = true;
        } else {
          mail.append(line.substr(line.starts_with('.') ? 1 : 0));
          mail.append("\r\n");
        }
      }
      in.erase(0, at);
      Flush();
    }

    void Command(std::string_view line) {
      if (StartsWith(line, "EHLO")) {
        Reset();
        return Reply("250-sink.localhost\r\n250-PIPELINING\r\n250-SIZE 33554432\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES\r\n");
      }
      if (StartsWith(line, "HELO")) {
        Reset();
        return Reply("250 sink.localhost\r\n");
      }
      if (StartsWith(line, "MAIL FROM:")) {
        Reset();
        in_mail = true;
        return Reply("250 2.1.0 sender ok\r\n");
      }
      if (StartsWith(line, "RCPT TO:")) {
        if (!in_mail) return Reply("503 5.5.1 MAIL first\r\n");
        const std::string_view address = Address(line);
        if (address.empty()) return Reply("501 5.1.3 no address\r\n");
        for (const SinkRule& rule : sink->options.rules) {
          if (address.ends_with(rule.suffix)) {
            ++sink->rejected;
            Reply(rule.reply);
            return Reply("\r\n");
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

    void Reset() {
      in_mail = false;
      too_large = false;
      recipients.clear();
      mail.clear();
    }

    // The mail is taken and logged before the reply. False: the connection is dropped instead of answered.
    bool Finish() {
      if (too_large) {
        Reply("552 5.3.4 message too large\r\n");
        Reset();
        return true;
      }
      if (!sink->Take(recipients, mail)) {
        Reply("452 4.3.1 the log cannot be written\r\n");
        Reset();
        return true;
      }
      Reset();
      if (sink->Drop()) return false;
      Reply("250 2.0.0 taken\r\n");
      return true;
    }

    std::shared_ptr<Impl> sink;
    std::unique_ptr<Connection> connection;
    std::string in;
    std::string out;
    std::string mail;
    std::vector<std::string> recipients;
    bool in_mail = false;
    bool data = false;
    bool too_large = false;
    bool quit = false;
  };

  Impl(Clock& clock_in, SinkOptions options_in) : clock(clock_in), options(std::move(options_in)), chance(options.seed) {}
  ~Impl() {
    if (log >= 0) ::close(log);
    if (kept >= 0) ::close(kept);
  }

  bool Take(const std::vector<std::string>& recipients, const std::string& mail) {
    const int64_t now = clock.Now().us;
    const std::string id = MessageId(mail);
    const std::lock_guard lock(mutex);
    std::string lines;
    uint64_t number = mails.size();
    for (const std::string& recipient : recipients) {
      lines += fmt::format("{},{},{},{},{}\n", ++number, now, CsvField(recipient), CsvField(id), mail.size());
    }
    if (kept >= 0 && !WriteAll(kept, mail)) return false;
    if (log >= 0 && !WriteAll(log, lines)) return false;
    for (const std::string& recipient : recipients) {
      mails.push_back({mails.size() + 1, now, recipient, id, mail.size()});
      places.push_back(kept_end);
      distinct.insert(Xxh3_64(recipient));
    }
    if (kept >= 0) kept_end += mail.size();
    return true;
  }

  bool Drop() {
    if (options.drop_after_dot <= 0) return false;
    chance = chance * 6364136223846793005ULL + 1442695040888963407ULL;  // Knuth's LCG
    const bool drop = static_cast<double>(chance >> 11) / 9007199254740992.0 < options.drop_after_dot;
    if (drop) ++dropped;
    return drop;
  }

  Clock& clock;
  const SinkOptions options;
  std::unique_ptr<Listener> listener;
  int log = -1;
  int kept = -1;
  std::atomic<uint64_t> connections = 0;
  std::atomic<uint64_t> rejected = 0;
  std::atomic<uint64_t> dropped = 0;
  uint64_t chance;

  mutable std::mutex mutex;  // guards what follows
  std::vector<ReceivedMail> mails;
  std::vector<uint64_t> places;
  std::unordered_set<uint64_t> distinct;
  uint64_t kept_end = 0;
};

Sink::Sink(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Sink::~Sink() { impl_->listener.reset(); }

Result<std::unique_ptr<Sink>> Sink::Start(Net& net, Executor& /*executor*/, Clock& clock, SinkOptions options) {
  auto impl = std::make_shared<Impl>(clock, std::move(options));
  if (!impl->options.log_path.empty()) {
    impl->log = ::open(impl->options.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (impl->log < 0) return Fail(Code::kInvalid, "{}: {}", impl->options.log_path, std::strerror(errno));
  }
  if (!impl->options.keep_path.empty()) {
    impl->kept = ::open(impl->options.keep_path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (impl->kept < 0) return Fail(Code::kInvalid, "{}: {}", impl->options.keep_path, std::strerror(errno));
  }
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
  uint64_t place = 0;
  uint64_t bytes = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    if (number == 0 || number > impl_->mails.size()) return Fail(Code::kNotFound, "no mail {}", number);
    place = impl_->places[number - 1];
    bytes = impl_->mails[number - 1].bytes;
  }
  if (impl_->kept < 0) return Fail(Code::kNotFound, "mails are not kept; start the sink with --keep FILE");
  std::string mail(bytes, '\0');
  if (::pread(impl_->kept, mail.data(), bytes, static_cast<off_t>(place)) != static_cast<ssize_t>(bytes)) {
    return Fail(Code::kCorrupt, "{}: mail {} cannot be read", impl_->options.keep_path, number);
  }
  return mail;
}

}  // namespace maily::app
