// What the tests of this folder share: a keyring, slots, an executor and a clock in memory.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "streams/keyring/keyring.h"
#include "streams/port/env.h"
#include "streams/port/slots.h"
#include "streams/state/map_kv.h"

namespace maily::smtp {

class CountingEntropy : public Entropy {
 public:
  void Fill(std::span<uint8_t> out) override {
    for (uint8_t& byte : out) byte = static_cast<uint8_t>(++count_ * 37);
  }

 private:
  uint32_t count_ = 0;
};

struct Keys {
  CountingEntropy entropy;
  state::Disk disk;
  std::unique_ptr<keyring::Keyring> ring =
      keyring::Keyring::Open(std::make_unique<state::MapKv>(disk), keyring::Key::From("0123456789abcdef0123456789abcdef"), entropy, {})
          .value();
  const keyring::TenantKeys& Of(uint32_t tenant) { return *ring->Tenant(TenantId(tenant)).value(); }
};

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
  std::string boot_id() const override { return boot; }
  std::string boot = "boot";

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
  void Advance(Duration by) {
    const Duration until = now_ + by;
    Run();
    while (!timers_.empty() && timers_.begin()->first.first <= until.us) {
      now_.us = timers_.begin()->first.first;
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

}  // namespace maily::smtp
