// What the tests of this folder share: a keyring, slots, an executor, a clock and a relay in memory.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "streams/keyring/keyring.h"
#include "streams/port/env.h"
#include "streams/port/kv.h"
#include "streams/port/net.h"
#include "streams/port/slots.h"
#include "streams/tls/channel.h"
#include "tests/memory_keyring.h"

namespace maily::smtp {

using Keys = test::MemoryKeyring;

// Outlives the "processes" of a test.
class MemorySlots : public Slots {
 public:
  explicit MemorySlots(size_t count) : slots_(count) {}
  size_t count() const override { return slots_.size(); }
  std::string Read(size_t slot) const override { return slots_[slot]; }
  void Write(size_t slot, std::string_view bytes) override {
    ASSERT_LE(bytes.size(), kSlotBytesMax);
    slots_[slot] = bytes;
  }
  bool Doubtful(size_t slot) const override { return slot == doubtful; }
  std::string boot_id() const override { return boot; }
  std::string place() const override { return at; }
  size_t doubtful = SIZE_MAX;
  std::string boot = "boot";
  std::string at = "here";

 private:
  std::vector<std::string> slots_;
};

// Runs jobs when told to, on the calling thread; time moves only by Advance.
class ManualExecutor : public Executor, public Clock {
 public:
  void Post(Job job) override { jobs_.push_back(std::move(job)); }
  TimerId After(Duration delay, Job job) override {
    timers_.emplace(std::pair(now_.us + delay.us, ++last_timer_), std::move(job));
    return last_timer_;
  }
  void Cancel(TimerId timer) override {
    std::erase_if(timers_, [&](const auto& entry) { return entry.first.second == timer; });
  }
  Instant Now() override { return {1'763'700'000'000'000 + now_.us}; }
  Duration Steady() override { return now_; }

  // All jobs, and those they post.
  void Run() {
    while (!jobs_.empty()) {
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      job();
    }
  }
  // At most `n` jobs.
  void RunSome(size_t n) {
    for (; n > 0 && !jobs_.empty(); --n) {
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      job();
    }
  }
  // Time passes, and nothing of this process runs.
  void Sleep(Duration by) { now_ = now_ + by; }
  void Advance(Duration by) {
    const Duration until = now_ + by;
    Run();
    while (!timers_.empty() && timers_.begin()->first.first <= until.us) {
      now_.us = std::max(now_.us, timers_.begin()->first.first);  // late, after a Sleep
      Job job = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
      job();
      Run();
    }
    now_ = until;
  }
  bool has_timers() const { return !timers_.empty(); }

 private:
  std::deque<Job> jobs_;
  std::map<std::pair<int64_t, TimerId>, Job> timers_;
  TimerId last_timer_ = 0;
  Duration now_;
};

// An SMTP relay that does what a test says. Every reply is posted, so a test can stop the world between any two of them.
class FakeRelay : public Dialer {
 public:
  explicit FakeRelay(Executor& executor) : executor_(executor) {}

  struct Received {
    std::string from, to, data;
  };
  std::vector<Received> received;
  bool refuse = false;  // connections
  bool pipelining = true;
  bool chunking = false;
  std::shared_ptr<const tls::Context> tls;  // offered
  bool tls_broken = false;                  // offered, and then it speaks none
  int secured = 0;                          // handshakes that were made
  int dials = 0;
  int open = 0;  // connections
  // Asked for each command ("connect", "EHLO", "STAR", "AUTH", "MAIL", "RCPT", "DATA", "dot", "RSET", "QUIT"), with what follows it: a
  // reply instead of the usual one, "close" to close without a reply, "hang" for no reply, or empty.
  std::function<std::string(const std::string& command, const std::string& rest)> hook;

  void DialFrom(const std::string&, const Endpoint&, Duration,
                std::move_only_function<void(Result<std::unique_ptr<Connection>>)> done) override {
    ++dials;
    executor_.Post([this, done = std::move(done)]() mutable {
      if (refuse) return done(Fail(Code::kRetry, "connection refused"));
      auto peer = std::make_shared<Peer>(*this);
      std::unique_ptr<Connection> connection = std::make_unique<End>(peer);
      done(std::move(connection));
      peer->Answer("connect", "", "220 fake\r\n");
    });
  }

 private:
  struct Peer : std::enable_shared_from_this<Peer> {
    explicit Peer(FakeRelay& relay_in) : relay(relay_in) { ++relay.open; }
    ~Peer() { --relay.open; }

    void Take(std::string_view bytes) {
      if (!secured) return TakePlain(bytes);
      const bool before = secured->established();
      if (!secured->Receive(bytes)) closed = true;
      output += secured->TakeEncrypted();
      if (!before && secured->established()) ++relay.secured;
      TakePlain(secured->TakePlain());
      Flush();
    }
    void TakePlain(std::string_view bytes) {
      if (broken_off) {
        output += "500 what?\r\n";
        return Flush();
      }
      input += bytes;
      for (size_t end; !closed && (end = input.find("\r\n")) != std::string::npos;) {
        if (chunk > 0) {
          if (input.size() < chunk) return;
          data = input.substr(0, chunk);
          input.erase(0, std::exchange(chunk, 0));
          if (Answer("dot", "", "250 2.0.0 queued\r\n")) relay.received.push_back({from, to, data});
          data.clear();
          continue;
        }
        std::string line = input.substr(0, end);
        input.erase(0, end + 2);
        if (in_data) {
          if (line == ".") {
            in_data = false;
            const bool taken = Answer("dot", "", "250 2.0.0 queued\r\n");
            if (taken) relay.received.push_back({from, to, data});
            data.clear();
          } else {
            data += line.starts_with('.') ? line.substr(1) : line;
            data += "\r\n";
          }
          continue;
        }
        const std::string command = line.substr(0, 4);
        if (command == "MAIL") from = line.substr(11, line.find('>') - 11);
        if (command == "RCPT") to = line.substr(9, line.find('>') - 9);
        std::string usual = "250 ok\r\n";
        if (command == "EHLO" && relay.pipelining) usual = "250-fake\r\n250 PIPELINING\r\n";
        if (command == "EHLO" && (relay.tls || relay.tls_broken) && !secured) usual = "250-STARTTLS\r\n" + usual;
        if (command == "EHLO" && secured) usual = "250-AUTH PLAIN\r\n" + usual;
        if (command == "EHLO" && relay.chunking) usual = "250-CHUNKING\r\n" + usual;
        if (command == "EHLO") usual = "250-fake greets you\r\n" + usual;
        if (command == "BDAT") {
          chunk = std::stoul(line.substr(5));
          continue;
        }
        if (command == "STAR") usual = "220 go\r\n";
        if (command == "AUTH") usual = "235 welcome\r\n";
        if (command == "DATA") usual = "354 go\r\n";
        if (command == "QUIT") usual = "221 bye\r\n";
        if (Answer(command, line.size() > 5 ? line.substr(5) : "", usual) && command == "DATA") in_data = true;
        if (command == "STAR" && !closed) {
          broken_off = relay.tls_broken;
          if (!broken_off) secured.emplace(relay.tls);
        }
        if (command == "QUIT") Close();
      }
    }
    // True if the usual reply was given.
    bool Answer(const std::string& command, const std::string& rest, const std::string& usual) {
      const std::string told = relay.hook ? relay.hook(command, rest) : "";
      if (told == "close") {
        Close();
      } else if (told != "hang") {
        Say(told.empty() ? usual : told);
      }
      Flush();
      return told.empty();
    }
    void Say(const std::string& text) {
      if (!secured) {
        output += text;
        return;
      }
      secured->Send(text).value();
      output += secured->TakeEncrypted();
    }
    void Close() {
      closed = true;
      Flush();
    }
    void Flush() {
      if (!reader || flushing || (output.empty() && !closed)) return;
      flushing = true;
      relay.executor_.Post([weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self || !self->reader) return;
        self->flushing = false;
        auto done = std::exchange(self->reader, nullptr);
        done(std::exchange(self->output, {}));
      });
    }

    FakeRelay& relay;
    std::string input, output, from, to, data;
    bool in_data = false, closed = false, flushing = false;
    bool broken_off = false;
    size_t chunk = 0;  // bytes of one that is awaited
    std::optional<tls::Channel> secured;
    std::move_only_function<void(Result<std::string>)> reader;
  };
  struct End : Connection {
    explicit End(std::shared_ptr<Peer> peer_in) : peer_(std::move(peer_in)) {}
    ~End() override { Close(); }
    void Read(size_t, std::move_only_function<void(Result<std::string>)> done) override {
      peer_->reader = std::move(done);
      peer_->Flush();
    }
    void Write(std::string bytes, std::move_only_function<void(Result<void>)> done) override {
      peer_->relay.executor_.Post(
          [peer = peer_, alive = std::weak_ptr(alive_), bytes = std::move(bytes), done = std::move(done)]() mutable {
            const bool broken = peer->closed;
            if (!broken) peer->Take(bytes);
            if (alive.expired()) return;
            if (broken) return done(Fail(Code::kRetry, "broken pipe"));
            done(Ok());
          });
    }
    void Close() override {
      peer_->reader = nullptr;
      peer_->closed = true;
    }
    Endpoint peer() const override { return {"relay", 25}; }
    std::shared_ptr<Peer> peer_;
    std::shared_ptr<int> alive_ = std::make_shared<int>();
  };

  Executor& executor_;
};

}  // namespace maily::smtp
