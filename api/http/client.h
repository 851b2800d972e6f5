// A blocking HTTP/1.1 client for the command line, benches and tests. One connection, kept between calls. Plain HTTP only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "api/http/message.h"
#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/port/net.h"

namespace maily::http {

struct ClientOptions {
  Duration connect_timeout = Seconds(5);
  Duration timeout = Seconds(120);                // without a byte in either direction
  size_t response_bytes_max = 512 * 1024 * 1024;  // a larger body: kInvalid
};

struct Call {
  Method method = Method::kGet;
  std::string target = "/";
  Headers headers = {};  // Host, Content-Length and Transfer-Encoding are added
  std::string body = {};
  // Instead of `body`: gives it piece by piece; an empty piece ends it, an error breaks the call off and is its result.
  std::function<Result<std::string>()> upload = nullptr;
  std::optional<uint64_t> upload_bytes = std::nullopt;  // Content-Length of the upload; none = chunked
};

// Thread: one at a time.
class Client {
 public:
  explicit Client(Endpoint server, ClientOptions options = {});
  // "http://host:port" or "host:port". kInvalid: anything else.
  static Result<Client> FromUrl(std::string_view url, ClientOptions options = {});
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // The server's answer, whatever its status; header names in lower case. kRetry: unreachable, timed out, or broken off half-way:
  // the request may have taken effect. kInvalid: what answered does not speak HTTP. A kept connection that the server has closed is
  // opened again, and GET, HEAD, PUT and DELETE without upload are then sent once more. An answer that comes before the upload is
  // complete ends the upload.
  Result<Response> Send(const Call& call);

  // Short for Send.
  Result<Response> Get(std::string target) { return Send({.target = std::move(target)}); }
  Result<Response> PostJson(std::string target, std::string json) {
    return Send(
        {.method = Method::kPost, .target = std::move(target), .headers = {{"content-type", "application/json"}}, .body = std::move(json)});
  }

  // Closes the kept connection.
  void Close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace maily::http
