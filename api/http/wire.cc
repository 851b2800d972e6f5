// See wire.h.
#include "api/http/wire.h"

#include <boost/beast/http/error.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/verb.hpp>
#include <ctime>

namespace maily::http {
namespace {

namespace beast = boost::beast;

Method MethodOf(beast::http::verb verb) {
  switch (verb) {
    case beast::http::verb::get:
      return Method::kGet;
    case beast::http::verb::head:
      return Method::kHead;
    case beast::http::verb::post:
      return Method::kPost;
    case beast::http::verb::put:
      return Method::kPut;
    case beast::http::verb::patch:
      return Method::kPatch;
    case beast::http::verb::delete_:
      return Method::kDelete;
    case beast::http::verb::options:
      return Method::kOptions;
    default:
      return Method::kOther;
  }
}

// "Date: …\r\n", made once a second and thread.
std::string_view DateLine() {
  thread_local std::time_t made_at = 0;
  thread_local char line[64];
  thread_local size_t size = 0;
  const std::time_t now = std::time(nullptr);
  if (now != made_at) {
    std::tm utc{};
    gmtime_r(&now, &utc);
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto end = fmt::format_to_n(line, sizeof(line), "Date: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n", kDays[utc.tm_wday],
                                      utc.tm_mday, kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
    size = end.size;
    made_at = now;
  }
  return {line, size};
}

void PutValue(std::string& out, std::string_view value) {
  for (const char c : value) {
    if (static_cast<uint8_t>(c) >= 0x20 && c != 0x7F) out.push_back(c);
  }
}

}  // namespace

RequestParser::RequestParser() {
  header_limit(1 << 20);  // the session has found the header's end already
  body_limit(boost::none);
  eager(false);
}

void RequestParser::on_request_impl(beast::http::verb verb, string_view, string_view target, int http_version, error_code&) {
  request.method = MethodOf(verb);
  request.target.assign(target.data(), target.size());
  version = http_version;
}

void RequestParser::on_field_impl(beast::http::field, string_view name, string_view value, error_code&) {
  if (!trailers_) request.headers.Add({name.data(), name.size()}, {value.data(), value.size()});
}

void RequestParser::on_chunk_header_impl(uint64_t size, string_view, error_code& ec) {
  chunk_bytes_left = size;
  if (size > body_bytes_max - body_bytes) TooLarge(ec);
}

size_t RequestParser::on_chunk_body_impl(uint64_t, string_view bytes, error_code& ec) {
  const size_t taken = Take(bytes, ec);
  chunk_bytes_left -= taken;
  return taken;
}

size_t RequestParser::Take(string_view bytes, error_code& ec) {
  if (bytes.size() > body_bytes_max - body_bytes) {
    TooLarge(ec);
    return 0;
  }
  body->append(bytes.data(), bytes.size());
  body_bytes += bytes.size();
  return bytes.size();
}

void RequestParser::TooLarge(error_code& ec) {
  too_large = true;
  ec = beast::http::error::body_limit;
}

bool HasNoBody(int status) { return status == 204 || status == 304 || status < 200; }

void PutHead(std::string& out, const Response& response, const TraceId& trace, std::string_view connection) {
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} ", response.status);
  const auto reason = beast::http::obsolete_reason(static_cast<beast::http::status>(response.status));
  out.append(reason.data(), reason.size()).append("\r\n").append(DateLine());
  for (size_t i = 0; i < response.headers.size(); ++i) {
    const auto [name, value] = response.headers.at(i);
    PutValue(out, name);
    out.append(": ");
    PutValue(out, value);
    out.append("\r\n");
  }
  if (!HasNoBody(response.status)) fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", response.body.size());
  out.append("traceparent: ").append(MakeTraceparent(trace)).append("\r\n");
  if (!connection.empty()) out.append("Connection: ").append(connection).append("\r\n");
  out.append("\r\n");
}

}  // namespace maily::http
