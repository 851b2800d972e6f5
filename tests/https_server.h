// An HTTPS (or HTTP) server for tests, on a free port of 127.0.0.1: one connection after another, one answer each.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "streams/tls/channel.h"

namespace maily::test {

inline std::string Page(std::string_view body, std::string_view type = "text/plain", std::string_view status = "200 OK") {
  return fmt::format("HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", status, type, body.size(),
                     body);
}

class HttpsServer {
 public:
  // The bytes that answer a request head; empty = nothing, until the client goes. Runs on the server's thread.
  using Handler = std::function<std::string(const std::string& head)>;

  // Without a context it speaks plain HTTP, also to a client that begins with TLS.
  HttpsServer(std::shared_ptr<const tls::Context> context, Handler answer) : context_(std::move(context)), answer_(std::move(answer)) {
    listening_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(at);
    MAILY_CHECK(bind(listening_, reinterpret_cast<sockaddr*>(&at), size) == 0 && listen(listening_, 16) == 0, "listen");
    getsockname(listening_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] {
      for (int fd = accept(listening_, nullptr, nullptr); fd >= 0; fd = accept(listening_, nullptr, nullptr)) {
        Talk(fd);
        close(fd);
      }
    });
  }
  // Clients that were left without an answer must be gone.
  ~HttpsServer() {
    shutdown(listening_, SHUT_RDWR);
    thread_.join();
    close(listening_);
  }
  HttpsServer(const HttpsServer&) = delete;
  HttpsServer& operator=(const HttpsServer&) = delete;

  uint16_t port() const { return port_; }
  int requests() const { return requests_; }

 private:
  void Talk(int fd) {
    std::unique_ptr<tls::Channel> channel;
    if (context_ != nullptr) channel = std::make_unique<tls::Channel>(context_);
    std::string head;
    char buffer[4096];
    for (bool answered = false;;) {
      const ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
      if (got <= 0) return;
      const std::string_view some(buffer, static_cast<size_t>(got));
      bool failed = false;
      if (channel == nullptr) {
        head += some;
      } else {
        failed = !channel->Receive(some);
        head += channel->TakePlain();
      }
      std::string out;
      bool last = false;
      if (!answered && (head.find("\r\n\r\n") != std::string::npos || head.starts_with('\x16'))) {
        answered = true;
        ++requests_;
        out = answer_(head);
        last = !out.empty();
      }
      if (channel != nullptr) {
        if (!out.empty() && !channel->Send(out)) return;
        if (last) channel->Close();
        out = channel->TakeEncrypted();
      }
      for (std::string_view rest = out; !rest.empty();) {
        const ssize_t sent = send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent <= 0) return;
        rest.remove_prefix(static_cast<size_t>(sent));
      }
      if (failed) return;
      if (last) {  // the client closes: closing first could reset what it has not read
        shutdown(fd, SHUT_WR);
        while (recv(fd, buffer, sizeof(buffer), 0) > 0) {
        }
        return;
      }
    }
  }

  const std::shared_ptr<const tls::Context> context_;
  const Handler answer_;
  int listening_ = -1;
  uint16_t port_ = 0;
  std::atomic<int> requests_{0};
  std::thread thread_;
};

}  // namespace maily::test
