// HTTP/1.1 as bytes: requests that come in, heads of answers that go out. Seen by session.cc only.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <string>
#include <string_view>

#include "api/http/message.h"
#include "streams/base/ids.h"

namespace maily::http {

// Parses into a Request without a copy in between.
class RequestParser : public boost::beast::http::basic_parser<true> {
 public:
  RequestParser();

  Request request;
  int version = 11;
  uint64_t body_bytes_max = 0;
  bool too_large = false;             // the body; the parser failed with body_limit
  std::string* body = &request.body;  // where pieces go
  uint64_t body_bytes = 0;
  uint64_t chunk_bytes_left = 0;  // of a chunk whose size line was read; 0 = what comes next is framing

 private:
  using error_code = boost::system::error_code;
  using string_view = boost::beast::string_view;
  void on_request_impl(boost::beast::http::verb verb, string_view, string_view target, int http_version, error_code&) override;
  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_field_impl(boost::beast::http::field, string_view name, string_view value, error_code&) override;
  void on_header_impl(error_code&) override { trailers_ = true; }
  void on_body_init_impl(const boost::optional<uint64_t>&, error_code&) override {}
  size_t on_body_impl(string_view bytes, error_code& ec) override { return Take(bytes, ec); }
  void on_chunk_header_impl(uint64_t size, string_view, error_code& ec) override;
  size_t on_chunk_body_impl(uint64_t, string_view bytes, error_code& ec) override;
  void on_finish_impl(error_code&) override {}

  size_t Take(string_view bytes, error_code& ec);
  void TooLarge(error_code& ec);

  bool trailers_ = false;  // fields from now on are
};

bool HasNoBody(int status);
// Status line and headers, up to and with the empty line. `connection` = the header of that name; empty = none.
void PutHead(std::string& out, const Response& response, const TraceId& trace, std::string_view connection);

}  // namespace maily::http
