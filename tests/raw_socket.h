// A loopback connection that says exactly what it is told, for tests of servers.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>
#include <string_view>

namespace maily::test {

// A read gives up after 20 s. Thread: one at a time.
class RawSocket {
 public:
  explicit RawSocket(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    const timeval limit{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  }
  ~RawSocket() { close(fd_); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  // Less if the other side has closed.
  void Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  void EndSending() { shutdown(fd_, SHUT_WR); }
  // What has come, at least a byte; empty once the other side has closed.
  std::string Read() {
    char buffer[4096];
    const ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
    return {buffer, static_cast<size_t>(got > 0 ? got : 0)};
  }
  // All until the other side closes.
  std::string ReadAll() {
    std::string all;
    for (std::string some = Read(); !some.empty(); some = Read()) all += some;
    return all;
  }
  // Until `mark` has been seen, and not a byte more.
  std::string ReadUntil(std::string_view mark) {
    std::string all;
    char c = 0;
    while (all.find(mark) == std::string::npos && recv(fd_, &c, 1, 0) == 1) all.push_back(c);
    return all;
  }

 private:
  int fd_;
};

}  // namespace maily::test
