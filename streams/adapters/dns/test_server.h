// A DNS server for tests: messages put together by hand, over UDP and TCP on one port of 127.0.0.1.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "streams/adapters/dns/message.h"

namespace maily::dns::test {

// A number in network order.
inline std::string Two(uint16_t n) { return {static_cast<char>(n >> 8), static_cast<char>(n)}; }
inline std::string Four(uint32_t n) { return Two(static_cast<uint16_t>(n >> 16)) + Two(static_cast<uint16_t>(n)); }

// "example.com" in labels.
inline std::string Wire(std::string_view name) {
  std::string wire;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    wire += static_cast<char>(label.size());
    wire += label;
    name.remove_prefix(std::min(label.size() + 1, name.size()));
  }
  return wire + '\0';
}

// A record: owner, type, class IN, TTL, data.
inline std::string Record(std::string_view owner, WireType type, uint32_t ttl_seconds, const std::string& data) {
  return Wire(owner) + Two(static_cast<uint16_t>(type)) + Two(1) + Four(ttl_seconds) + Two(static_cast<uint16_t>(data.size())) + data;
}
inline std::string Mx(std::string_view owner, uint32_t ttl_seconds, uint16_t preference, std::string_view host) {
  return Record(owner, WireType::kMx, ttl_seconds, Two(preference) + Wire(host));
}
inline std::string A(std::string_view owner, uint32_t ttl_seconds, const std::string& four_bytes) {
  return Record(owner, WireType::kA, ttl_seconds, four_bytes);
}

struct Asked {
  std::string name = {};
  WireType type = {};
  bool tcp = false;
  std::string id = {};        // two bytes
  std::string question = {};  // the section
};

constexpr uint16_t kServFail = 2;
constexpr uint16_t kNxDomain = 3;
constexpr uint16_t kRefused = 5;
constexpr uint16_t kTruncated = 0x0200;

// An answer with these records; `flags`: a response code, kTruncated.
inline std::string Reply(const Asked& asked, const std::vector<std::string>& records, uint16_t flags = 0) {
  std::string message = asked.id + Two(static_cast<uint16_t>(0x8180 | flags)) + Two(1) + Two(static_cast<uint16_t>(records.size())) +
                        Two(0) + Two(0) + asked.question;
  for (const std::string& record : records) message += record;
  return message;
}
// What a parser is given of it.
inline Asked Question(std::string_view name, WireType type) {
  return {.name = std::string(name), .type = type, .id = "id", .question = Wire(name) + Two(static_cast<uint16_t>(type)) + Two(1)};
}

// Its thread runs `answer` for every question: the messages that go back, in order; none = it is silent.
class Server {
 public:
  using Handler = std::function<std::vector<std::string>(const Asked&)>;
  explicit Server(Handler answer) : answer_(std::move(answer)), stop_(eventfd(0, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // A free port of UDP may be taken in TCP: then another.
    for (int tries = 0; tries < 100; ++tries) {
      udp_ = socket(AF_INET, SOCK_DGRAM, 0);
      tcp_ = socket(AF_INET, SOCK_STREAM, 0);
      const int yes = 1;
      setsockopt(tcp_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
      at.sin_port = 0;
      socklen_t size = sizeof(at);
      MAILY_CHECK(bind(udp_, reinterpret_cast<sockaddr*>(&at), size) == 0, "bind");
      getsockname(udp_, reinterpret_cast<sockaddr*>(&at), &size);
      if (bind(tcp_, reinterpret_cast<sockaddr*>(&at), size) == 0 && listen(tcp_, 16) == 0) break;
      close(udp_);
      close(tcp_);
    }
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~Server() {
    const uint64_t one = 1;
    MAILY_CHECK(write(stop_, &one, sizeof(one)) == sizeof(one), "eventfd");
    thread_.join();
    for (const auto& [fd, bytes] : streams_) close(fd);
    for (const int fd : {udp_, tcp_, stop_}) close(fd);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const { return port_; }

 private:
  void Run() {
    for (;;) {
      std::vector<pollfd> fds{{stop_, POLLIN, 0}, {udp_, POLLIN, 0}, {tcp_, POLLIN, 0}};
      for (const auto& [fd, bytes] : streams_) fds.push_back({fd, POLLIN, 0});
      poll(fds.data(), fds.size(), -1);
      if (fds[0].revents != 0) return;
      if (fds[1].revents != 0) AnswerDatagram();
      for (size_t i = 3; i < fds.size(); ++i) {
        if (fds[i].revents != 0) AnswerStream(fds[i].fd);
      }
      if (fds[2].revents != 0) streams_[accept(tcp_, nullptr, nullptr)];
    }
  }
  void AnswerDatagram() {
    char buffer[4096];
    sockaddr_in from{};
    socklen_t size = sizeof(from);
    const ssize_t got = recvfrom(udp_, buffer, sizeof(buffer), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 12) return;
    for (const std::string& message : answer_(Parse({buffer, static_cast<size_t>(got)}, false))) {
      sendto(udp_, message.data(), message.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }
  void AnswerStream(int fd) {
    char buffer[4096];
    const ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
    if (got <= 0) {
      close(fd);
      streams_.erase(fd);
      return;
    }
    std::string& bytes = streams_[fd];
    bytes.append(buffer, static_cast<size_t>(got));
    while (bytes.size() >= 2) {
      const auto length = static_cast<size_t>(static_cast<uint8_t>(bytes[0]) << 8 | static_cast<uint8_t>(bytes[1]));
      if (bytes.size() < 2 + length) return;
      for (const std::string& message : answer_(Parse(std::string_view(bytes).substr(2, length), true))) {
        const std::string framed = Two(static_cast<uint16_t>(message.size())) + message;
        send(fd, framed.data(), framed.size(), MSG_NOSIGNAL);
      }
      bytes.erase(0, 2 + length);
    }
  }
  static Asked Parse(std::string_view message, bool tcp) {
    Asked asked{.tcp = tcp, .id = std::string(message.substr(0, 2))};
    size_t at = 12;
    while (message[at] != 0) {
      const auto length = static_cast<uint8_t>(message[at]);
      asked.name += (asked.name.empty() ? "" : ".") + std::string(message.substr(at + 1, length));
      at += 1 + length;
    }
    asked.question = message.substr(12, at + 5 - 12);
    asked.type = static_cast<WireType>(static_cast<uint8_t>(message[at + 2]));
    return asked;
  }

  const Handler answer_;
  int udp_ = -1;
  int tcp_ = -1;
  const int stop_;
  uint16_t port_ = 0;
  std::map<int, std::string> streams_;  // of the thread: open connections, and what they have sent
  std::thread thread_;
};

}  // namespace maily::dns::test
