// "127.0.0.1:8080", "[::1]:25", "mail.example.com:587".
#pragma once

#include <charconv>
#include <string>

#include "streams/base/result.h"
#include "streams/port/net.h"

namespace maily::app {

inline Result<Endpoint> ParseEndpoint(const std::string& text) {
  const size_t colon = text.rfind(':');
  Endpoint endpoint;
  if (colon == std::string::npos || colon == 0) return Fail(Code::kInvalid, "'{}' is not host:port", text);
  endpoint.host = text.substr(0, colon);
  if (endpoint.host.size() > 2 && endpoint.host.front() == '[' && endpoint.host.back() == ']') {
    endpoint.host = endpoint.host.substr(1, endpoint.host.size() - 2);
  }
  const char* end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data() + colon + 1, end, endpoint.port);
  if (error != std::errc() || parsed != end) return Fail(Code::kInvalid, "'{}' is not host:port", text);
  return endpoint;
}

}  // namespace maily::app
