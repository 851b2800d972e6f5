// The real time, chance and threads: port/env.h over the operating system and Asio.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "streams/port/env.h"

namespace maily::asio_net {

// CLOCK_REALTIME and CLOCK_MONOTONIC. Thread: any.
class SystemClock : public Clock {
 public:
  Instant Now() override;
  Duration Steady() override;
};

// getrandom(2). Thread: any.
class SystemEntropy : public Entropy {
 public:
  void Fill(std::span<uint8_t> out) override;
};

// One thread with one event loop: jobs, timers and the sockets of asio_net run on it one after another.
// An idle worker sleeps; a Post from another thread wakes it at once. A job that throws ends the process.
class Worker : public Executor {
 public:
  // `name` shows in ps and gdb (15 characters). The thread runs from here on.
  explicit Worker(const std::string& name);
  // Stops. Whatever lives on the worker (connections, listeners) must be destroyed before it: after Stop() any thread may do so.
  ~Worker() override;

  void Post(Job job) override;
  TimerId After(Duration delay, Job job) override;
  void Cancel(TimerId timer) override;

  // Lets the job that runs end, drops all others without running them, and joins. A later Post or After drops its job.
  // Thread: any but the worker's own; calling it again is harmless.
  void Stop();

  bool OnThisThread() const;

  struct Impl;  // asio_env_internal.h: for the sockets of this folder
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// A fixed pool; who needs order pins itself to one worker.
class Workers {
 public:
  // `count` ≥ 1 workers, named "<name>-0" …
  Workers(const std::string& name, size_t count);

  size_t size() const { return workers_.size(); }
  Worker& at(size_t index) { return *workers_[index % workers_.size()]; }
  // Stops all of them, in order.
  void Stop();

 private:
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace maily::asio_net
