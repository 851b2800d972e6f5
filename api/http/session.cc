// One HTTP/1.1 connection: reads a request, checks it, hands it over, writes the answer, again.
#include "api/http/session.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>

#include "api/http/wire.h"
#include "streams/observe/logging.h"

namespace maily::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;
using observe::Level;
using observe::Log;

constexpr size_t kFirstBufferBytes = 4 * 1024;
constexpr size_t kBodyBufferBytes = 64 * 1024;
constexpr size_t kLingerBytesMax = 1 << 20;
constexpr auto kLingerTime = std::chrono::seconds(2);
// The shortest end of a chunked body, "0\r\n\r\n". The parser is not asked about less.
constexpr size_t kChunkedEndBytes = 5;

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// Calls back once; dropped without a call, the client gets 500.
class Reply {
 public:
  Reply(std::shared_ptr<Session> session, uint64_t request) : session_(std::move(session)), request_(request) {}
  Reply(Reply&&) = default;
  Reply& operator=(Reply&&) = delete;
  ~Reply() {
    if (session_) Send(Mail::Kind::kDropped, {});
  }
  void operator()(Response response) {
    if (session_) Send(Mail::Kind::kAnswer, std::move(response));
  }

 private:
  void Send(Mail::Kind kind, Response response) {
    const std::shared_ptr<Loop> loop = session_->loop;
    loop->Send({std::move(session_), request_, kind, std::move(response)});
  }

  std::shared_ptr<Session> session_;
  uint64_t request_;
};

class HttpSession final : public Session, public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(std::shared_ptr<Loop> on, tcp::socket socket) : shared_(on->shared), socket_(std::move(socket)) { loop = std::move(on); }

  void Start() override {
    error_code ec;
    socket_->set_option(tcp::no_delay(true), ec);
    peer_ = socket_->remote_endpoint(ec).address().to_string();
    buffer_.resize(kFirstBufferBytes);
    EnterIdle(shared_.options.header_timeout);
    Read();
  }

  void OnMail(Mail& mail) override {
    if (mail.request != request_number_) return;
    if (mail.kind == Mail::Kind::kResume && state_ == SessionState::kPaused) {
      state_ = SessionState::kBody;
      SetDeadline(shared_.options.body_timeout);
      ParseBody();
    } else if (mail.kind == Mail::Kind::kAnswer && state_ == SessionState::kWaiting) {
      old_sink_ = std::move(sink_);
      Write(std::move(mail.response));
    } else if (mail.kind == Mail::Kind::kDropped && state_ == SessionState::kWaiting) {
      Log(Level::kError, "a request was dropped without an answer", {{"trace_id", trace_}});
      old_sink_ = std::move(sink_);
      Refuse({500, "internal", "something went wrong here; the log has the reason under this traceId"});
    }
  }

  void OnSweep(SteadyTime now) override {
    if (now < deadline_) return;
    switch (state_) {
      case SessionState::kHead:
      case SessionState::kBody:
        return Refuse({408, "request_timeout", "the request did not arrive in time"});
      case SessionState::kPaused:
      case SessionState::kWaiting:
        return Refuse({503, "handler_timeout", "no answer in time; the request may still take effect"});
      case SessionState::kIdle:
      case SessionState::kWriting:
      case SessionState::kLingering:
      case SessionState::kClosed:
        return Close();
    }
  }

  void OnDrain() override {
    if (state_ == SessionState::kIdle) Close();
  }

  void Abandon() override {
    AbortSink();
    state_ = SessionState::kClosed;
    ++request_number_;
    socket_.reset();
  }

 private:
  void SetDeadline(Duration timeout) { deadline_ = std::chrono::steady_clock::now() + std::chrono::microseconds(timeout.us); }

  void EnterIdle(Duration timeout) {
    state_ = SessionState::kIdle;
    scanned_ = begin_;
    line_begin_ = begin_;
    SetDeadline(timeout);
  }

  // ---- reading

  void Read() {
    if (reading_) return;
    if (begin_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      scanned_ -= std::min(scanned_, begin_);
      line_begin_ -= std::min(line_begin_, begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    size_t wanted = kFirstBufferBytes;
    if (state_ == SessionState::kBody) {
      wanted = std::clamp<size_t>(parser_->content_length_remaining().value_or(kBodyBufferBytes), kFirstBufferBytes, kBodyBufferBytes);
    }
    if (buffer_.size() < wanted || end_ == buffer_.size()) buffer_.resize(std::max(wanted, buffer_.size() * 2));
    reading_ = true;
    socket_->async_read_some(asio::buffer(buffer_.data() + end_, buffer_.size() - end_),
                             [self = shared_from_this()](const error_code& ec, size_t n) { self->OnRead(ec, n); });
  }

  void OnRead(const error_code& ec, size_t n) {
    reading_ = false;
    if (state_ == SessionState::kClosed) return;
    if (ec) {
      // The other side may have closed its half and still wait for the answer; without one to come, the connection is over.
      if (state_ != SessionState::kWaiting && state_ != SessionState::kWriting && state_ != SessionState::kPaused) Close();
      return;
    }
    if (state_ == SessionState::kLingering) {
      lingered_ += n;
      begin_ = end_ = 0;
      return lingered_ > kLingerBytesMax ? Close() : Read();
    }
    end_ += n;
    if (state_ == SessionState::kIdle || state_ == SessionState::kHead) {
      ParseHead();
    } else if (state_ == SessionState::kBody) {
      ParseBody();
    }
  }

  void ParseHead() {
    // 1. Empty lines before a request are skipped (RFC 9112 §2.2).
    while (end_ - begin_ >= 2 && buffer_[begin_] == '\r' && buffer_[begin_ + 1] == '\n') {
      begin_ += 2;
      scanned_ = line_begin_ = begin_;
    }
    if (begin_ == end_) return Read();
    if (state_ == SessionState::kIdle) {
      state_ = SessionState::kHead;
      started_ = std::chrono::steady_clock::now();
      SetDeadline(shared_.options.header_timeout);
    }
    // 2. The end of the header: an empty line. Every line ends in CRLF.
    size_t head_end = 0;
    while (head_end == 0) {
      const void* found = std::memchr(buffer_.data() + scanned_, '\n', end_ - scanned_);
      if (found == nullptr) {
        scanned_ = end_;
        break;
      }
      const size_t newline = static_cast<size_t>(static_cast<const char*>(found) - buffer_.data());
      if (newline == begin_ || buffer_[newline - 1] != '\r') return Refuse({400, "bad_request", "a line of the header ends without CR"});
      if (newline == line_begin_ + 1) head_end = newline + 1;
      scanned_ = line_begin_ = newline + 1;
    }
    if ((head_end == 0 ? end_ : head_end) - begin_ > shared_.options.header_bytes_max) {
      return Refuse({431, "header_too_large", fmt::format("request line and header may have {} bytes", shared_.options.header_bytes_max)});
    }
    if (head_end == 0) return Read();
    // 3. Its fields.
    parser_.emplace();
    error_code ec;
    parser_->put(asio::const_buffer(buffer_.data() + begin_, head_end - begin_), ec);
    if (ec || !parser_->is_header_done()) {
      return Refuse({400, "bad_request", fmt::format("malformed request: {}", ec ? ec.message() : "incomplete header")});
    }
    begin_ = head_end;
    HandleHead();
  }

  // Everything that can be refused before the body is read.
  void HandleHead() {
    Request& request = parser_->request;
    const Headers& headers = request.headers;
    request.peer = shared_.options.proxies.ClientOf(peer_, headers);
    if (const auto parent = headers.Find("traceparent")) request.trace_id = ParseTraceparent(*parent);
    if (request.trace_id.IsZero()) request.trace_id = NewTraceId();
    trace_ = request.trace_id;
    is_head_request_ = request.method == Method::kHead;
    keep_ = parser_->keep_alive();

    // The parser has refused Content-Length together with chunked; these are the other ways to disagree about where a body ends.
    if (const auto coding = headers.Find("transfer-encoding")) {
      if (parser_->version < 11 || headers.Count("transfer-encoding") != 1 || !EqualsIgnoringCase(*coding, "chunked") ||
          headers.Find("content-length")) {
        return Refuse({400, "bad_request", "Transfer-Encoding can only be chunked, once, without Content-Length"});
      }
    } else if (const auto length = headers.Find("content-length")) {
      if (headers.Count("content-length") != 1 || length->find_first_not_of("0123456789") != std::string_view::npos) {
        return Refuse({400, "bad_request", "Content-Length must be one number"});
      }
    }
    const size_t hosts = headers.Count("host");
    if (hosts > 1 || (hosts == 0 && parser_->version >= 11)) return Refuse({400, "bad_request", "there must be one Host field"});
    // An absolute form names the same path (RFC 9112 §3.2.2).
    if (request.target.starts_with("http://")) {
      const size_t slash = request.target.find('/', 7);
      request.target = slash == std::string::npos ? "/" : request.target.substr(slash);
    }
    if (!request.target.starts_with('/') && !(request.method == Method::kOptions && request.target == "*")) {
      return Refuse({400, "bad_request", "the target must be a path"});
    }
    if (request.target.find('%') != std::string::npos && !PercentDecode(request.target, false)) {
      return Refuse({400, "bad_request", "a percent escape in the target is malformed"});
    }

    const Router::Match match = shared_.router.Find(request.method, request.path(), request.params);
    if (match.route == nullptr) {
      if (match.miss == Router::Miss::kPath) return Refuse({404, "not_found", "there is nothing at this path"});
      Problem problem{405, "method_not_allowed", "this path does not know this method"};
      problem.headers.Add("allow", shared_.router.Allow(request.path()));
      return Refuse(problem);
    }
    route_index_ = match.index;
    const bool has_body = !parser_->is_done();
    parser_->body_bytes_max = match.route->body_bytes_max;
    if (const auto length = parser_->content_length(); length && *length > match.route->body_bytes_max) return RefuseTooLarge();
    if (const auto expect = headers.Find("expect"); expect && has_body && parser_->version >= 11) {
      if (!EqualsIgnoringCase(*expect, "100-continue")) return Refuse({417, "expectation_failed", "only 100-continue can be expected"});
      expects_continue_ = true;
    }
    if (match.route->open) {
      parser_->body = &chunk_;
      const bool whole = Guarded([&] {
        auto opened = match.route->open(request);
        if (auto* made = std::get_if<std::unique_ptr<BodySink>>(&opened)) {
          sink_ = std::move(*made);
        } else {
          if (has_body) keep_ = false;
          Write(std::move(std::get<Response>(opened)));
        }
      });
      if (!whole || !sink_) return;
    }
    state_ = SessionState::kBody;
    if (!has_body) return EndBody();
    SetDeadline(shared_.options.body_timeout);
    if (expects_continue_ && begin_ == end_) {
      expects_continue_ = false;
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      asio::async_write(*socket_, asio::buffer(kContinue.data(), kContinue.size()),
                        [self = shared_from_this()](const error_code& ec, size_t) {
                          if (self->state_ == SessionState::kClosed) return;
                          if (ec) return self->Close();
                          if (self->state_ == SessionState::kBody) self->Read();
                        });
      return;
    }
    expects_continue_ = false;
    ParseBody();
  }

  void ParseBody() {
    const size_t least = parser_->chunked() ? kChunkedEndBytes : 1;
    while (end_ - begin_ >= least && !parser_->is_done()) {
      error_code ec;
      const size_t used = parser_->put(asio::const_buffer(buffer_.data() + begin_, end_ - begin_), ec);
      begin_ += used;
      MAILY_CHECK(used > 0 || ec, "the parser neither reads nor ends");
      if (parser_->too_large) return RefuseTooLarge();
      if (ec == beast::http::error::need_more) break;
      if (ec) return Refuse({400, "bad_request", fmt::format("malformed body: {}", ec.message())});
    }
    if (parser_->chunked() && HasBareNewline()) return Refuse({400, "bad_request", "a line of the chunked framing ends without CR"});
    // What the parser leaves untouched is a chunk's size line or trailers.
    if (!parser_->is_done() && end_ - begin_ > shared_.options.header_bytes_max) {
      return Refuse({400, "bad_request", "a chunk's extension or the trailers are too long"});
    }
    if (sink_ && !chunk_.empty()) {
      state_ = SessionState::kPaused;
      SetDeadline(shared_.options.handler_timeout);
      const uint64_t request = request_number_;
      auto self = shared_from_this();
      Guarded([&] {
        sink_->OnData(std::exchange(chunk_, {}), [self, request] { self->loop->Send({self, request, Mail::Kind::kResume, {}}); });
      });
      return;
    }
    if (parser_->is_done()) return EndBody();
    Read();
  }

  // Of the framing that is not parsed yet. Such a line might never end, or end elsewhere for a proxy.
  bool HasBareNewline() const {
    if (parser_->is_done() || parser_->chunk_bytes_left > 0) return false;
    for (size_t i = begin_; i < end_; ++i) {
      if (buffer_[i] == '\n' && (i == begin_ || buffer_[i - 1] != '\r')) return true;
    }
    return false;
  }

  void EndBody() {
    state_ = SessionState::kWaiting;
    SetDeadline(shared_.options.handler_timeout);
    Respond respond = Reply(shared_from_this(), request_number_);
    if (sink_) {
      BodySink* sink = sink_.get();
      Guarded([&] { sink->OnEnd(std::move(respond)); });
      return;
    }
    const Route& route = *shared_.router.rows()[route_index_];
    instance_.assign(parser_->request.path());
    Guarded([&] { route.handler(std::move(parser_->request), std::move(respond)); });
  }

  // Runs what others wrote. What it throws becomes 500, unless it has answered before; then false.
  template <class Call>
  bool Guarded(Call call) {
    const uint64_t request = request_number_;
    const auto self = shared_from_this();
    std::string what = "something unknown";
    try {
      call();
      return true;
    } catch (const std::exception& e) {
      what = e.what();
    } catch (...) {
    }
    Log(Level::kError, "a request handler threw", {{"trace_id", trace_}, {"error", what}});
    if (request == request_number_) Refuse({500, "internal", "something went wrong here; the log has the reason under this traceId"});
    return false;
  }

  // ---- answering

  void RefuseTooLarge() {
    Refuse({413, "body_too_large", fmt::format("the body of this request may have {} bytes", parser_->body_bytes_max)});
  }

  // Ends the request with an error. Unless all of it has been read, the connection ends with it.
  void Refuse(const Problem& problem) {
    const bool read_whole = parser_ && parser_->is_done() && state_ != SessionState::kPaused;
    if (!read_whole || problem.status == 400 || problem.status == 408 || problem.status == 503) keep_ = false;
    AbortSink();
    if (trace_.IsZero()) trace_ = NewTraceId();
    const std::string instance = instance_.empty() && parser_ ? std::string(parser_->request.path()) : instance_;
    Write(ToResponse(problem, trace_, instance));
  }

  void AbortSink() {
    if (sink_) {
      old_sink_ = std::move(sink_);
      try {
        old_sink_->OnAbort();
      } catch (...) {
        Log(Level::kError, "a body sink threw while it was aborted", {{"trace_id", trace_}});
      }
    }
  }

  void Write(Response response) {
    ++request_number_;
    state_ = SessionState::kWriting;
    SetDeadline(shared_.options.write_timeout);
    if (shared_.draining.load(std::memory_order_relaxed)) keep_ = false;
    CountAnswer(response.status);
    head_.clear();
    PutHead(head_, response, trace_, !keep_ ? "close" : parser_ && parser_->version < 11 ? "keep-alive" : "");
    response_body_ = std::move(response.body);
    if (is_head_request_ || HasNoBody(response.status)) response_body_.clear();

    const auto written = [self = shared_from_this()](const error_code& ec, size_t) { self->OnWritten(ec); };
    if (response_body_.size() <= 1024) {
      head_.append(response_body_);
      asio::async_write(*socket_, asio::buffer(head_), written);
    } else {
      asio::async_write(*socket_, std::array{asio::const_buffer(asio::buffer(head_)), asio::const_buffer(asio::buffer(response_body_))},
                        written);
    }
  }

  void CountAnswer(int status) {
    if (shared_.route_metrics.empty()) return;
    const size_t index = route_index_ < shared_.route_metrics.size() ? route_index_ : shared_.route_metrics.size() - 1;
    const Shared::RouteMetrics& metrics = shared_.route_metrics[index];
    metrics.answers[std::clamp(status / 100, 1, 5) - 1].Add();
    const auto took = std::chrono::steady_clock::now() - started_;
    metrics.seconds.Observe(std::chrono::duration<double>(took).count());
    if (observe::Enabled(Level::kDebug)) {
      const bool known = route_index_ < shared_.router.rows().size();
      Log(Level::kDebug, "http",
          {{"trace_id", trace_},
           {"route", known ? std::string_view(shared_.router.rows()[route_index_]->pattern) : std::string_view("none")},
           {"status", status},
           {"seconds", std::chrono::duration<double>(took).count()}});
    }
  }

  void OnWritten(const error_code& ec) {
    if (state_ == SessionState::kClosed) return;
    if (ec) return Close();
    response_body_ = {};
    parser_.reset();
    chunk_.clear();
    instance_.clear();
    route_index_ = SIZE_MAX;
    trace_ = {};
    is_head_request_ = false;
    old_sink_.reset();
    if (!keep_) {
      state_ = SessionState::kLingering;
      deadline_ = std::chrono::steady_clock::now() + kLingerTime;
      error_code ignored;
      socket_->shutdown(tcp::socket::shutdown_send, ignored);
      return Read();
    }
    if (begin_ == end_ && buffer_.size() > kFirstBufferBytes) {
      begin_ = end_ = 0;
      buffer_ = std::vector<char>(kFirstBufferBytes);
    }
    EnterIdle(shared_.options.idle_timeout);
    if (shared_.draining.load(std::memory_order_relaxed)) return Close();
    ParseHead();
  }

  void Close() {
    if (state_ == SessionState::kClosed) return;
    AbortSink();
    state_ = SessionState::kClosed;
    ++request_number_;
    error_code ignored;
    socket_->close(ignored);
    loop->Remove(this);
  }

  Shared& shared_;
  std::optional<tcp::socket> socket_;
  std::string peer_;
  SessionState state_ = SessionState::kIdle;
  SteadyTime deadline_;
  uint64_t request_number_ = 0;  // grows when a request is answered or given up, so that late answers miss
  bool reading_ = false;
  bool keep_ = true;

  std::vector<char> buffer_;  // [begin_, end_) has arrived and is not parsed
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t scanned_ = 0;     // no '\n' is left unseen before here
  size_t line_begin_ = 0;  // of the line that is being scanned
  size_t lingered_ = 0;

  // Of the request at hand.
  std::optional<RequestParser> parser_;
  std::unique_ptr<BodySink> sink_;
  std::unique_ptr<BodySink> old_sink_;  // may be on the stack still: destroyed when the answer is out
  std::string chunk_;
  std::string instance_;
  size_t route_index_ = SIZE_MAX;
  TraceId trace_;
  SteadyTime started_;
  bool expects_continue_ = false;
  bool is_head_request_ = false;

  std::string head_;
  std::string response_body_;
};

}  // namespace

std::shared_ptr<Session> MakeSession(std::shared_ptr<Loop> loop, tcp::socket socket) {
  return std::make_shared<HttpSession>(std::move(loop), std::move(socket));
}

}  // namespace maily::http
