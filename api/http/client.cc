// Plain sockets with poll(2); Beast parses the answer.
#include "api/http/client.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>

namespace maily::http {
namespace {

namespace beast = boost::beast;
using boost::system::error_code;
using SteadyTime = std::chrono::steady_clock::time_point;

constexpr size_t kReadBytes = 64 * 1024;

class ResponseParser : public beast::http::basic_parser<false> {
 public:
  ResponseParser() {
    header_limit(256 * 1024);
    body_limit(boost::none);
    eager(true);
  }
  Response response;
  size_t body_bytes_max = 0;
  bool too_large = false;
  bool in_trailers = false;

 private:
  using string_view = beast::string_view;
  void on_request_impl(beast::http::verb, string_view, string_view, int, error_code&) override {}
  void on_response_impl(int status, string_view, int, error_code&) override { response.status = status; }
  void on_field_impl(beast::http::field, string_view name, string_view value, error_code&) override {
    if (!in_trailers) response.headers.Add({name.data(), name.size()}, {value.data(), value.size()});
  }
  void on_header_impl(error_code&) override { in_trailers = true; }
  void on_body_init_impl(const boost::optional<uint64_t>& length, error_code&) override {
    if (length) response.body.reserve(std::min<uint64_t>(*length, 64 << 20));
  }
  size_t on_body_impl(string_view bytes, error_code& ec) override { return Take(bytes, ec); }
  void on_chunk_header_impl(uint64_t, string_view, error_code&) override {}
  size_t on_chunk_body_impl(uint64_t, string_view bytes, error_code& ec) override { return Take(bytes, ec); }
  void on_finish_impl(error_code&) override {}

  size_t Take(string_view bytes, error_code& ec) {
    if (response.body.size() + bytes.size() > body_bytes_max) {
      too_large = true;
      ec = beast::http::error::body_limit;
      return 0;
    }
    response.body.append(bytes.data(), bytes.size());
    return bytes.size();
  }
};

}  // namespace

struct Client::Impl {
  Endpoint server;
  ClientOptions options;
  int fd = -1;
  std::string received;  // read and not parsed yet
  mutable bool timed_out = false;

  ~Impl() { Close(); }
  void Close() {
    if (fd >= 0) close(fd);
    fd = -1;
    received.clear();
  }
  Error Unreachable(std::string_view what, int error) const {
    return Fail(Code::kRetry, "{} {}: {}; is the server running there?", what, server.ToString(), std::strerror(error));
  }

  // Waits until one of `events`, or gives kRetry after `timeout`.
  Result<short> Wait(short events, Duration timeout) const {
    const SteadyTime end = std::chrono::steady_clock::now() + std::chrono::microseconds(timeout.us);
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
      if (left <= 0) {
        timed_out = true;
        return Fail(Code::kRetry, "{} did not answer in {:.1f} s", server.ToString(), static_cast<double>(timeout.us) / 1e6);
      }
      pollfd poller{fd, events, 0};
      const int ready = poll(&poller, 1, static_cast<int>(std::min<int64_t>(left, 1'000'000)));
      if (ready > 0) return poller.revents;
      if (ready < 0 && errno != EINTR) return Fail(Code::kRetry, "poll: {}", std::strerror(errno));
    }
  }

  Result<void> Connect() {
    Close();
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* raw = nullptr;
    if (const int error = getaddrinfo(server.host.c_str(), std::to_string(server.port).c_str(), &hints, &raw); error != 0) {
      return Fail(Code::kRetry, "look-up of {} failed: {}", server.host, gai_strerror(error));
    }
    const std::unique_ptr<addrinfo, decltype([](addrinfo* list) { freeaddrinfo(list); })> found(raw);
    Error last = Fail(Code::kRetry, "{} has no address", server.host);
    for (const addrinfo* at = found.get(); at != nullptr; at = at->ai_next) {
      Close();
      fd = socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol);
      if (fd < 0) return Fail(Code::kRetry, "socket: {}", std::strerror(errno));
      if (connect(fd, at->ai_addr, at->ai_addrlen) != 0 && errno != EINPROGRESS) {
        last = Unreachable("cannot connect to", errno);
        continue;
      }
      if (const auto ready = Wait(POLLOUT, options.connect_timeout); !ready) {
        last = Fail(Code::kRetry, "cannot connect to {} in {:.1f} s", server.ToString(),
                    static_cast<double>(options.connect_timeout.us) / 1e6);
        continue;
      }
      int error = 0;
      socklen_t size = sizeof(error);
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) {
        last = Unreachable("cannot connect to", error);
        continue;
      }
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      return Ok();
    }
    Close();
    return last;
  }

  // True once an answer begins to arrive before all is sent.
  Result<bool> Write(std::string_view bytes, bool stop_at_answer) {
    while (!bytes.empty()) {
      MAILY_TRY(const short ready, Wait(static_cast<short>(POLLOUT | (stop_at_answer ? POLLIN : 0)), options.timeout));
      if (stop_at_answer && (ready & POLLIN) != 0) return true;
      const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<size_t>(sent));
      } else if (errno != EAGAIN && errno != EINTR) {
        // The answer to a refused upload may be there even so.
        if (stop_at_answer && (errno == EPIPE || errno == ECONNRESET)) return true;
        return Unreachable("the connection broke while sending to", errno);
      }
    }
    return false;
  }

  // Empty = the server closed.
  Result<std::string_view> Read(std::string& buffer) {
    for (;;) {
      MAILY_TRY_VOID(Wait(POLLIN, options.timeout));
      const size_t before = buffer.size();
      buffer.resize(before + kReadBytes);
      const ssize_t got = recv(fd, buffer.data() + before, kReadBytes, 0);
      buffer.resize(before + static_cast<size_t>(std::max<ssize_t>(got, 0)));
      if (got >= 0) return std::string_view(buffer).substr(before);
      if (errno != EAGAIN && errno != EINTR) return Unreachable("the connection broke while reading from", errno);
    }
  }

  bool KeptIsUsable() const {
    if (fd < 0) return false;
    pollfd poller{fd, POLLIN, 0};
    return poll(&poller, 1, 0) == 0;  // anything to read now is the server's goodbye
  }

  std::string Head(const Call& call) const {
    std::string head = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", MethodName(call.method), call.target, server.ToString());
    for (size_t i = 0; i < call.headers.size(); ++i) {
      const auto [name, value] = call.headers.at(i);
      fmt::format_to(std::back_inserter(head), "{}: {}\r\n", name, value);
    }
    if (call.upload && !call.upload_bytes) {
      head.append("Transfer-Encoding: chunked\r\n");
    } else if (call.upload || !call.body.empty() || (call.method != Method::kGet && call.method != Method::kHead)) {
      fmt::format_to(std::back_inserter(head), "Content-Length: {}\r\n", call.upload ? *call.upload_bytes : call.body.size());
    }
    head.append("\r\n");
    return head;
  }

  // False if an answer came before all was sent.
  Result<bool> SendRequest(const Call& call) {
    std::string head = Head(call);
    if (!call.upload) {
      if (call.body.size() < 16 * 1024) {
        head.append(call.body);
        MAILY_TRY_VOID(Write(head, false));
        return true;
      }
      MAILY_TRY_VOID(Write(head, false));
      MAILY_TRY(const bool answered, Write(call.body, true));
      return !answered;
    }
    MAILY_TRY_VOID(Write(head, false));
    uint64_t sent = 0;
    for (;;) {
      MAILY_TRY(std::string piece, call.upload());
      sent += piece.size();
      const bool last = piece.empty();
      if (!call.upload_bytes) {
        piece = last ? std::string("0\r\n\r\n") : fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
      } else if (sent > *call.upload_bytes || (last && sent < *call.upload_bytes)) {
        return Fail(Code::kInvalid, "the upload has {} bytes and not {}", sent, *call.upload_bytes);
      }
      MAILY_TRY(const bool answered, Write(piece, true));
      if (answered || last) return !answered;
    }
  }

  struct Answer {
    Response response;
    bool keep = false;
  };
  // `any_byte` tells whether something of the answer has arrived.
  Result<Answer> ReadResponse(bool is_head, bool& any_byte) {
    std::string buffer = std::exchange(received, {});
    for (;;) {
      ResponseParser parser;
      parser.body_bytes_max = options.response_bytes_max;
      parser.skip(is_head);
      while (!parser.is_done()) {
        // The parser is not asked about less than the shortest end of a chunked body.
        const size_t least = parser.is_header_done() && parser.chunked() ? 5 : 1;
        error_code ec;
        if (buffer.size() >= least) {
          const size_t used = parser.put(boost::asio::const_buffer(buffer.data(), buffer.size()), ec);
          buffer.erase(0, used);
          if (parser.too_large) return Fail(Code::kInvalid, "the answer has more than {} bytes", options.response_bytes_max);
          if (ec && ec != beast::http::error::need_more) {
            return Fail(Code::kInvalid, "{} does not answer in HTTP: {}", server.ToString(), ec.message());
          }
          if (parser.is_done()) break;
          if (!ec && used > 0 && buffer.size() >= least) continue;
        }
        MAILY_TRY(const std::string_view more, Read(buffer));
        any_byte = any_byte || !more.empty();
        if (!more.empty()) continue;
        if (!parser.got_some()) return Fail(Code::kRetry, "{} closed the connection without an answer", server.ToString());
        parser.put_eof(ec);
        if (ec) return Fail(Code::kRetry, "{} closed the connection in the middle of its answer", server.ToString());
      }
      if (parser.response.status / 100 == 1) continue;  // 100 Continue: the answer is yet to come
      received = std::move(buffer);
      return Answer{std::move(parser.response), parser.keep_alive() && !parser.need_eof()};
    }
  }
};

Client::Client(Endpoint server, ClientOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->server = std::move(server);
  impl_->options = options;
}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;
void Client::Close() { impl_->Close(); }

Result<Client> Client::FromUrl(std::string_view url, ClientOptions options) {
  std::string_view rest = url;
  if (rest.starts_with("http://")) rest.remove_prefix(7);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const size_t colon = rest.rfind(':');
  uint16_t port = 80;
  std::string_view host = rest;
  if (colon != std::string_view::npos && rest.find(']', colon) == std::string_view::npos) {
    const auto [end, ec] = std::from_chars(rest.data() + colon + 1, rest.data() + rest.size(), port);
    if (ec != std::errc() || end != rest.data() + rest.size())
      return Fail(Code::kInvalid, "'{}' is not an address like http://127.0.0.1:8080", url);
    host = rest.substr(0, colon);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty() || host.find_first_of("/@? ") != std::string_view::npos) {
    return Fail(Code::kInvalid, "'{}' is not an address like http://127.0.0.1:8080", url);
  }
  return Client({std::string(host), port}, options);
}

Result<Response> Client::Send(const Call& call) {
  Impl& impl = *impl_;
  const bool kept = impl.KeptIsUsable();
  const bool repeatable = !call.upload && (call.method == Method::kGet || call.method == Method::kHead || call.method == Method::kPut ||
                                           call.method == Method::kDelete);
  for (bool again = kept && repeatable;; again = false) {
    if (!impl.KeptIsUsable()) {
      if (auto connected = impl.Connect(); !connected) return connected.error();
    }
    bool any_byte = false;
    impl.timed_out = false;
    const auto sent = impl.SendRequest(call);
    if (!sent) {
      impl.Close();
      if (again && !impl.timed_out && sent.error().code == Code::kRetry) continue;
      return sent.error();
    }
    auto answer = impl.ReadResponse(call.method == Method::kHead, any_byte);
    if (!answer) {
      impl.Close();
      if (again && !any_byte && !impl.timed_out && answer.error().code == Code::kRetry) continue;
      return answer.error();
    }
    // An upload that was cut short leaves the connection in the middle of a body.
    if (!answer->keep || !*sent) impl.Close();
    return std::move(answer->response);
  }
}

}  // namespace maily::http
